package sink

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"onramp/internal/onramp"
)

// Files are the names of the sinks that write files, sorted.
func (s *Sender) Files() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.sinks)) {
		if _, isFile := s.sinks[name].(*file); isFile {
			names = append(names, name)
		}
	}
	return names
}

// About is a person whose events are looked for.
type About struct {
	SubscriberKeys []string // compared in any case
	Addresses      []string // the same; anywhere in an event
	Sends          []string // jobId.batchId.subscriberId of mails that the person got: by them engagement is known
}

// RemoveLines takes the events out of a sink's file that are about a person, and returns how
// many there were. New events wait meanwhile. The file is replaced by another one of the same
// name and mode, and only if there is something to remove; files that were moved away, as
// logrotate does, stay as they are. That there is no such sink any more is no error.
func (s *Sender) RemoveLines(ctx context.Context, sink string, who About) (removed int64, err error) {
	f, isFile := s.sinks[sink].(*file)
	if !isFile {
		return 0, nil
	}
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	removed, err = f.removeLines(ctx, &who)
	if err != nil {
		return 0, fmt.Errorf("remove lines of the sink %s: %w", sink, err)
	}
	return removed, nil
}

func (f *file) removeLines(ctx context.Context, who *About) (removed int64, err error) {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, nil
	}
	rest, err := os.CreateTemp(filepath.Dir(f.path), ".onramp-*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, rest.Close())
		if removed == 0 || err != nil {
			_ = os.Remove(rest.Name()) // it has not become the file
		}
	}()
	if removed, err = copyOthers(ctx, rest, f.path, who); err != nil || removed == 0 {
		return removed, err
	}
	if err := rest.Chmod(info.Mode().Perm()); err != nil {
		return 0, err
	}
	if err := rest.Sync(); err != nil {
		return 0, err
	}
	f.shut() // the next event opens the new file
	if err := os.Rename(rest.Name(), f.path); err != nil {
		return 0, err
	}
	return removed, syncFolder(filepath.Dir(f.path))
}

// copyOthers copies the lines of a file that are not about a person, and counts the others.
func copyOthers(ctx context.Context, to io.Writer, path string, who *About) (removed int64, err error) {
	from, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	out := bufio.NewWriterSize(to, 64<<10)
	lines := bufio.NewReaderSize(from, 64<<10)
	for ctx.Err() == nil {
		line, readErr := lines.ReadBytes('\n')
		if readErr != nil && readErr != io.EOF {
			return 0, readErr
		}
		if len(line) > 0 && who.has(line) {
			removed++
		} else if _, err := out.Write(line); err != nil {
			return 0, err
		}
		if readErr == io.EOF {
			return removed, out.Flush()
		}
	}
	return 0, context.Cause(ctx)
}

// has says whether a line is an event about the person. One that is no envelope has not come
// from here.
func (a *About) has(line []byte) bool {
	var envelope struct{ Data json.RawMessage }
	if json.Unmarshal(line, &envelope) != nil || len(envelope.Data) == 0 {
		return false
	}
	e := onramp.ReadEvent(envelope.Data)
	return isOneOf(a.SubscriberKeys, e.SubscriberKey) || e.Send != "" && slices.Contains(a.Sends, e.Send) || a.hasAddress(envelope.Data)
}

// hasAddress says whether a value in an event is one of the addresses.
func (a *About) hasAddress(event []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(event))
	for {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		if text, isText := token.(string); isText && isOneOf(a.Addresses, text) {
			return true
		}
	}
}

func isOneOf(texts []string, text string) bool {
	return text != "" && slices.ContainsFunc(texts, func(one string) bool { return strings.EqualFold(one, text) })
}
