// Package bundle makes what an operator attaches to a public bug report: files that
// say how a gateway is doing, without secrets and personal data.
//
// Collect reads the sources that it is given and masks what they return, all of it in
// one place and by what is known to be harmless: numbers, truth values, times, the names of
// fields in Onramp's own types, and words of its documentation. Any other text becomes
// a # with six digits, the same for the same text within one bundle only. Write packs the
// files into an archive. Log keeps the newest lines of the log for it.
package bundle

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// maxFile bounds a file, so that a bundle of a troubled gateway can be held in memory.
	maxFile      = 4 << 20
	defaultLimit = 10 * time.Second
)

// Source is where a file of the bundle comes from.
type Source struct {
	Name  string        // of the file
	What  string        // what is in it, in a few words
	Limit time.Duration // how long Read may take; 0: ten seconds
	// Read returns what the file is made of: Raw, Metrics and Lines as they say, anything
	// else as JSON. Its values are masked, but for those of type Plain.
	Read func(ctx context.Context) (any, error)
}

// Plain is a text that is known to be harmless, whoever sees it.
type Plain string

// Raw is content that is known to be harmless.
type Raw []byte

// Metrics is text in the format of Prometheus.
type Metrics []byte

// Lines become a file with a line of JSON for each.
type Lines []any

// File is one file of a bundle.
type File struct {
	Name    string `json:"name"`
	Content []byte `json:"content"` // base64 in JSON
}

// Collect reads the sources one after the other and returns their files, masked, the
// first one README.txt. A source that fails or takes too long has no file; the README
// says so.
func Collect(ctx context.Context, sources []Source) ([]File, error) {
	m, err := newMasker()
	if err != nil {
		return nil, err
	}
	files := []File{{Name: "README.txt"}}
	var contents, missing strings.Builder
	for _, s := range sources {
		content, err := m.read(ctx, s)
		if err != nil {
			fmt.Fprintf(&missing, "  %-20s %s\n", s.Name, m.text(err.Error()))
			continue
		}
		files = append(files, File{s.Name, content})
		fmt.Fprintf(&contents, "  %-20s %s\n", s.Name, s.What)
	}
	files[0].Content = fmt.Appendf(nil, readme, contents.String(), cmp.Or(missing.String(), "  nothing\n"))
	return files, nil
}

// read makes the content of one file.
func (m *masker) read(ctx context.Context, s Source) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Limit, defaultLimit))
	defer cancel()
	found, err := s.Read(ctx)
	if err != nil {
		return nil, err
	}
	var content []byte
	switch v := found.(type) {
	case Raw:
		content = v
	case Metrics:
		content = m.metrics(v)
	case Lines:
		content, err = m.lines(v)
	default:
		content, err = json.MarshalIndent(m.value(v), "", "  ")
		content = append(content, '\n')
	}
	if err == nil && len(content) > maxFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	return content, err
}

func (m *masker) lines(all Lines) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	for _, line := range all {
		if err := encoder.Encode(m.value(line)); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// Write packs files into a .tar.gz, in a folder of the given name.
func Write(w io.Writer, folder string, files []File, at time.Time) error {
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + f.Name, Size: int64(len(f.Content)), Mode: 0o600, ModTime: at}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("pack %s: %w", f.Name, err)
		}
		if _, err := archive.Write(f.Content); err != nil {
			return fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return compressed.Close()
}

const readme = `This is a debug bundle of Onramp, for a bug report. It was made to be read by strangers.

Files

%s
Not available

%s
What was removed

  All texts but those that are known to be harmless: words of Onramp's documentation and of the
  messages of the systems that it uses, codes of Marketing Cloud, durations. Everything else
  (secrets, addresses, names of people, forms, columns, hosts and files, quoted values,
  numbers in texts) is replaced by # and six digits. Equal texts have equal digits within
  this bundle, and other digits in the next one. Secrets are shown as "redacted", all alike.
  No registration, no event, no request and no body of an answer is in here.

  A name that is also a word of the documentation, such as "mark", is kept where it stands in
  a sentence without quotes. Please look through the files before you publish them.
`
