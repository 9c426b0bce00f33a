package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/web/media"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
	partType = "multipart/form-data; boundary=XX"
)

const (
	notUTF8        = "the body is not valid UTF-8"
	notJSON        = "the body is not valid JSON"
	notObject      = "the body must be a JSON object with the form's fields"
	notName        = "a field name is not valid text"
	notMultipart   = "the body is not valid multipart/form-data"
	tooMany        = "the body has more than 1000 fields"
	notContentType = "send application/json, application/x-www-form-urlencoded or multipart/form-data; with text/plain, or without a content type, the body must be a JSON object"
	notCharset     = "the charset is not known; send UTF-8, or another one of the WHATWG Encoding Standard"
)

func text(name, value string) onramp.Input {
	return onramp.Input{Name: name, Value: onramp.Scalar{Kind: onramp.String, Text: value}}
}

func posted(name, value string) onramp.Input {
	return onramp.Input{Name: name, Value: onramp.Scalar{Kind: onramp.Posted, Text: value}}
}

func plain(name string, kind onramp.ScalarKind, literal string) onramp.Input {
	return onramp.Input{Name: name, Value: onramp.Scalar{Kind: kind, Text: literal}}
}

// read is what ParseInputs made of a body.
type read struct {
	Inputs []onramp.Input
	Err    string
}

func parseInputs(contentType, body string) read {
	inputs, err := api.ParseInputs(contentType, []byte(body))
	if err != nil {
		return read{Err: err.Error()}
	}
	return read{Inputs: inputs}
}

