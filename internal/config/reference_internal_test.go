package config

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/setting"
)

// Each key with a single value has a variable, and the defaults that the reference gives are
// those that hold.
func TestReference(t *testing.T) {
	t.Parallel()
	var described []string
	defaults := map[string]string{}
	for _, s := range setting.Sections() {
		for _, k := range s.Keys {
			if path := s.In(k.Name); s.IsSingle() && !k.Several {
				described = append(described, path)
				defaults[path] = k.Default
			}
		}
	}
	var read []string
	for _, s := range settings() {
		read = append(read, s.path)
	}
	slices.Sort(described)
	slices.Sort(read)
	if diff := cmp.Diff(read, described); diff != "" {
		t.Fatalf("settings that are read (-), and described (+):\n%s", diff)
	}
	c := &Config{}
	for _, s := range settings() {
		if text := defaults[s.path]; text != "" {
			if err := s.set(c, scalar{text: text}); err != nil {
				t.Errorf("%s: the default %s %v", s.path, text, err)
			}
		}
	}
	if diff := cmp.Diff(Default(), c); diff != "" {
		t.Errorf("what holds without a file (-), and with the defaults of the reference (+):\n%s", diff)
	}
}
