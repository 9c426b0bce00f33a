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
		challenged := w.Header().Get("WWW-Authenticate") != ""
		if !slices.Contains(statuses[got.Error], w.Code) || !description.MatchString(got.Description) || challenged != (w.Code == 401) {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
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
