package web_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"onramp/internal/web"
)

func listen(t *testing.T, address string, h http.HandlerFunc) *web.Listener {
	t.Helper()
	l, err := web.Listen(t.Context(), address, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// A port that is taken is an error before anything runs, with a hint.
func TestListenTaken(t *testing.T) {
	t.Parallel()
	address := strings.TrimPrefix(listen(t, "127.0.0.1:0", nil).URL(), "http://")
	l, err := web.Listen(t.Context(), address, nil)
	if err == nil {
		_ = l.Close()
		t.Fatal("listens twice on one port")
	}
	if want := "listen tcp " + address + ": bind: address already in use; is another onramp running?"; err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Another onramp is not to blame for everything.
func TestListenWrong(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:99999", "nonsense"} {
		l, err := web.Listen(t.Context(), address, nil)
		if err == nil {
			_ = l.Close()
			t.Errorf("listens on %s", address)
			continue
		}
		if !strings.Contains(err.Error(), strings.TrimPrefix(address, "127.0.0.1:")) || strings.Contains(err.Error(), "another onramp") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The URL is one that a client on this machine can use.
func TestListenerURL(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", ":0", "0.0.0.0:0"} {
		l := listen(t, address, nil)
		if url := l.URL(); !strings.HasPrefix(url, "http://127.0.0.1:") || strings.HasSuffix(url, ":0") {
			t.Errorf("%s has the URL %s", address, url)
		}
	}
}

// Shutdown lets a request finish; Serve then returns nil.
func TestShutdown(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	l := listen(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "finished")
	})
	served, answered, stopped := make(chan error, 1), make(chan string, 1), make(chan error, 1)
	go func() { served <- l.Serve() }()
	go func() { answered <- get(t.Context(), l.URL()) }()
	<-begun
	go func() { stopped <- l.Shutdown(context.Background()) }()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	close(release)
	if got := <-answered; got != "finished" {
		t.Errorf("the request under way was answered %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// When its time is over Shutdown drops what is under way.
func TestShutdownLimit(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	l := listen(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	served, answered := make(chan error, 1), make(chan string, 1)
	go func() { served <- l.Serve() }()
	go func() { answered <- get(t.Context(), l.URL()) }()
	<-begun
	limit, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := l.Shutdown(limit); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := <-answered; !strings.Contains(got, "EOF") {
		t.Errorf("the request under way was answered %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// get returns the body or the error.
func get(ctx context.Context, url string) string {
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := new(http.Client).Do(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
