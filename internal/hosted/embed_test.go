package hosted_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scriptHeader is what the script of a form brings.
func scriptHeader(more ...string) http.Header {
	h := http.Header{
		"Content-Type":                 {"text/javascript; charset=utf-8"},
		"Cache-Control":                {"public, max-age=300"},
		"Vary":                         {"Accept-Encoding, Accept-Language"},
		"Access-Control-Allow-Origin":  {"*"},
		"Cross-Origin-Resource-Policy": {"cross-origin"},
		"X-Content-Type-Options":       {"nosniff"},
	}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// maxScript is the most that the script of the spec's form may weigh, in bytes.
const maxScript = 8192

func TestEmbedScript(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	plain := do(t, s, "GET", "/embed/registration.js", "", nil)
	etag := plain.Header.Get("ETag")
	without := func(h http.Header) http.Header {
		h = h.Clone()
		for _, name := range []string{"ETag", "Content-Length", "Accept-Ranges"} {
			h.Del(name)
		}
		return h
	}
	if diff := cmp.Diff(answer{200, scriptHeader(), plain.Body}, answer{plain.Status, without(plain.Header), plain.Body}); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}

	zipped := do(t, s, "GET", "/embed/registration.js", "", http.Header{"Accept-Encoding": {"deflate, gzip;q=0.8, br"}})
	if diff := cmp.Diff(answer{200, scriptHeader("Content-Encoding", "gzip"), zipped.Body}, answer{zipped.Status, without(zipped.Header), zipped.Body}); diff != "" {
		t.Errorf("answer with gzip (-want +got):\n%s", diff)
	}
	if tag := zipped.Header.Get("ETag"); tag == etag || tag == "" || etag == "" {
		t.Errorf("ETag is %s, with gzip %s", etag, tag)
	}
	if unzipped := gunzip(t, zipped.Body); unzipped != plain.Body {
		t.Errorf("unzipped it is another script:\n%s", unzipped)
	}
	t.Logf("%d bytes, with gzip %d", len(plain.Body), len(zipped.Body))
	if len(plain.Body) > maxScript || len(zipped.Body) > maxScript/2 {
		t.Errorf("the script has %d bytes, with gzip %d: more than %d and %d", len(plain.Body), len(zipped.Body), maxScript, maxScript/2)
	}
	for _, none := range []string{"", "gzip;q=0", "gzip; q=0.00", "br", "x-gzip"} {
		if got := do(t, s, "GET", "/embed/registration.js", "", http.Header{"Accept-Encoding": {none}}); got.Body != plain.Body {
			t.Errorf("Accept-Encoding: %s gets %v", none, got.Header)
		}
	}

	head := do(t, s, "HEAD", "/embed/registration.js", "", nil)
	if diff := cmp.Diff(answer{200, plain.Header, ""}, head); diff != "" {
		t.Errorf("HEAD (-want +got):\n%s", diff)
	}
	same := do(t, s, "GET", "/embed/registration.js", "", http.Header{"If-None-Match": {etag}})
	if want := scriptHeader("ETag", etag); same.Status != 304 || cmp.Diff(want.Values("Cache-Control"), same.Header.Values("Cache-Control")) != "" || same.Body != "" {
		t.Errorf("who has it already gets %+v", same)
	}
}

func gunzip(t *testing.T, body string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestNoScript(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := answer{
		404, scriptHeader("Cache-Control", "no-store"),
		"// There is no form with this name at this gateway.\nconsole.error(\"onramp: there is no form with the name in the src of this script\", document.currentScript);\n",
	}
	want.Header.Del("Vary")
	for _, target := range []string{"/embed/nobody.js", "/embed/registration", "/embed/registration.css", "/embed/.js", "/embed/%3Cscript%3E.js"} {
		if diff := cmp.Diff(want, do(t, s, "GET", target, "", http.Header{"Accept": {"*/*"}})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
}

// What the script knows of a form with every type; the labels of people are JSON in it.
func TestScriptDescribesForm(t *testing.T) {
	t.Parallel()
	body := do(t, newSite(t), "GET", "/embed/our-survey_2026.js", "", nil).Body
	_, described, _ := strings.Cut(body, "={")
	var got struct {
		Fields []struct {
			Name, Kind, Missing string
			Value               []string
			Label               []string
			Set                 map[string]string
			Choices             [][2]string
		}
		Texts map[string]string
	}
	if err := json.NewDecoder(strings.NewReader("{" + described)).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(body, "<script") || strings.Contains(body, "<b>") {
		t.Errorf("a label stands in the script as it is:\n%s", body)
	}
	var lines []string
	for _, f := range got.Fields {
		line, err := json.Marshal([]any{f.Name, f.Label, f.Kind, f.Value, f.Missing, f.Set, f.Choices})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	want := []string{
		`["über",["\u003cb\u003eüber\u003c/b\u003e \"alles\" \u0026 mehr"],"",null,"",{"maxlength":"20","value":"\"\u003e\u003cscript\u003e"},null]`,
		`["code",["Code"],"",null,"",{"maxlength":"8","pattern":"[A-Z]{2}\"[0-9]+","required":""},null]`,
		`["mail",["Mail"],"",null,"",{"autocomplete":"email","maxlength":"100","type":"email"},null]`,
		`["agreed",["Agreed"],"checkbox",null,"Please tick this box to continue.",{"required":"","type":"checkbox","value":"true"},null]`,
		`["news",["News"],"select",["true"],"",null,[["true","Yes"],["false","No"]]]`,
		`["age",["Age"],"",null,"",{"step":"1","type":"number","value":"18"},null]`,
		`["amount",["Amount"],"",null,"",{"inputmode":"decimal"},null]`,
		`["born",["Born"],"",null,"",{"type":"date"},null]`,
		`["phone",["Phone"],"",null,"",{"autocomplete":"tel","type":"tel"},null]`,
		`["locale",["Locale"],"",null,"",null,null]`,
		`["size",["Size"],"select",null,"Please choose an option.",{"required":""},[["small","small"],["extra  large","extra  large"]]]`,
		`["color",["Color"],"select",["\u003cblue\u003e"],"",null,[["red","red"],["\u003cblue\u003e","\u003cblue\u003e"]]]`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	for key, text := range got.Texts {
		if text == "" {
			t.Errorf("the text %s is empty", key)
		}
	}
}

// The script that is served is made of the one that people read.
func TestScriptIsGenerated(t *testing.T) {
	t.Parallel()
	var kept []byte
	for _, name := range []string{"embed", "guard"} {
		const options = "tool -modfile=../../tools.mod esbuild NAME.js --minify --target=es2021 --log-level=warning"
		built, err := exec.CommandContext(t.Context(), "go", strings.Fields(strings.ReplaceAll(options, "NAME", name))...).Output()
		if err != nil {
			t.Skip("esbuild can't be built here:", err)
		}
		one, err := os.ReadFile(name + ".min.js")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, one) {
			t.Errorf("%[1]s.min.js is not made of %[1]s.js as it is: run go generate ./internal/hosted", name)
		}
		kept = append(kept, one...)
	}
	if n := bytes.Count(kept, []byte("ONRAMP_FORM")); n != 1 {
		t.Errorf("ONRAMP_FORM stands in it %d times", n)
	}
	for _, forbidden := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser", "srcdoc"} {
		if bytes.Contains(kept, []byte(forbidden)) {
			t.Errorf("it has %s, which Trusted Types or a Content-Security-Policy refuse", forbidden)
		}
	}
}
