package table

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree reads a whole JSON text with the scanner, as encoding/json would decode
// it with UseNumber.
func (p *Scanner) tree() any {
	switch p.Peek() {
	case '{':
		m := map[string]any{}
		for more := p.Enter('{'); more; more = p.More('{') {
			name := p.Name()
			m[name] = p.tree()
		}
		return m
	case '[':
		list := []any{}
		for more := p.Enter('['); more; more = p.More('[') {
			list = append(list, p.tree())
		}
		return list
	default:
		return p.Value().public()
	}
}

// compareScan reads a text with the scanner and with encoding/json.
func compareScan(t *testing.T, text string) {
	t.Helper()
	var want any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	good := json.Valid([]byte(text))
	p := Scanner{text: text}
	got := p.tree()
	if p.Done() != good {
		t.Fatalf("%q: good is %t, want %t", text, p.Done(), good)
	}
	flat := Scanner{text: text}
	raw := flat.Raw()
	if flat.Done() != good {
		t.Fatalf("%q: skipped as good is %t, want %t", text, flat.Done(), good)
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
		p := Scanner{text: strings.Repeat("[", n) + strings.Repeat("]", n)}
		p.Value()
		if good := json.Valid([]byte(p.text)); p.Done() != good {
			t.Errorf("%d lists: good is %t, want %t", n, p.Done(), good)
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
	cells := []Value{
		{KindText, ""}, {}, {KindNumber, "-1.50e3"}, {KindTrue, "true"}, {KindFalse, "false"}, {KindText, strings.Repeat("é", 5000)}, {Kind: KindNull}, {KindText, "end"},
	}
	var b []byte
	for _, v := range cells {
		b = appendCell(b, v)
	}
	r := Row(b)
	cells[6] = Value{} // null is not stored
	var got []Value
	for rest := r; rest != ""; {
		var v Value
		v, rest = rest.Next()
		got = append(got, v)
	}
	if diff := cmp.Diff(cells, got, cmp.AllowUnexported(Value{})); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	for i, want := range append(cells, Value{}) {
		if got := r.Cell(i); got != want {
			t.Errorf("cell %d is %v, want %v", i, got, want)
		}
	}
}
