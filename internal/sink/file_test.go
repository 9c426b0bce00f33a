package sink_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"onramp/internal/onramp"
	"onramp/internal/sink"
)

var appended = onramp.Outcome{Verdict: onramp.Delivered, Detail: "appended to the file"}

func checkFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("file holds\n%s\nwant\n%s", got, want)
	}
}

func newFileSink(t *testing.T) (path string, sender *sink.Sender) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "events.jsonl")
	return path, newSender(t, sink.Config{}, onramp.Sink{File: &onramp.File{Path: path}})
}

// Events are lines, written at once and synced before they count; the file is
// the owner's alone, and one that was moved away is followed by a new one.
func TestFile(t *testing.T) {
	t.Parallel()
	path, sender := newFileSink(t)
	writes, syncs := 0, 0
	sender.BreakFile("s", func(f *os.File, b []byte) (int, error) { writes++; return f.Write(b) }, func(f *os.File) error { syncs++; return f.Sync() })
	checkOutcomes(t, sender.Send(t.Context(), calls(2)), alike(2, appended))
	if writes != 1 || syncs != 1 {
		t.Errorf("%d writes and %d syncs, want one of each", writes, syncs)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	checkOutcomes(t, sender.Send(t.Context(), call(event(3))), alike(1, appended))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	checkOutcomes(t, sender.Send(t.Context(), call(event(4))), alike(1, appended))
	checkFile(t, path+".1", wrapped(1)+"\n"+wrapped(2)+"\n")
	checkFile(t, path, wrapped(4)+"\n")
}

// Calls at once get whole lines each.
func TestFileTogether(t *testing.T) {
	t.Parallel()
	path, sender := newFileSink(t)
	var calls sync.WaitGroup
	for i := range 20 {
		calls.Go(func() { sender.Send(t.Context(), call(event(2*i), event(2*i+1))) })
	}
	calls.Wait()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if two := wrapped(2*i) + "\n" + wrapped(2*i+1) + "\n"; strings.Count(string(got), two) != 1 {
			t.Errorf("call %d is not there as a whole", i)
		}
	}
}

// What a crash has left is repaired when the file is opened.
func TestFileAfterCrash(t *testing.T) {
	t.Parallel()
	long := wrapped(1)[:len(wrapped(1))-1] + strings.Repeat(" ", 200<<10) // goes over several readings
	for _, c := range []struct{ name, before, want string }{
		{"nothing", "", ""},
		{"whole lines", "a\nb\n", "a\nb\n"},
		{"torn", "a\n" + wrapped(1)[:99], "a\n"},
		{"torn at its beginning", "a\n" + wrapped(1)[:9], "a\n"},
		{"torn and long", "a\n" + long, "a\n"},
		{"torn and alone", wrapped(1)[:99], ""},
		{"zeros after a power cut", "a\n" + wrapped(1)[:99] + "\x00\x00", "a\n"},
		{"only zeros", "a\n\x00\x00", "a\n"},
		{"whole without its end", "a\n" + wrapped(1), "a\n" + wrapped(1) + "\n"},
		{"somebody else's", "a\nb", "a\nb\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, sender := newFileSink(t)
			if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
			checkOutcomes(t, sender.Send(t.Context(), call(event(2))), alike(1, appended))
			checkFile(t, path, c.want+wrapped(2)+"\n")
		})
	}
}