func TestParseInputs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		contentType, body string
		want              read
	}{
		"flat object": {jsonType, `{"a":"x","b":12.50,"c":true,"d":false,"e":null,"f":{"g":[1]},"h":[]}`, read{Inputs: []onramp.Input{
			text("a", "x"), plain("b", onramp.Number, "12.50"), plain("c", onramp.True, ""), plain("d", onramp.False, ""),
			plain("e", onramp.Null, ""), plain("f", onramp.Nested, `{"g":[1]}`), plain("h", onramp.Nested, "[]"),
		}}},
		"white space":      {jsonType, " \r\n\t{ \"a\" \t:\n\"x\" , \"b\" : -1.5e+3 , \"c\" : [ ] } \n", read{Inputs: []onramp.Input{text("a", "x"), plain("b", onramp.Number, "-1.5e+3"), plain("c", onramp.Nested, "[ ]")}}},
		"empty object":     {jsonType, `{}`, read{}},
		"doubled names":    {jsonType, `{"a":"x","a":"y"}`, read{Inputs: []onramp.Input{text("a", "x"), text("a", "y")}}},
		"escapes":          {jsonType, `{"\u0061\"":"\"\\\/\b\f\n\r\t\u20ac\u0000"}`, read{Inputs: []onramp.Input{text(`a"`, "\"\\/\b\f\n\r\t€\x00")}}},
		"surrogate pair":   {jsonType, `{"a":"x\ud83d\ude00y","b":"\uD83D\uDE00"}`, read{Inputs: []onramp.Input{text("a", "x😀y"), text("b", "😀")}}},
		"half a pair":      {jsonType, `{"a":"x\ud83d"}`, read{Inputs: []onramp.Input{plain("a", onramp.Broken, "")}}},
		"halves reversed":  {jsonType, `{"a":"\ude00\ud83d"}`, read{Inputs: []onramp.Input{plain("a", onramp.Broken, "")}}},
		"half and escape":  {jsonType, `{"a":"\ud83d\n12345"}`, read{Inputs: []onramp.Input{plain("a", onramp.Broken, "")}}},
		"half in a name":   {jsonType, `{"\ud83d":"x"}`, read{Err: notName}},
		"braces in texts":  {jsonType, `{"a":[{"}":"]\"\\"}],"b":"{[\"}"}`, read{Inputs: []onramp.Input{plain("a", onramp.Nested, `[{"}":"]\"\\"}]`), text("b", `{["}`)}}},
		"HTML and quotes":  {jsonType, `{"a":"<b>&'\u003c"}`, read{Inputs: []onramp.Input{text("a", "<b>&'<")}}},
		"with a charset":   {`Application/JSON; charset="UTF-8"`, `{"a":"é"}`, read{Inputs: []onramp.Input{text("a", "é")}}},
		"utf8":             {"application/json;charset=utf8", `{"a":"é"}`, read{Inputs: []onramp.Input{text("a", "é")}}},
		"no JSON":          {jsonType, `a=x`, read{Err: notJSON}},
		"nothing":          {jsonType, ``, read{Err: notJSON}},
		"byte order mark":  {jsonType, "\ufeff{}", read{}},
		"two objects":      {jsonType, `{}{}`, read{Err: notJSON}},
		"trailing comma":   {jsonType, `{"a":"x",}`, read{Err: notJSON}},
		"control in text":  {jsonType, "{\"a\":\"x\ny\"}", read{Err: notJSON}},
		"single quotes":    {jsonType, `{'a':'x'}`, read{Err: notJSON}},
		"cut off":          {jsonType, `{"a":"x"`, read{Err: notJSON}},
		"array":            {jsonType, `[{"a":"x"}]`, read{Err: notObject}},
		"text":             {jsonType, `"a"`, read{Err: notObject}},
		"null":             {jsonType, `null`, read{Err: notObject}},
		"number":           {jsonType, ` 12`, read{Err: notObject}},
		"broken UTF-8":     {jsonType, "{\"a\":\"x\xff\"}", read{Err: notUTF8}},
		"encoded half":     {jsonType, "{\"a\":\"\xed\xa0\xbd\"}", read{Err: notUTF8}},
		"deep nesting":     {jsonType, `{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, read{Inputs: []onramp.Input{plain("a", onramp.Nested, strings.Repeat("[", 9000)+strings.Repeat("]", 9000))}}},
		"too deep nesting": {jsonType, `{"a":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`, read{Err: notJSON}},

		"form":             {formType, "a=x&b=&c&%64=%C3%A9+%2B%26%3D&a=y", read{Inputs: []onramp.Input{posted("a", "x"), posted("b", ""), posted("c", ""), posted("d", "é +&="), posted("a", "y")}}},
		"empty form":       {formType, "", read{}},
		"empty pairs":      {formType, "&&a=x&\r\n", read{Inputs: []onramp.Input{posted("a", "x")}}},
		"without a name":   {formType, "=x", read{Inputs: []onramp.Input{posted("", "x")}}},
		"equals in value":  {formType, "a=b=c", read{Inputs: []onramp.Input{posted("a", "b=c")}}},
		"semicolon":        {formType, "a=b;c=d", read{Inputs: []onramp.Input{posted("a", "b;c=d")}}},
		"form charset":     {formType + "; charset=UTF-8", "a=x", read{Inputs: []onramp.Input{posted("a", "x")}}},
		"no escapes":       {formType, "100%=50%+off%&a%2=%zz&b=%%41%4", read{Inputs: []onramp.Input{posted("100%", "50% off%"), posted("a%2", "%zz"), posted("b", "%A%4")}}},
		"form not UTF-8":   {formType, "a=%ff", read{Err: notUTF8}},
		"name not UTF-8":   {formType, "%c3%28=x", read{Err: notUTF8}},
		"NUL":              {formType, "a=%00", read{Inputs: []onramp.Input{posted("a", "\x00")}}},
		"a brace":          {formType, "{a=x", read{Inputs: []onramp.Input{posted("{a", "x")}}},
		"multipart":        {partType, parts(`form-data; name="a"`, "x\r\ny", `form-data; name="é"; filename=""`, ""), read{Inputs: []onramp.Input{posted("a", "x\r\ny"), posted("é", "")}}},
		"file":             {partType, parts(`form-data; name="a"; filename="x.txt"`, "x"), read{Inputs: []onramp.Input{plain("a", onramp.Nested, "")}}},
		"no parts":         {partType, "--XX--\r\n", read{}},
		"no multipart":     {partType, "a=x", read{Err: notMultipart}},
		"nothing at all":   {partType, "", read{Err: notMultipart}},
		"part cut off":     {partType, "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx", read{Err: notMultipart}},
		"header cut off":   {partType, "--XX\r\nContent-Dis", read{Err: notMultipart}},
		"no boundary":      {"multipart/form-data", "--XX--", read{Err: "the content type has no boundary"}},
		"part not UTF-8":   {partType, parts(`form-data; name="a"`, "\xff"), read{Err: notUTF8}},
		"name no UTF-8":    {partType, parts("form-data; name=\"\xff\"", "x"), read{Err: notUTF8}},
		"file's part name": {partType, parts(`attachment; name="a"`, "x"), read{Inputs: []onramp.Input{posted("", "x")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(row.want, parseInputs(row.contentType, row.body), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
		})
	}
}

// parts builds a multipart body from dispositions and contents.
func parts(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("--XX\r\nContent-Disposition: " + pairs[i] + "\r\n\r\n" + pairs[i+1] + "\r\n")
	}
	return b.String() + "--XX--\r\n"
}

// A thousand fields are read, so that the form can say which it does not know;
// more are not.
func TestParseInputsMany(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1000, 1001} {
		var object, form, dispositions []string
		for i := range n {
			object = append(object, `"f`+strconv.Itoa(i)+`":1`)
			form = append(form, "f"+strconv.Itoa(i)+"=1")
			dispositions = append(dispositions, `form-data; name="f`+strconv.Itoa(i)+`"`, "1")
		}
		for contentType, body := range map[string]string{
			jsonType: "{" + strings.Join(object, ",") + "}", formType: strings.Join(form, "&"), partType: parts(dispositions...),
		} {
			got := parseInputs(contentType, body)
			if n == 1000 && (got.Err != "" || len(got.Inputs) != n) || n > 1000 && got.Err != tooMany {
				t.Errorf("%s: %d fields gave %d inputs, error %q", contentType, n, len(got.Inputs), got.Err)
			}
		}
	}
}

// encoding/json reads every object that ParseInputs reads, and the same from it.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{
		`{"email":"a@b.co","opt_in":true,"n":-12.5e3,"x":null,"y":false}`, `{"a":{"b":[1,"]}\"",{}]},"c":[[],[]]}`, `{"\ud83d\ude00":"\ud83d\ude00"}`,
		`{"a":"\ud83d","b":"\ude00\ud83d","\udc00":1}`, `{"a":"\"\\\/\b\f\n\r\t\u00e9"}`, " { \"a\" : \"x\" , \"a\" : 1 } ", `{}`, `[]`, `"a"`, `12`, "", `{"a":"x"`,
		`{"a":"\ufffd` + "\ufffd" + `"}`, "{\"a\":\"\xff\"}", `{"":""}`, `{"a":"\\ud83d"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := parseInputs(jsonType, body)
		want, ok := reference(body)
		if (got.Err == "") != ok {
			t.Fatalf("%q: encoding/json reads it: %v; got %+v", body, ok, got)
		}
		if diff := cmp.Diff(want, got.Inputs, cmpopts.EquateEmpty()); ok && diff != "" {
			t.Errorf("%q: (-encoding/json +got):\n%s", body, diff)
		}
	})
}

// reference reads a flat object with encoding/json, by tokens so that nothing
// is lost.
func reference(body string) (inputs []onramp.Input, ok bool) {
	body = strings.TrimPrefix(body, "\ufeff")
	if !utf8.ValidString(body) || !json.Valid([]byte(body)) {
		return nil, false
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return nil, false
	}
	for decoder.More() {
		from := decoder.InputOffset()
		name, err := decoder.Token()
		if err != nil || halfPair(body[from:decoder.InputOffset()]) {
			return nil, false
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, false
		}
		in := onramp.Input{Name: name.(string)}
		switch raw[0] {
		case '"':
			in.Value.Kind = onramp.String
			if err := json.Unmarshal(raw, &in.Value.Text); err != nil {
				return nil, false
			}
			if halfPair(string(raw)) {
				in.Value = onramp.Scalar{Kind: onramp.Broken}
			}
		case '{', '[':
			in.Value = onramp.Scalar{Kind: onramp.Nested, Text: string(raw)}
		case 't':
			in.Value.Kind = onramp.True
		case 'f':
			in.Value.Kind = onramp.False
		case 'n':
		default:
			in.Value = onramp.Scalar{Kind: onramp.Number, Text: string(raw)}
		}
		inputs = append(inputs, in)
	}
	return inputs, len(inputs) <= 1000
}

// halfPair says whether a JSON text escapes half a surrogate pair, which
// encoding/json turns into U+FFFD in silence.
func halfPair(raw string) bool {
	var units []uint64
	for len(raw) > 0 {
		unit, size := uint64(raw[0]), 1
		if raw[0] == '\\' {
			unit, size = 0, 2
			if raw[1] == 'u' {
				unit, _ = strconv.ParseUint(raw[2:6], 16, 16)
				size = 6
			}
		}
		units, raw = append(units, unit), raw[size:]
	}
	for i := 0; i < len(units); i++ {
		switch {
		case units[i]>>10 == 0xd800>>10 && i+1 < len(units) && units[i+1]>>10 == 0xdc00>>10:
			i++
		case units[i]>>11 == 0xd800>>11:
			return true
		}
	}
	return false
}

// net/url reads what ParseInputs reads from a form, when each % that escapes nothing is
// written as %25; but for semicolons, outer line ends and what is JSON in truth.
func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{
		"email=a%40b.co&first_name=Jane+%C3%A9&opt_in=on", "a=x&a=y&b", "a=%zz", "%", "a=%ff", "=&&=", "a=b=c", "a=\x00", strings.Repeat("a&", 1001),
		"a=%%41&%4=100%", "0%%", "_charset_=windows-1252&a=%e9", "{\"a\":1}", "\ufeffa=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := parseInputs(formType, body)
		if strings.ContainsAny(body, ";{") || strings.Contains(body, media.CharsetField) || strings.Trim(body, "\r\n") != body || strings.Count(body, "&") >= 1000 {
			return
		}
		want, err := url.ParseQuery(escape.ReplaceAllStringFunc(strings.TrimPrefix(body, "\ufeff"), func(found string) string {
			if found == "%" {
				return "%25"
			}
			return found
		}))
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		valid := true
		for name, values := range want {
			valid = valid && utf8.ValidString(name) && utf8.ValidString(strings.Join(values, ""))
		}
		if (got.Err == "") != valid {
			t.Fatalf("%q: net/url reads it: %v; got %+v", body, valid, got)
		}
		values := url.Values{}
		for _, in := range got.Inputs {
			if in.Value.Kind != onramp.Posted {
				t.Fatalf("%q: %+v was not posted", body, in)
			}
			values.Add(in.Name, in.Value.Text)
		}
		if diff := cmp.Diff(want, values, cmpopts.EquateEmpty()); valid && diff != "" {
			t.Errorf("%q: (-net/url +got):\n%s", body, diff)
		}
	})
}

