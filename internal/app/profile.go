package app

import (
	"bytes"
	"fmt"
	"path"
	"runtime/pprof"
	"strings"

	"github.com/google/pprof/profile"

	"onramp/internal/bundle"
)

// takeProfile takes a profile of this process, "goroutine" or "heap", in the format of
// go tool pprof. It has the names of functions and of their files, without the
// folders of the machine that they were built on.
func takeProfile(name string) (bundle.Raw, error) {
	found := pprof.Lookup(name)
	if found == nil {
		return nil, fmt.Errorf("there is no profile %s", name)
	}
	var taken bytes.Buffer
	if err := found.WriteTo(&taken, 0); err != nil {
		return nil, fmt.Errorf("take the profile %s: %w", name, err)
	}
	p, err := profile.Parse(&taken)
	if err != nil {
		return nil, fmt.Errorf("read the profile %s: %w", name, err)
	}
	p.Comments, p.DropFrames, p.KeepFrames = nil, "", ""
	for _, f := range p.Function {
		f.Filename = path.Base(strings.ReplaceAll(f.Filename, `\`, "/"))
	}
	for _, m := range p.Mapping {
		m.File = "onramp" // where it lies may name somebody
	}
	for _, s := range p.Sample {
		s.Label, s.NumLabel, s.NumUnit = nil, nil, nil
	}
	var clean bytes.Buffer
	err = p.Write(&clean)
	return clean.Bytes(), err
}
