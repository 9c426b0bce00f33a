package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"onramp/internal/sandbox"
)

// unprotected is the demo's configuration with a callback that only signatures
// protect: anyone can send it probes.
func unprotected(cfg string) string {
	return strings.Replace(cfg, "auth: client_credentials", "auth: none", 1)
}

// sendToCallback posts to the callback and returns the status.
func (w *world) sendToCallback(body string) int {
	w.t.Helper()
	response, err := http.Post(w.gateway.PublicURL()+"/ens/events", "application/json", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// Neither a probe with a strange id nor a flood of them, before, while and after
// Marketing Cloud sends its own, keeps a callback from being set up.
func TestStrangersProbes(t *testing.T) {
	t.Parallel()
	w := &world{t: t, sandbox: sandbox.New(sandbox.Config{Activation: -1})}
	flood := func(wave string) {
		for i := range 300 {
			if got := w.sendToCallback(fmt.Sprintf(`{"callbackId":"%s-%d","verificationKey":"k"}`, wave, i)); got != 200 {
				t.Errorf("%s: probe %d was answered with %d", wave, i, got)
			}
		}
	}
	cloud := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		create := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/ens-callbacks")
		if create {
			flood("before")
		}
		w.sandbox.ServeHTTP(rw, r)
		if create {
			flood("after")
		}
	}))
	t.Cleanup(cloud.Close)
	w.cloud = cloud.URL
	w.start(unprotected, filepath.Join(t.TempDir(), "onramp.db"))
	for _, id := range []string{`a\u0000b`, `a b`, `caf\u00e9`, `\ud800`, strings.Repeat("x", 300)} {
		if got := w.sendToCallback(`{"callbackId":"` + id + `","verificationKey":"k"}`); got != 422 {
			t.Errorf("%.20s: answered with %d", id, got)
		}
		if got := w.sendToCallback(`{"callbackId":"a","verificationKey":"` + id + `"}`); got != 422 {
			t.Errorf("key %.20s: answered with %d", id, got)
		}
	}
	flood("earlier")
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	var status struct {
		Callbacks []struct{ State string }
		Wrong     []any
	}
	w.getJSON(w.gateway.AdminURL()+"/api/ens", &status)
	if len(status.Callbacks) != 1 || status.Callbacks[0].State != "verified" || len(status.Wrong) > 0 {
		t.Errorf("the status is %+v", status)
	}
}