// escape is a percent-encoded byte, or a lone %.
var escape = regexp.MustCompile(`%(?:[0-9a-fA-F]{2})?`)

// Whatever comes as multipart is read or refused; what a client has written
// properly is read as it was meant.
func FuzzParseMultipart(f *testing.F) {
	f.Add(parts(`form-data; name="a"`, "x", `form-data; name="b"; filename="f"`, "y"), "name", "value")
	f.Add("--XX\r\n\r\n--XX--", "", "")
	f.Add("--XX\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=shift_jis\r\nContent-Transfer-Encoding: base64\r\n\r\nk/qW\r\new==\r\n--XX--", "_charset_", "utf-7")
	f.Add("--XX\nContent-Disposition: form-data; name=a\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n--XX--", "é", "a\r\n--XX--\r\nb")
	f.Fuzz(func(t *testing.T, body, name, value string) {
		inputs, err := api.ParseInputs(partType, []byte(body))
		if e, ok := errors.AsType[*onramp.Error](err); err != nil && (!ok || e.Kind != onramp.Malformed && e.Kind != onramp.Unsupported) {
			t.Errorf("%q: got %#v", body, err)
		}
		for _, in := range inputs {
			if !utf8.ValidString(in.Name) || !utf8.ValidString(in.Value.Text) {
				t.Errorf("%q: %+q is no text", body, in)
			}
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) || strings.ContainsAny(name, "\r\n\x00\\\"") {
			return // a name is written into a header
		}
		var written bytes.Buffer
		w := multipart.NewWriter(&written)
		if err := errors.Join(w.WriteField(name, value), w.Close()); err != nil {
			t.Fatal(err)
		}
		got := parseInputs(w.FormDataContentType(), written.String())
		if diff := cmp.Diff(read{Inputs: []onramp.Input{posted(name, value)}}, got); diff != "" && name != "" && !strings.ContainsFunc(name, isControl) {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
