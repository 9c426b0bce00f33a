package archtest_test

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/archtest"
)

func TestCheckStyle(t *testing.T) {
	t.Parallel()
	tree, err := archtest.Load(fstest.MapFS{
		"go.mod":                 {Data: []byte("module example\n")},
		"silent/silent.go":       {Data: []byte("package silent\n")},
		"testdata/not/looked.go": {Data: []byte("package at, all\n")},
		"a/a_windows.go": {Data: []byte(`// Package a has a comment.
package a

// A group.
const (
	One = 1
	Two = 2
)

var (
	Three = 3 // three
	Four  = 4
)

type Five struct{}

func (*Five) Six() {}

func (Seven[T]) Eight() {}

type seven struct{}

func (seven) Nine() {}

func init() {}

func (seven) init() {}
`)},
		"a/b.go": {Data: []byte(`package a

func both(log logger) error {
	if err := try(); err != nil {
		log.Error("tried", "err", err)
		return fmt.Errorf("try: %w", err)
	}
	switch err := try(); {
	case err != nil:
		a.requestLog.With("a", 1).WarnContext(ctx, "tried", "err", err)
		return err
	}
	if err := try(); err != nil {
		log.Error("tried", "err", err)
		return nil
	}
	closeErr := try()
	catalog.Add("err", closeErr.Kind)
	log.Info("other", "err", other)
	return closeErr
}

func took(log logger) { log.LogAttrs(ctx, level, "done", slog.Duration("took", took)) }

func text(err error) bool {
	switch err.Error() {
	case "lost":
	}
	return err.Error() == "lost" || strings.Contains(err.Error(), "lost") || err.Error() < strings.ToLower(err.Error()) ||
		text == w.Error() || strings.HasPrefix(r.err.Error(), "lost")
}
`)},
		"a/a_test.go": {Data: []byte(`package a_test

func TestSleep() {
	time.Sleep(time.Second)
	clock.Sleep()
	func() { time.Sleep(1) }()
	_ = err.Error() == "lost"
}

func Undocumented() {}
`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []archtest.Finding{
		{Rule: archtest.NoComment, Place: "a/a_windows.go:12 Four"},
		{Rule: archtest.NoComment, Place: "a/a_windows.go:15 Five"},
		{Rule: archtest.NoComment, Place: "a/a_windows.go:17 Six"},
		{Rule: archtest.NoComment, Place: "a/a_windows.go:19 Eight"},
		{Rule: archtest.InitFunction, Place: "a/a_windows.go:25"},
		{Rule: archtest.LoggedTwice, Place: "a/b.go:6 err"},
		{Rule: archtest.LoggedTwice, Place: "a/b.go:11 err"},
		{Rule: archtest.BareDuration, Place: "a/b.go:23"},
		{Rule: archtest.ErrorText, Place: "a/b.go:26"},
		{Rule: archtest.ErrorText, Place: "a/b.go:29"},
		{Rule: archtest.ErrorText, Place: "a/b.go:29"},
		{Rule: archtest.ErrorText, Place: "a/b.go:30"},
		{Rule: archtest.SleepingTest, Place: "a/a_test.go:4"},
		{Rule: archtest.SleepingTest, Place: "a/a_test.go:6"},
		{Rule: archtest.NoComment, Place: "silent"},
	}
	if diff := cmp.Diff(want, tree.CheckStyle()); diff != "" {
		t.Error(diff)
	}
	for _, f := range want {
		if !slices.Contains(archtest.Rules(), f.Rule) {
			t.Errorf("%q is not in the list of rules", f.Rule)
		}
	}
}

// Comparisons of secrets that end at the first difference are found where strangers come in.
func TestComparedSecrets(t *testing.T) {
	t.Parallel()
	const code = `// Package x has a comment.
package x

func wrong() {
	_ = got.Reveal() == want
	_ = string(sum) != cfg.Secret.Reveal()
	_ = bytes.Equal(mac, theirs)
	_ = token == other.token
	_ = strings.HasPrefix(header, "Bearer "+password) || password[1:] == given
}

func right() {
	_ = cfg.Secret == "" || token != nil || proof == byToken
	_ = subtle.ConstantTimeCompare(mac, theirs) == 1
	_ = hmac.Equal(mac, theirs)
	_ = strings.EqualFold(scheme, "Bearer")
}
`
	tree, err := archtest.Load(fstest.MapFS{"go.mod": {Data: []byte("module example\n")}, "internal/web/x.go": {Data: []byte(code)}, "internal/bench/x.go": {Data: []byte(code)}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range tree.CheckStyle() {
		got = append(got, f.Place)
	}
	if diff := cmp.Diff([]string{"internal/web/x.go:5", "internal/web/x.go:6", "internal/web/x.go:7", "internal/web/x.go:8", "internal/web/x.go:9"}, got); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}
