package figures

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"onramp/internal/bench"
	"onramp/internal/machine"
)

// Run says what to measure, and how.
type Run struct {
	Root    string    // of the repository
	Program string    // to measure; "": it is built
	Folder  string    // for the program and its databases: on the disk that is measured
	Short   bool      // for a moment only
	NoCrash bool      // without the crash matrix
	Log     io.Writer // what begins now, and what the programs say
}

// The arguments of the benchmarks in a short run; otherwise they have none.
var short = map[string][]string{
	"accept":  {"--rounds", "1", "--duration", "200ms", "--connections", "4"},
	"deliver": {"--mode", "sync", "--delay", "5ms", "--duration", "300ms", "--quiet-duration", "300ms", "--connections", "4"},
	"events":  {"--rounds", "1", "--duration", "300ms", "--connections", "2", "--batch", "50"},
	"token":   {"--rounds", "1", "--duration", "200ms", "--connections", "4"},
}

// Collect builds the program and measures everything, one after the other.
func (r *Run) Collect(ctx context.Context) (*Figures, error) {
	f := &Figures{Short: r.Short, Date: time.Now().UTC().Format(time.DateOnly), Machine: machine.Look(r.Folder)}
	if err := r.version(ctx, f); err != nil {
		return nil, err
	}
	program, err := r.build(ctx)
	if err != nil {
		return nil, err
	}
	if f.Footprint, err = r.footprint(ctx, program); err != nil {
		return nil, err
	}
	for _, b := range []struct {
		name string
		into any
	}{{"accept", &f.Accept}, {"deliver", &f.Deliver}, {"events", &f.Events}, {"token", &f.Token}} {
		if err := r.bench(ctx, program, b.name, b.into); err != nil {
			return nil, err
		}
	}
	f.Crash = []CrashRow{}
	if !r.NoCrash {
		err = r.crash(ctx, f)
	}
	return f, err
}

// Footprint measures the program at rest only.
func (r *Run) Footprint(ctx context.Context) (*bench.FootprintReport, error) {
	program, err := r.build(ctx)
	if err != nil {
		return nil, err
	}
	return r.footprint(ctx, program)
}

func (r *Run) progress(what string) { fmt.Fprintln(r.Log, what, "…") }

// command runs a program in the repository and returns what it prints.
func (r *Run) command(ctx context.Context, environ []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = r.Root, &out, r.Log, append(os.Environ(), environ...)
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return out.Bytes(), err
}

func (r *Run) version(ctx context.Context, f *Figures) error {
	commit, err := r.command(ctx, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	changes, err := r.command(ctx, nil, "git", "status", "--porcelain")
	f.Commit, f.Changed = strings.TrimSpace(string(commit)), len(bytes.TrimSpace(changes)) > 0
	return err
}

// build builds the program as it is released, stripped, unless there is one.
func (r *Run) build(ctx context.Context) (program string, err error) {
	if r.Program != "" {
		return r.Program, nil
	}
	r.progress("build")
	program = filepath.Join(r.Folder, "onramp")
	_, err = r.command(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/onramp")
	return program, err
}

// bench runs a benchmark and reads its report, also when it misses a limit: then its exit
// status is 1, and Misses says so.
func (r *Run) bench(ctx context.Context, program, name string, into any) error {
	r.progress("bench " + name)
	args := []string{"bench", name, "--output", "json", "--data", r.Folder}
	if r.Short {
		args = append(args, short[name]...)
	}
	printed, failed := r.command(ctx, nil, program, args...)
	if err := json.Unmarshal(printed, into); err != nil {
		return errors.Join(failed, fmt.Errorf("read the report of bench %s: %w", name, err))
	}
	return nil
}

// crash runs the crash matrix and reads its report, also when rows have failed.
func (r *Run) crash(ctx context.Context, f *Figures) error {
	r.progress("crash matrix")
	report := filepath.Join(r.Folder, "crash.json")
	environ := []string{"ONRAMP_TEST_CRASH_REPORT=" + report}
	if !r.Short {
		environ = append(environ, "ONRAMP_TEST_CRASH=long")
	}
	printed, failed := r.command(ctx, environ, "go", "test", "-run", "^TestCrashMatrix$", "-count", "1", "-parallel", "8", "-timeout", "120m", "./internal/crash")
	text, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(text, &f.Crash)
	}
	if err != nil {
		return errors.Join(failed, fmt.Errorf("read the report of the crash matrix: %w\n%s", err, printed))
	}
	return nil
}
