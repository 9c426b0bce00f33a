package store_test

import (
	"strings"
	"testing"
	"time"
)

func (w *world) wantCertificate(name, want string) {
	w.t.Helper()
	got, err := w.s.LoadCertificate(w.t.Context(), name)
	if err != nil || string(got) != want || (got == nil) != (want == "") {
		w.t.Errorf("%s is %q, %v; want %q", name, got, err, want)
	}
}

// What belongs to certificates outlives a restart, can't be read in the database, and
// under another name is nothing.
func TestCertificates(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.cipher = reversing{}
		w.reopen()
		w.wantCertificate("a.example.com", "")
		for _, data := range []string{"first secret", "second secret"} {
			if err := w.s.SaveCertificate(t.Context(), "a.example.com", []byte(data)); err != nil {
				t.Fatal(err)
			}
			w.wantCertificate("a.example.com", data)
		}
		w.reopen()
		w.wantCertificate("a.example.com", "second secret")
		w.wantCertificate("a.example.com+token", "")
		for text := range w.countBy(`SELECT value, 1 FROM meta UNION ALL SELECT data, 1 FROM kept`) {
			if strings.Contains(text, "secret") {
				t.Errorf("in clear text: %s", text)
			}
		}
		if err := w.s.DeleteCertificate(t.Context(), "a.example.com"); err != nil {
			t.Fatal(err)
		}
		w.wantCertificate("a.example.com", "")
	})
}

// One that can't be decrypted is as good as none, and keeps nobody from starting with
// another key.
func TestUnreadableCertificate(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.cipher = reversing{}
		w.reopen()
		if err := w.s.SaveCertificate(t.Context(), "a.example.com", []byte("secret")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Exec(`UPDATE kept SET data = 'bm90aGluZw==' WHERE kind = 'certificate'`); err != nil {
			t.Fatal(err)
		}
		w.wantCertificate("a.example.com", "")
		lost, err := w.s.ResetKept(t.Context(), nil, true)
		if err != nil || len(lost) != 1 || lost[0].Lost != "nothing: another certificate is asked for" {
			t.Errorf("lost is %+v, %v", lost, err)
		}
		if err := w.s.SaveCertificate(t.Context(), "a.example.com", []byte("another")); err != nil {
			t.Fatal(err)
		}
		w.wantCertificate("a.example.com", "another")
	})
}

// One node at a time asks for the certificate of a host: until it has, or is gone.
func TestReserveCertificate(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		reserve := func(host string, want bool) {
			t.Helper()
			got, err := w.s.ReserveCertificate(t.Context(), host, 3*time.Minute)
			if err != nil || got != want {
				t.Errorf("%s is reserved: %v, %v; want %v", host, got, err, want)
			}
		}
		reserve("a.example.com", true)
		reserve("a.example.com", false)
		reserve("b.example.com", true)
		w.reopen()
		reserve("a.example.com", false)
		w.clock.advance(3*time.Minute + time.Second)
		reserve("a.example.com", true)
		if err := w.s.ReleaseCertificate(t.Context(), "a.example.com"); err != nil {
			t.Fatal(err)
		}
		reserve("a.example.com", true)
	})
}
