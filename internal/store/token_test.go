package store_test

import (
	"strings"
	"testing"
)

func (w *world) saveToken(token string) {
	w.t.Helper()
	if err := w.s.SaveToken(w.t.Context(), []byte(token)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantToken(want string) {
	w.t.Helper()
	got, err := w.s.LoadToken(w.t.Context())
	if err != nil || string(got) != want {
		w.t.Errorf("got token %q, %v; want %q", got, err, want)
	}
}

// wantNoClearToken checks that the token stands nowhere as it is.
func (w *world) wantNoClearToken() {
	w.t.Helper()
	for text := range w.countBy(`SELECT value, 1 FROM meta UNION ALL SELECT data, 1 FROM kept`) {
		if strings.Contains(text, "token") {
			w.t.Errorf("in clear text: %s", text)
		}
	}
}

// The token outlives a restart, and whoever reads the database can't read it.
func TestToken(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.cipher = reversing{}
		w.reopen()
		w.wantToken("")
		for _, token := range []string{`{"token":1}`, `{"token":2}`} {
			w.saveToken(token)
			w.wantToken(token)
		}
		w.reopen()
		w.wantToken(`{"token":2}`)
		w.wantNoClearToken()
	})
}

// Without a key a token is not kept, rather than kept in clear text.
func TestTokenWithoutCipher(t *testing.T) {
	onBothClear(t, func(t *testing.T, w *world) {
		w.saveToken(`{"token":1}`)
		w.wantToken("")
		w.wantNoClearToken()
	})
}

// A token that was encrypted with another key is reported, and replaced by the
// next one.
func TestUnreadableToken(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.cipher = reversing{}
		w.reopen()
		w.saveToken(`{"token":1}`)
		if _, err := w.db.Exec(`UPDATE kept SET data = 'bm90aGluZw=='`); err != nil {
			t.Fatal(err)
		}
		token, err := w.s.LoadToken(t.Context())
		if err == nil || !strings.HasSuffix(err.Error(), "; a new one is requested") {
			t.Errorf("got %q, %v", token, err)
		}
		w.saveToken(`{"token":2}`)
		w.wantToken(`{"token":2}`)
	})
}
