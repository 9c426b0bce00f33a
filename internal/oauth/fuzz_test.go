package oauth_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"onramp/internal/oauth"
	"onramp/internal/onramp"
)

// FuzzToken sends whatever it likes to the token endpoint, which answers with a
// token that is good, or with an error as RFC 6749, 5.2 describes it.
func FuzzToken(f *testing.F) {
	for _, rows := range [][]row{clientRows, requestRows, grantRows, errorRows} {
		for _, row := range rows {
			if r := row.ask.request(); len(row.ask.body) < 1024 {
				f.Add(r.Header.Get("Authorization"), r.Header.Get("Content-Type"), row.ask.query, row.ask.body)
			}
		}
	}
	for _, strange := range []string{"mc%00", "%00", "%ff", "mc%20", strings.Repeat("x", 5000)} {
		f.Add("", "application/x-www-form-urlencoded", "", plainForm+"&client_id="+strange+"&client_secret="+strange)
		f.Add("", "application/x-www-form-urlencoded", "", "grant_type=password&username="+strange+"&password=x&client_id=mc&client_secret="+longSecret)
	}
	for _, charset := range []string{"utf-16", "UTF-16BE", "utf-7", "x-nobody", "iso-2022-kr", "iso-8859-1", ""} {
		f.Add("Basic "+encoded("m%C3%BC%3a1:%3A%3A+"), "application/x-www-form-urlencoded; charset="+charset, "", plainForm+"&x=%E4")
		f.Add("Basic "+encoded("mc:"+longSecret), "application/x-www-form-urlencoded; charset="+charset, "", utf16(plainForm))
	}
	f.Add("Basic AP8AOgD/", "application/x-www-form-urlencoded", "", plainForm)
	n := newNode(f, oauth.Config{Log: slog.New(slog.DiscardHandler)}, &keeper{})
	description := regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)
	statuses := map[string][]int{
		"invalid_request": {400, 413}, "invalid_client": {401}, "invalid_grant": {400}, "slow_down": {429},
		"unsupported_grant_type": {400}, "invalid_scope": {400},
	}
	f.Fuzz(func(t *testing.T, authorization, contentType, query, body string) {
		r := httptest.NewRequest("POST", "/oauth2/token", strings.NewReader(body))
		r.URL = &url.URL{Path: "/oauth2/token", RawQuery: query}
		r.Header = http.Header{"Content-Type": {contentType}}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		w := n.send(r)
		var got struct {
			AccessToken string `json:"access_token"`
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Pragma") != "no-cache" {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		if w.Code == http.StatusOK {
			if _, err := n.server.Check(t.Context(), "Bearer "+got.AccessToken); err != nil {
				t.Fatal(err)
			}
			return
		}
		if got.Description == "the charset is not known" && isPlain(body) {
			t.Fatalf("%q is refused for a charset: %s", body, contentType)
		}
		challenged := w.Header().Get("WWW-Authenticate") != ""
		if !slices.Contains(statuses[got.Error], w.Code) || !description.MatchString(got.Description) || challenged != (w.Code == 401) {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	})
}

// isPlain says whether a form is ASCII, as RFC 6749, appendix B has it.
func isPlain(form string) bool {
	return !strings.ContainsFunc(form, func(r rune) bool { return r == 0 || r > 0x7f })
}

// FuzzBasic has a client show its id and secret in each way in which clients are known
// to write them: RFC 6749, 2.3.1 encodes both, others encode neither, or only the colons.
func FuzzBasic(f *testing.F) {
	for _, client := range [][2]string{{"mc", longSecret}, {"a:b", "c:d+e%f"}, {"plus+id", "a%20b"}, {"mü:1", "пароль %zz"}, {"%3", "A%3"}} {
		f.Add(client[0], client[1])
	}
	colons := strings.NewReplacer(":", "%3A")
	f.Fuzz(func(t *testing.T, id, secret string) {
		if id == "" || secret == "" {
			return // nobody has those
		}
		ways := map[string]string{"encoded": url.QueryEscape(id) + ":" + url.QueryEscape(secret)}
		if !strings.Contains(id, ":") {
			ways["raw"] = id + ":" + secret
		}
		if !strings.Contains(strings.ToUpper(id), "%3A") { // where it is the id's own, nobody can tell
			ways["the id's colons"] = colons.Replace(id) + ":" + secret
			if !strings.Contains(strings.ToUpper(secret), "%3A") {
				ways["the colons"] = colons.Replace(id) + ":" + colons.Replace(secret)
			}
		}
		n := newNode(t, oauth.Config{
			Clients: []onramp.TokenClient{{ID: id, Secrets: []onramp.Secret{onramp.Secret(secret)}}}, Log: slog.New(slog.DiscardHandler),
		}, &keeper{})
		for way, basic := range ways {
			if w := n.send(plain(basic).request()); w.Code != http.StatusOK {
				t.Errorf("%q and %q, %s: %d %s", id, secret, way, w.Code, w.Body)
			}
		}
	})
}

// FuzzCheck gives the check headers of strangers. Only the server's own tokens
// pass.
func FuzzCheck(f *testing.F) {
	n := newNode(f, oauth.Config{Log: slog.New(slog.DiscardHandler)}, &keeper{})
	good := "Bearer " + n.mustToken(f)
	for _, header := range []string{good, good + ".", good[:len(good)-1], "Bearer a.b.c", "bearer", "Basic x", ""} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		_, err := n.server.Check(t.Context(), header)
		ours := len(header) > 7 && strings.EqualFold(header[:7], good[:7]) && strings.TrimLeft(header[7:], " ") == good[7:]
		if ours != (err == nil) || (err != nil) != (oauth.Reason(err) != "") {
			t.Errorf("%q: %v", header, err)
		}
	})
}
