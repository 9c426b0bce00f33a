package ens_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"onramp/internal/ens"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// Memory is taken for what has arrived of a batch, not for what was claimed.
func TestClaimedLength(t *testing.T) {
	t.Parallel()
	receiver := ens.NewReceiver(ens.ReceiverConfig{Callbacks: []onramp.Callback{{Name: "events", Auth: onramp.SignatureOnly}}})
	mux := http.NewServeMux()
	receiver.Routes(mux, &web.Server{Log: slog.New(slog.DiscardHandler)})
	body := &widest{text: strings.NewReader("a")}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/ens/events", body)
	r.ContentLength = 16 << 20
	mux.ServeHTTP(httptest.NewRecorder(), r)
	if body.room == 0 || body.room > 64<<10 {
		t.Errorf("there was room for %d bytes", body.room)
	}
}

// widest notes the largest room that a reader had.
type widest struct {
	text *strings.Reader
	room int
}

func (w *widest) Read(p []byte) (int, error) {
	w.room = max(w.room, len(p))
	return w.text.Read(p)
}
