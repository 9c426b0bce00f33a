package web_test

import (
	"errors"
	"mime"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/web"
	"onramp/internal/web/media"
)

// What is a proper content type is read as the standard library reads it, and nothing
// is too careless to be read.
func FuzzContentType(f *testing.F) {
	for _, seed := range []string{
		"application/json", "application/json;", "application/json; charset=", "application/json, text/plain", `text/plain; Charset="utf-8"`,
		"multipart/form-data; boundary=----=_a/b; charset=latin1", "; charset=x", ";;=;", `a/b; c="`, "multipart/form-data; boundary*0=a; boundary*1=b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := media.ParseType(header)
		name, parameters, err := mime.ParseMediaType(header)
		want := media.Type{Media: name, Charset: strings.Trim(parameters["charset"], " \t\"'"), Boundary: parameters["boundary"]}
		if err == nil && got != want {
			t.Errorf("%q is %+v, want %+v", header, got, want)
		}
		if got.IsJSON() && got.IsForm() || got.Media != strings.ToLower(got.Media) {
			t.Errorf("%q is %+v", header, got)
		}
	})
}

// Whatever Accept says, a page goes to nobody who does not name HTML, and a further
// type changes nothing.
func FuzzAccept(f *testing.F) {
	for _, seed := range []string{
		"text/html", "*/*", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "application/json;q=0.5,text/html;q=0.4", "text/*;q=1.0",
		`text/html;a="\",b"`, "text/html;q=NaN", ",;q=,", "TEXT/HTML;Q=0",
	} {
		f.Add("POST", "application/x-www-form-urlencoded", seed)
		f.Add("GET", "", seed)
		f.Add("POST", "application/json", seed)
	}
	f.Fuzz(func(t *testing.T, method, contentType, accept string) {
		wants := func(accept string) bool {
			r := httptest.NewRequest("POST", "/", nil)
			r.Method = method
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Accept", accept)
			return web.WantsPage(r)
		}
		page := wants(accept)
		if lower := strings.ToLower(accept); page && !strings.Contains(lower, "text/html") && !strings.Contains(lower, "text/*") {
			t.Errorf("a page for %q", accept)
		}
		if wants("image/png;q=0.1,"+accept) != page {
			t.Errorf("%q with image/png is another thing", accept)
		}
		if wants("application/json,text/html;q=0.9," + strings.ReplaceAll(strings.ToLower(accept), "html", "css")) {
			t.Errorf("a page although JSON is liked better than in %q", accept)
		}
	})
}

// Whatever a text is said to be encoded in, it comes out as UTF-8 or is refused, and
// ASCII stays ASCII.
func FuzzCharset(f *testing.F) {
	for _, label := range []string{"", "utf-8", "latin1", "utf-16", "utf-16be", "shift_jis", "gb18030", "big5", "euc-kr", "iso-2022-jp", "x-user-defined", "utf-7", "iso-2022-kr"} {
		f.Add(label, "Zo\xc3\xab")
		f.Add(label, "\xff\xfea\x00")
		f.Add(label, "\xef\xbb\xbf\x93\xfa\x1b$B")
	}
	f.Fuzz(func(t *testing.T, label, text string) {
		charset, err := media.FindCharset(label)
		if err != nil {
			if e, ok := errors.AsType[*onramp.Error](err); !ok || e.Kind != onramp.Unsupported {
				t.Errorf("%q: %v", label, err)
			}
			return
		}
		check := func(got string, err error) {
			e, ok := errors.AsType[*onramp.Error](err)
			if err != nil && (!ok || e.Kind != onramp.Malformed) || err == nil && !utf8.ValidString(got) {
				t.Errorf("%q in %q is %q, %v", text, label, got, err)
			}
		}
		body, err := charset.Text([]byte(text))
		check(string(body), err)
		check(charset.Value(text))
		form := func(name, value string) error { check(name+value, nil); return nil }
		check("", media.ParseForm(text, charset, form))
	})
}
