package app_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"onramp/internal/app"
)

// A fault that resets the connection does so behind the limits of the sandbox's own
// listener, too.
func TestSandboxResetsConnections(t *testing.T) {
	t.Parallel()
	s, err := app.StartSandbox(t.Context(), app.SandboxOptions{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	t.Cleanup(func() { <-done }) // the test's context has ended by then
	call := func(method, path, body string) error {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			err = res.Body.Close()
		}
		return err
	}
	if err := call("PUT", "/_sandbox/faults", `[{"match":"/v2/token","name":"reset"}]`); err != nil {
		t.Fatal(err)
	}
	if err := call("POST", "/v2/token", "{}"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
	}
}
