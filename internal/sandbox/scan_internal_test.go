package sandbox

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree reads a whole JSON text with the scanner, as encoding/json would decode
// it with UseNumber.
func (p *scanner) tree() any {
	switch p.peek() {
	case '{':
		m := map[string]any{}
		for more := p.enter('{'); more; more = p.more('{') {
			name := p.name()
			m[name] = p.tree()
		}
		return m
	case '[':
		list := []any{}
		for more := p.enter('['); more; more = p.more('[') {
			list = append(list, p.tree())
		}
		return list
	default:
		return p.value().public()
	}
}

// compareScan reads a text with the scanner and with encoding/json.
func compareScan(t *testing.T, text string) {
	t.Helper()
	var want any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	good := json.Valid([]byte(text))
	p := scanner{text: text}
	got := p.tree()
	if p.done() != good {
		t.Fatalf("%q: good is %t, want %t", text, p.done(), good)
	}
	flat := scanner{text: text}
	raw := flat.raw()
	if flat.done() != good {
		t.Fatalf("%q: skipped as good is %t, want %t", text, flat.done(), good)
	}
	if !good {
		return
	}
	if raw != string(bytes.Trim([]byte(text), " \t\r\n")) {
		t.Errorf("%q: raw is %q", text, raw)
	}
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q (-encoding/json +scanner):\n%s", text, diff)
	}
}

var scanSeeds = []string{
	``, ` `, `null`, `nul`, `nullx`, `true`, `false`, `tru`, `0`, `-0`, `01`, `-`, `1.`, `1.5`, `.5`, `1e3`, `1E+30`, `1e`, `1e-`, `--1`, `+1`,
	`""`, `"a"`, `"a`, `"\"\\\/\b\f\n\r\t"`, `"\x"`, `"\u00e9"`, `"\u00E9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83d\u0041"`, `"\ude00"`, `"\ud83dx"`,
	`"\u12"`, `"\u12g4"`, `"\`, "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\xff\xfe\"", "\"\xe2\x82\"", `"é😀"`, `"é\n"`, "\"\xff\\n\"", `"\ud83d\u12"`,
	`[]`, `[ ]`, `[1,2 , "x"]`, `[1,]`, `[,1]`, `[1`, `[1 2]`, `{}`, `{ "a" : 1 , "b":{"c":[null]}}`, `{"a":1,}`, `{"a"}`, `{"a" 1}`, `{a:1}`, `{1:1}`,
	`{"a":1]`, `[1}`, `[] []`, `{"a":1,"a":2}`, "\t\r\n[\t1\r\n]", "\v1", "[1]\x00",
}

func TestScan(t *testing.T) {
	t.Parallel()
	for _, text := range scanSeeds {
		compareScan(t, text)
	}
	for _, n := range []int{9_999, 10_000, 10_001} {
		p := scanner{text: strings.Repeat("[", n) + strings.Repeat("]", n)}
		p.value()
		if good := json.Valid([]byte(p.text)); p.done() != good {
			t.Errorf("%d lists: good is %t, want %t", n, p.done(), good)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range scanSeeds {
		f.Add(text)
	}
	f.Fuzz(compareScan)
}

// Cells come out of a row as they went in.
func TestRow(t *testing.T) {
	t.Parallel()
	cells := []value{
		{kindText, ""}, {}, {kindNumber, "-1.50e3"}, {kindTrue, "true"}, {kindFalse, "false"}, {kindText, strings.Repeat("é", 5000)}, {kind: kindNull}, {kindText, "end"},
	}
	var b []byte
	for _, v := range cells {
		b = appendCell(b, v)
	}
	r := row(b)
	cells[6] = value{} // null is not stored
	var got []value
	for rest := r; rest != ""; {
		var v value
		v, rest = rest.next()
		got = append(got, v)
	}
	if diff := cmp.Diff(cells, got, cmp.AllowUnexported(value{})); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	for i, want := range append(cells, value{}) {
		if got := r.cell(i); got != want {
			t.Errorf("cell %d is %v, want %v", i, got, want)
		}
	}
}
