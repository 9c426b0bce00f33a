package ens_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox/ens"
)

func TestPost(t *testing.T) {
	t.Parallel()
	type request struct {
		Header http.Header
		Body   string
	}
	seen := make(chan request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Header.Del("Accept-Encoding") // the transport's own
		seen <- request{r.Header, string(body)}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	s := ens.New(ens.Config{}, ens.Host{}) // a request needs nothing of the host
	more := http.Header{"X-Test": {"1"}}
	for _, bearer := range []string{"", "t-1"} {
		status, err := s.Post(t.Context(), server.URL+"/a", bearer, more, []byte(`[1]`), time.Minute)
		if status != http.StatusTeapot || err != nil {
			t.Errorf("got %d, %v", status, err)
		}
		want := request{http.Header{"Content-Length": {"3"}, "Content-Type": {"application/json"}, "User-Agent": {"onramp-sandbox"}, "X-Test": {"1"}}, `[1]`}
		if bearer != "" {
			want.Header.Set("Authorization", "Bearer t-1")
		}
		if diff := cmp.Diff(want, <-seen); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		name, url, want string
		limit           time.Duration
		canceled        bool
	}{
		{"no time", server.URL, "Timeout. The operation has timed out", 0, false},
		{"canceled", server.URL, "RequestCanceled. The request was aborted: The request was canceled.", time.Minute, true},
		{"no URL", ":", "ReceiveFailure. The underlying connection was closed: An unexpected error occurred on a receive.", time.Minute, false},
	} {
		on := t.Context()
		if row.canceled {
			on = ctx
		}
		if status, err := s.Post(on, row.url, "", more, nil, row.limit); status != 0 || err == nil || err.Error() != row.want {
			t.Errorf("%s: got %d, %v", row.name, status, err)
		}
	}
}