// A disk that is full, or fails, blames no event, and leaves no torn line.
func TestFileTrouble(t *testing.T) {
	t.Parallel()
	full := &fs.PathError{Op: "write", Path: "events.jsonl", Err: syscall.ENOSPC}
	half := func(f *os.File, b []byte) (int, error) {
		n, err := f.Write(b[:len(b)*2/3])
		if err == nil {
			err = full
		}
		return n, err
	}
	for _, c := range []struct {
		name  string
		write func(*os.File, []byte) (int, error)
		sync  func(*os.File) error
		want  onramp.Outcome
	}{
		{"full", half, nil, onramp.Outcome{
			Verdict: onramp.Throttled, Detail: "write events.jsonl: no space left on device", Hint: "free space on the file's disk",
		}},
		{"full, and can't be cut off", func(f *os.File, b []byte) (int, error) {
			n, err := half(f, b)
			_ = f.Close()
			return n, err
		}, nil, onramp.Outcome{Verdict: onramp.Throttled, Detail: "write events.jsonl: no space left on device", Hint: "free space on the file's disk"}},
		{"not synced", nil, func(*os.File) error { return syscall.EIO }, onramp.Outcome{
			Verdict: onramp.Throttled, Detail: "input/output error", Hint: "check the file's disk",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, sender := newFileSink(t)
			checkOutcomes(t, sender.Send(t.Context(), call(event(1))), alike(1, appended))
			sender.BreakFile("s", c.write, c.sync)
			checkOutcomes(t, sender.Send(t.Context(), call(event(2), event(3))), []onramp.Outcome{
				with(c.want, "append to "+path, 2), with(c.want, "append to "+path, 3),
			})
			sender.BreakFile("s", (*os.File).Write, (*os.File).Sync)
			checkOutcomes(t, sender.Send(t.Context(), call(event(2), event(3))), alike(2, appended))
			got, err := os.ReadFile(path)
			want := wrapped(1) + "\n" + wrapped(2) + "\n" + wrapped(3) + "\n"
			repeated := wrapped(1) + "\n" + wrapped(2) + "\n" + wrapped(2) + "\n" + wrapped(3) + "\n" // it was whole already
			if err != nil || string(got) != want && string(got) != repeated {
				t.Errorf("file holds\n%s\n%v", got, err)
			}
		})
	}
}

// The places where events can't be written to.
func TestFileRefused(t *testing.T) {
	t.Parallel()
	t.Run("folder removed", func(t *testing.T) {
		t.Parallel()
		path, sender := newFileSink(t)
		if err := os.Remove(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		checkOutcomes(t, sender.Send(t.Context(), calls(1)), []onramp.Outcome{with(onramp.Outcome{
			Verdict: onramp.Blocked, Detail: "open " + path + ": no such file or directory", Hint: "create the file's folder",
		}, "append to "+path, 1)})
	})
	t.Run("a folder", func(t *testing.T) {
		t.Parallel()
		path, sender := newFileSink(t)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		checkOutcomes(t, sender.Send(t.Context(), calls(1)), []onramp.Outcome{with(onramp.Outcome{
			Verdict: onramp.Blocked, Detail: "open " + path + ": is a directory", Hint: "set the sink's path to a file, not a folder",
		}, "append to "+path, 1)})
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		path, sender := newFileSink(t)
		sender.BreakFile("s", func(*os.File, []byte) (int, error) { return 0, fs.ErrPermission }, nil)
		checkOutcomes(t, sender.Send(t.Context(), calls(1)), []onramp.Outcome{with(onramp.Outcome{
			Verdict: onramp.Blocked, Detail: "permission denied", Hint: "allow Onramp to write to the file and its folder",
		}, "append to "+path, 1)})
	})
	t.Run("a device without room", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("only Linux has /dev/full")
		}
		sender := newSender(t, sink.Config{}, onramp.Sink{File: &onramp.File{Path: "/dev/full"}})
		checkOutcomes(t, sender.Send(t.Context(), calls(1)), []onramp.Outcome{with(onramp.Outcome{
			Verdict: onramp.Throttled, Detail: "write /dev/full: no space left on device", Hint: "free space on the file's disk",
		}, "append to /dev/full", 1)})
	})
	t.Run("a device that takes all", func(t *testing.T) {
		t.Parallel()
		sender := newSender(t, sink.Config{}, onramp.Sink{File: &onramp.File{Path: os.DevNull}})
		checkOutcomes(t, sender.Send(t.Context(), calls(3)), alike(3, appended))
	})
}

// One that hangs keeps nobody from ending.
func TestFileHangs(t *testing.T) {
	t.Parallel()
	_, sender := newFileSink(t)
	begun, release := make(chan struct{}), make(chan struct{})
	sender.BreakFile("s", func(f *os.File, b []byte) (int, error) {
		close(begun)
		<-release
		return f.Write(b)
	}, nil)
	var first sync.WaitGroup
	first.Go(func() { checkOutcomes(t, sender.Send(t.Context(), calls(1)), alike(1, appended)) })
	<-begun
	ctx, stop := cancelled(t)
	defer stop()
	if got := sender.Send(ctx, call(event(2)))[0]; got.Verdict != onramp.Retry || got.Detail != "onramp stops" {
		t.Errorf("got %v: %s", got.Verdict, got.Detail)
	}
	close(release)
	first.Wait()
}
