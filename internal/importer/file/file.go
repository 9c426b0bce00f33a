// Package file reads the rows of a file that is to be imported: CSV as spreadsheets write
// it, or JSON lines. Whatever stands in the file, it holds no more than one row in memory.
package file

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"onramp/internal/importer"
)

// Format is how a file is written.
type Format int

// The formats.
const (
	CSV Format = iota
	JSONLines
)

const (
	mostRow     = 1 << 20 // bytes of one row
	mostColumns = 1000
)

// Reader reads rows, each with the line on which it begins.
type Reader struct {
	columns []string
	csv     *csv.Reader
	limit   *limited
	lines   *bufio.Reader
	line    int64
}

// ErrLong is that a row is longer than a megabyte: in CSV most often a quote that is never closed.
var ErrLong = errors.New("a row has more than a megabyte: is a quote never closed?")

// New begins to read. Of CSV it reads the header, and finds out what separates the columns.
// Text is in UTF-8, or in UTF-16 with a byte order mark.
func New(in io.Reader, format Format) (*Reader, error) {
	text := bufio.NewReaderSize(transform.NewReader(in, unicode.BOMOverride(transform.Nop)), 64<<10)
	if format == JSONLines {
		return &Reader{lines: text}, nil
	}
	r := &Reader{limit: &limited{from: text, left: mostRow}}
	comma, err := r.separator(text)
	if err != nil {
		return nil, err
	}
	r.csv = csv.NewReader(r.limit)
	r.csv.Comma, r.csv.FieldsPerRecord, r.csv.ReuseRecord = comma, -1, true
	return r, r.header()
}

// separator looks at the first line; Excel can say it in one of its own.
func (r *Reader) separator(text *bufio.Reader) (rune, error) {
	first, err := text.Peek(32 << 10)
	if err != nil && len(first) == 0 {
		return 0, fmt.Errorf("read the header: %w", noEnd(err))
	}
	line, _, _ := bytes.Cut(first, []byte("\n"))
	if said, is := bytes.CutPrefix(bytes.TrimRight(line, "\r"), []byte("sep=")); is && len(said) == 1 && strings.ContainsRune(";,\t|", rune(said[0])) {
		r.line++
		_, err := text.Discard(min(len(line)+1, len(first)))
		return rune(said[0]), err
	}
	comma, most := ',', 0
	for _, c := range ",;\t|" {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			comma, most = c, n
		}
	}
	return comma, nil
}

func (r *Reader) header() error {
	record, err := r.csv.Read()
	if err != nil {
		return fmt.Errorf("read the header: %w", noEnd(err))
	}
	for _, name := range record {
		name = strings.TrimSpace(name)
		switch {
		case !utf8.ValidString(name):
			return errEncoding
		case name == "":
			return fmt.Errorf("column %d has no name in the header", len(r.columns)+1)
		case slices.Contains(r.columns, name):
			return fmt.Errorf("two columns have the name %q", name)
		}
		if r.columns = append(r.columns, name); len(r.columns) > mostColumns {
			return fmt.Errorf("there are more than %d columns", mostColumns)
		}
	}
	return nil
}

var errEncoding = errors.New("the file is not in UTF-8: save it as CSV UTF-8")

// noEnd has a file that ends too early say so.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	}
	return err
}

// Columns are those of the header; JSON lines have none.
func (r *Reader) Columns() []string { return r.columns }

// Next reads the next row, io.EOF at the end. A row that can't be read says why; an error
// concerns the whole file.
func (r *Reader) Next() (importer.Row, error) {
	if r.lines != nil {
		return r.nextObject()
	}
	r.limit.left = mostRow
	record, err := r.csv.Read()
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		if errors.Is(parse.Err, ErrLong) {
			return importer.Row{}, ErrLong
		}
		return importer.Row{Line: r.line + int64(parse.StartLine), Wrong: parse.Err.Error()}, nil
	}
	if err != nil {
		return importer.Row{}, err
	}
	line, _ := r.csv.FieldPos(0)
	row := importer.Row{Line: r.line + int64(line)}
	if len(record) != len(r.columns) {
		row.Wrong = fmt.Sprintf("it has %d values, and the header %d columns", len(record), len(r.columns))
		return row, nil
	}
	row.Values = make(map[string]json.RawMessage, len(record))
	for i, value := range record {
		if !utf8.ValidString(value) {
			return importer.Row{Line: row.Line, Wrong: errEncoding.Error()}, nil
		}
		text, err := json.Marshal(value)
		if err != nil {
			return importer.Row{}, err
		}
		row.Values[r.columns[i]] = text
	}
	return row, nil
}

// nextObject reads the next line that is not blank.
func (r *Reader) nextObject() (importer.Row, error) {
	for {
		r.line++
		line, err := r.readLine()
		if len(bytes.TrimSpace(line)) == 0 {
			if err != nil {
				return importer.Row{}, err
			}
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return importer.Row{}, err
		}
		row := importer.Row{Line: r.line}
		if row.Values, err = readObject(line); err != nil {
			row.Values, row.Wrong = nil, err.Error()
		}
		return row, nil
	}
}

// readLine reads a line, of no more than a megabyte.
func (r *Reader) readLine() (line []byte, err error) {
	for {
		part, err := r.lines.ReadSlice('\n')
		if line = append(line, part...); len(line) > mostRow {
			return nil, ErrLong
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

var errObject = errors.New(`it is not a JSON object such as {"email":"ana@example.org"}`)

// readObject reads an object whose names are all different.
func readObject(line []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(line) {
		return nil, errEncoding
	}
	d := json.NewDecoder(bytes.NewReader(line))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errObject
	}
	values := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		text, isText := name.(string)
		var value json.RawMessage
		if err != nil || !isText || d.Decode(&value) != nil {
			return nil, errObject
		}
		if _, doubled := values[text]; doubled {
			return nil, errors.New("it has two values of the same name")
		}
		if values[text] = value; len(values) > mostColumns {
			return nil, errObject
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errObject
	}
	return values, nil
}

// limited lets so many bytes through and then fails.
type limited struct {
	from io.Reader
	left int
}

func (l *limited) Read(p []byte) (n int, err error) {
	if l.left <= 0 {
		return 0, ErrLong
	}
	n, err = l.from.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
