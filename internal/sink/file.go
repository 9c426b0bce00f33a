package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

// file appends events to a file, one envelope a line. They are on the disk before
// they count as delivered. A line can come twice, when it was written and the
// proof of it failed; a part of a line never stays between others.
type file struct {
	path  string
	fence attempt.Fence
	turn  chan struct{} // held by the one who writes

	open    *os.File // nil: opened on the next use
	regular bool     // and not a device or a pipe
	closed  bool

	write func(*os.File, []byte) (int, error)
	sync  func(*os.File) error
}

func newFile(cfg Config, s *onramp.File) (*file, error) {
	if s.Path == "" {
		return nil, errors.New("file: needs a path")
	}
	folder, err := os.Stat(filepath.Dir(s.Path))
	if err == nil && !folder.IsDir() {
		err = fmt.Errorf("%s is not a folder", filepath.Dir(s.Path))
	}
	if err != nil {
		return nil, fmt.Errorf("file: path: %w", err)
	}
	return &file{path: s.Path, fence: cfg.Fence, turn: make(chan struct{}, 1), write: (*os.File).Write, sync: (*os.File).Sync}, nil
}

func (f *file) route(*message) string { return "append to " + f.path }

// reach looks for the file, or else for the folder that it is to be made in.
func (f *file) reach(context.Context) onramp.Outcome {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err = os.Stat(filepath.Dir(f.path)); err == nil {
			return onramp.Outcome{Verdict: onramp.Delivered, Detail: "the folder of the file is there"}
		}
	}
	if err == nil && info.IsDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return judgeFile(err)
	}
	return onramp.Outcome{Verdict: onramp.Delivered, Detail: "the file is there"}
}

// deliver writes all lines at once. The disk blames no single event, so that all
// fare alike.
func (f *file) deliver(ctx context.Context, messages []message) []onramp.Outcome {
	var lines bytes.Buffer
	for i := range messages {
		lines.Write(messages[i].body)
		lines.WriteByte('\n')
	}
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return attempt.Alike(len(messages), judgeFile(context.Cause(ctx)))
	}
	return attempt.Alike(len(messages), judgeFile(f.append(lines.Bytes())))
}

func (f *file) append(lines []byte) error {
	if f.closed {
		return errStopped
	}
	size, err := f.ready()
	if err != nil {
		return err
	}
	if err := f.fence.Check(); err != nil {
		return err
	}
	if _, err = f.write(f.open, lines); err == nil && f.regular {
		err = f.sync(f.open)
	}
	if err == nil {
		return nil
	}
	if f.regular {
		_ = f.open.Truncate(size) // else the next opening finds the torn line
	}
	f.shut() // after a failed sync, the system may hold what is not on the disk for written
	return err
}

// ready opens the file, again when it was moved away, and gives its size.
func (f *file) ready() (size int64, err error) {
	if f.open != nil {
		mine, err := f.open.Stat()
		if there, e := os.Stat(f.path); err == nil && e == nil && os.SameFile(mine, there) {
			return mine.Size(), nil
		}
		f.shut()
	}
	if f.open, err = os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600); err != nil {
		return 0, err
	}
	if size, err = f.repair(); err != nil {
		f.shut()
	}
	return size, err
}

// repair makes sure that a file which was just opened ends with a whole line, and
// that its name is on the disk.
func (f *file) repair() (size int64, err error) {
	info, err := f.open.Stat()
	if err != nil {
		return 0, err
	}
	if f.regular = info.Mode().IsRegular(); !f.regular {
		return 0, nil
	}
	size, tail, err := lastLine(f.open, info.Size())
	switch {
	case err != nil:
		return 0, err
	case isTorn(tail):
		err = f.open.Truncate(size)
	case len(tail) > 0: // whole, or not ours
		_, err = f.write(f.open, []byte("\n"))
		size += int64(len(tail)) + 1
	}
	if err != nil {
		return 0, err
	}
	return size, syncFolder(filepath.Dir(f.path))
}

// longestTail is how much of an unfinished line is looked at, in bytes: a whole
// one is shorter.
const longestTail = 4 << 20

// lastLine reads what stands after the last line's end, and where that begins.
func lastLine(r io.ReaderAt, size int64) (start int64, tail []byte, err error) {
	const step = 64 << 10
	for start = size; start > 0 && len(tail) < longestTail; {
		part := make([]byte, min(step, start))
		if _, err := r.ReadAt(part, start-int64(len(part))); err != nil {
			return 0, nil, err
		}
		if at := bytes.LastIndexByte(part, '\n'); at >= 0 {
			start -= int64(len(part) - at - 1)
			return start, append(part[at+1:], tail...), nil
		}
		start -= int64(len(part))
		tail = append(part, tail...)
	}
	return start, tail, nil
}

// isTorn recognises the beginning of an envelope that was never finished. After a
// power cut zeros can stand in its place. What is whole is left, and so is what
// somebody else has written.
func isTorn(tail []byte) bool {
	const mark = `{"specversion":"1.0","id":"`
	text := bytes.TrimRight(tail, "\x00")
	ours := bytes.HasPrefix(text, []byte(mark)) || bytes.HasPrefix([]byte(mark), text)
	return len(tail) > 0 && ours && !json.Valid(tail)
}

// syncFolder puts a new file's name on the disk, where the system can do that.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return nil // a folder that can be written to may be closed to reading
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

func (f *file) shut() {
	if f.open != nil {
		_ = f.open.Close() // what counts was synced
		f.open = nil
	}
}

func (f *file) close() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	f.closed = true
	f.shut()
	return nil
}

// judgeFile returns what the error of a write means. A disk has no quarrel with a
// single event, and is often the same one on which the deliveries stand: so
// nothing is used up and nothing recorded while it is full.
//
//	none                                       delivered
//	no permission, no folder, not a file       blocked
//	everything else, as a full disk            throttled
func judgeFile(err error) onramp.Outcome {
	if o, unsent := attempt.Unsent(err); unsent {
		return o
	}
	o := onramp.Outcome{Verdict: onramp.Throttled}
	if err != nil {
		o.Detail = err.Error()
	}
	switch {
	case err == nil:
		return onramp.Outcome{Verdict: onramp.Delivered, Detail: "appended to the file"}
	case errors.Is(err, errStopped), errors.Is(err, context.Canceled):
		return stopped()
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		o.Verdict, o.Hint = onramp.Blocked, "allow Onramp to write to the file and its folder"
	case errors.Is(err, fs.ErrNotExist):
		o.Verdict, o.Hint = onramp.Blocked, "create the file's folder"
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
		o.Verdict, o.Hint = onramp.Blocked, "set the sink's path to a file, not a folder"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		o.Hint = "free space on the file's disk"
	default:
		o.Hint = "check the file's disk"
	}
	return o
}
