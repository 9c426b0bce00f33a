package file_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/unicode"

	"onramp/internal/importer/file"
)

// read gives all rows as texts, and the error that ended it.
func read(t *testing.T, text string, format file.Format) (rows []string, err error) {
	t.Helper()
	r, err := file.New(strings.NewReader(text), format)
	if err != nil {
		return nil, err
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		line := fmt.Sprint(row.Line, ":")
		for _, column := range append(r.Columns(), "a", "b") {
			if value, has := row.Values[column]; has {
				line += fmt.Sprintf(" %s=%s", column, value)
				delete(row.Values, column)
			}
		}
		rows = append(rows, line+row.Wrong)
	}
}

func utf16(t *testing.T, text string) string {
	t.Helper()
	encoded, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// What spreadsheets write is read, whatever separates, ends and encodes it, with the lines
// on which the rows begin.
func TestCSV(t *testing.T) {
	t.Parallel()
	plain := []string{`2: email="ana@example.org" name="A"`, `3: email="bob@example.org" name="B;\nb, \"c\""`, `5: email="cid@example.org" name=""`}
	const commas = "email,name\nana@example.org,A\nbob@example.org,\"B;\nb, \"\"c\"\"\"\ncid@example.org,\n"
	semicolons := strings.NewReplacer("email,name", "email;name", "org,", "org;").Replace(commas)
	for name, text := range map[string]string{
		"commas": commas, "semicolons": semicolons, "Windows": strings.ReplaceAll(commas, "\n", "\r\n"), "no last line end": strings.TrimSuffix(commas, "\n"),
		"a mark": "\xef\xbb\xbf" + commas, "UTF-16": utf16(t, semicolons), "tabs": strings.NewReplacer("email,name", "email\tname", "org,", "org\t").Replace(commas),
	} {
		want := plain
		rows, err := read(t, text, file.CSV)
		if diff := cmp.Diff(want, rows); diff != "" || err != nil {
			t.Error(name, diff, err)
		}
	}
	rows, err := read(t, "sep=;\r\nemail;name\r\nana@example.org;A\r\n", file.CSV)
	if diff := cmp.Diff([]string{`3: email="ana@example.org" name="A"`}, rows); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// A row that can't be read is told with its line, and those behind it are read.
func TestWrongRows(t *testing.T) {
	t.Parallel()
	rows, err := read(t, "email,name\nana@example.org\nbob@example.org,\"B\" b\ncid@example.org,\xff\ndan@example.org,D\n", file.CSV)
	want := []string{
		"2:it has 1 values, and the header 2 columns", "3:" + `extraneous or missing " in quoted-field`, "4:the file is not in UTF-8: save it as CSV UTF-8",
		`5: email="dan@example.org" name="D"`,
	}
	if diff := cmp.Diff(want, rows); diff != "" || err != nil {
		t.Error(diff, err)
	}
	const notObject = `it is not a JSON object such as {"email":"ana@example.org"}`
	rows, err = read(t, "{\"a\":\"x\",\"b\":true}\n\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":1} {}\n{\"a\":\n{\"a\":null,\"b\":1.50}", file.JSONLines)
	want = []string{`1: a="x" b=true`, "3:" + notObject, "4:it has two values of the same name", "5:" + notObject, "6:" + notObject, `7: a=null b=1.50`}
	if diff := cmp.Diff(want, rows); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// What is wrong with the whole file is told at once, and an endless row does not fill the memory.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "the file is empty", "a,a\n": `two columns have the name "a"`, "a,\n1,2\n": "column 2 has no name", "\xffa,b\n": "not in UTF-8",
		"a,b\n1,\"" + strings.Repeat("x\n", 1<<20): "is a quote never closed?",
	} {
		if _, err := read(t, text, file.CSV); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	if _, err := read(t, `{"a":"`+strings.Repeat("x", 2<<20), file.JSONLines); !errors.Is(err, file.ErrLong) {
		t.Error(err)
	}
}

// No file makes the reader panic, stop, or go back.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "sep=;\na;b\n\"1\n\";2\n", "\xff\xfea\x00,\x00b\x00\n\x00", "{\"a\":1}\n\n{\"b\":[]}", "a\n\"\n"} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, isCSV bool) {
		format := file.JSONLines
		if isCSV {
			format = file.CSV
		}
		r, err := file.New(bytes.NewReader(data), format)
		if err != nil {
			return
		}
		for line, n := int64(0), 0; ; n++ {
			row, err := r.Next()
			if err != nil {
				return
			}
			if row.Line <= line || n > len(data)+2 || row.Wrong == "" && row.Values == nil {
				t.Fatalf("row %+v after line %d", row, line)
			}
			line = row.Line
		}
	})
}
