package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// sent is what a server gets from a Client.
type sent struct {
	Method, Target, Body string
	Header               http.Header
}

func TestClientSends(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		client web.Client
		body   any
		want   sent
	}{
		{"nothing", web.Client{}, nil, sent{Header: http.Header{}}},
		{"JSON", web.Client{}, map[string]int{"n": 1}, sent{Body: `{"n":1}`, Header: http.Header{"Content-Type": {"application/json"}}}},
		{"a form", web.Client{}, url.Values{"grant_type": {"a b"}}, sent{
			Body: "grant_type=a+b", Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		}},
		{"a token and a header", web.Client{Token: "operator", Header: http.Header{"Prefer": {"wait=5"}}}, nil, sent{
			Header: http.Header{"Authorization": {"Bearer operator"}, "Prefer": {"wait=5"}},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var got sent
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				for _, name := range []string{"Accept-Encoding", "User-Agent", "Content-Length"} {
					r.Header.Del(name) // net/http's own
				}
				got = sent{r.Method, r.URL.String(), string(body), r.Header}
				_, _ = io.WriteString(w, `{"ok":true}`)
			}))
			defer server.Close()
			row.client.Base = server.URL
			var answer struct{ OK bool }
			if err := row.client.Call(t.Context(), http.MethodPut, "/things?all=1", row.body, &answer); err != nil || !answer.OK {
				t.Errorf("answer %+v, %v", answer, err)
			}
			row.want.Method, row.want.Target = http.MethodPut, "/things?all=1"
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What goes wrong is told in the words of the server where it has some.
func TestClientErrors(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		answer http.HandlerFunc
		want   string // BASE stands for the address
	}{
		{"problem", func(w http.ResponseWriter, _ *http.Request) {
			web.WriteProblem(w, &onramp.Error{Kind: onramp.Invalid, Message: "not valid", Fields: []onramp.FieldError{{Field: "email", Message: "is required"}}})
		}, "not valid; email is required"},
		{"failure without a problem", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "BASE answered 502 Bad Gateway"},
		{"no redirect's target", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, "BASE answered 304 Not Modified"},
		{
			"success that is no JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
			"BASE answered 200 OK with a body that can't be read: invalid character '<' looking for beginning of value",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(row.answer)
			defer server.Close()
			client := web.Client{Base: server.URL}
			var into struct{}
			err := client.Call(t.Context(), http.MethodGet, "/", nil, &into)
			answer, ok := errors.AsType[*web.AnswerError](err)
			if !ok || answer.Error() != strings.Replace(row.want, "BASE", server.URL, 1) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
	client := web.Client{Base: "http://127.0.0.1:1"}
	if _, ok := errors.AsType[*url.Error](client.Call(t.Context(), http.MethodGet, "/", nil, nil)); !ok {
		t.Error("no server: want an error of package url")
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := client.Call(ctx, http.MethodGet, "/", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: got %v", err)
	}
}

// Without a value to decode into, the body may be anything.
func TestClientDiscards(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ready") }))
	defer server.Close()
	if err := (&web.Client{Base: server.URL}).Call(t.Context(), http.MethodGet, "/readyz", nil, nil); err != nil {
		t.Error(err)
	}
}
