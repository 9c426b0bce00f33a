package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// uuidForms take an email address for which the database's secret makes a key.
func uuidForms() []onramp.Form {
	return []onramp.Form{{
		Name: "club", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
		Fields: []onramp.Field{{Name: "email", Column: "EmailAddress", Type: onramp.Email}},
		Route:  []onramp.Destination{{Kind: onramp.DataExtension, Key: "Club"}},
	}}
}

// keyOf is the subscriber key that the store's forms make for an address.
func keyOf(t *testing.T, s *store.Store) string {
	t.Helper()
	forms, err := s.RegisterForms(t.Context(), uuidForms())
	if err != nil {
		t.Fatal(err)
	}
	r, err := forms[0].Accept(onramp.Submission{
		ReceivedAt: begin, Inputs: []onramp.Input{{Name: "email", Value: onramp.Scalar{Kind: onramp.Posted, Text: "ana@example.org"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.SubscriberKey
}

// clearMeta is what meta has under names that hold secrets in clear text.
func (w *world) clearMeta() map[string]int64 {
	w.t.Helper()
	return w.countBy(`SELECT name, 1 FROM meta WHERE name IN ('key_secret', 'marketing_cloud_token')`)
}

// wantNotInFiles checks that nothing of the secrets is left in the files of the
// database, in use or not. PostgreSQL's are not ours to look at.
func (w *world) wantNotInFiles(secrets ...string) {
	w.t.Helper()
	if w.e.driver != "sqlite" {
		return
	}
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(w.url + suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Fatal(err)
		}
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				w.t.Errorf("onramp.db%s still holds %s", suffix, secret)
			}
		}
	}
}

// A new database with a key never has its secret in clear text.
func TestSealNew(t *testing.T) {
	t.Parallel()
	for _, e := range []engine{sqliteEngine, pgEngine} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			url := e.newURL(t)
			var keys []string
			for range 2 {
				s, err := store.Open(t.Context(), store.Config{URL: url, Cipher: reversing{}})
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, keyOf(t, s))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if keys[0] != keys[1] {
				t.Errorf("the same address got the keys %v", keys)
			}
			w := newWorld(t, engine{e.name, e.driver, func(testing.TB) string { return url }, reversing{}})
			if got := w.clearMeta(); len(got) > 0 {
				t.Errorf("in clear text: %v", got)
			}
		})
	}
}

// What stood in clear text is encrypted once there is a key, and gone from the
// file, also where it stood before; what it is for goes on as before.
func TestSealOld(t *testing.T) {
	onBothClear(t, func(t *testing.T, w *world) { // it begins without a key
		before := keyOf(t, w.s)
		secret := ""
		if err := w.db.QueryRow(`SELECT value FROM meta WHERE name = 'key_secret'`).Scan(&secret); err != nil {
			t.Fatal(err)
		}
		for i := range 50 { // the row moves about in its page
			token := fmt.Sprintf(`{"token":"clear-text-%d%s"}`, i, strings.Repeat("x", i*7))
			if _, err := w.db.Exec(`INSERT INTO meta (name, value) VALUES ('marketing_cloud_token', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, token); err != nil {
				t.Fatal(err)
			}
			if _, err := w.db.Exec(`INSERT INTO meta (name, value) VALUES ($1, 'other')`, fmt.Sprintf("other %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		w.cipher = reversing{}
		w.reopen()
		w.wantNotInFiles(secret, "clear-text-")
		if got := w.clearMeta(); len(got) > 0 {
			t.Errorf("in clear text: %v", got)
		}
		if got := w.countBy(`SELECT name, 1 FROM meta WHERE name LIKE 'other %'`); len(got) != 50 {
			t.Errorf("%d of 50 others are left", len(got))
		}
		token, err := w.s.LoadToken(t.Context())
		if err != nil || !strings.HasPrefix(string(token), `{"token":"clear-text-49x`) {
			t.Errorf("the token is %s, %v", token, err)
		}
		if after := keyOf(t, w.s); after != before {
			t.Errorf("the address has the key %s now, had %s", after, before)
		}
	})
}

// The database that a release has left holds nothing in clear text any more.
func TestSealReleased(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/releases/7d0a386.sqlite")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, []byte("key_secret"))
	if at < 0 {
		t.Fatal("the release's database has no secret in clear text")
	}
	secret := string(content[at+len("key_secret") : at+len("key_secret")+26])
	w := released(t, "7d0a386")
	w.wantNotInFiles(secret)
	if diff := cmp.Diff(map[string]int64{}, w.clearMeta()); diff != "" {
		t.Errorf("in clear text (-want +got):\n%s", diff)
	}
}

// Without the key of the secret only a form that needs it is refused.
func TestSealedWithoutKey(t *testing.T) {
	onBothClear(t, func(t *testing.T, w *world) {
		w.cipher, w.clear = reversing{}, true // the keys of persons are another matter
		w.reopen()
		before := keyOf(t, w.s)
		for _, cipher := range []store.Cipher{nil, other{}} {
			w.cipher = cipher
			w.reopen() // registers forms without such keys
			_, err := w.s.RegisterForms(t.Context(), uuidForms())
			if err == nil || !strings.Contains(err.Error(), "restore that key") {
				t.Errorf("got %v, want that the key is missing", err)
			}
		}
		w.cipher = reversing{}
		w.reopen()
		if after := keyOf(t, w.s); after != before {
			t.Errorf("the address has the key %s now, had %s", after, before)
		}
	})
}

// other is a cipher that can't decrypt what another has encrypted.
type other struct{ reversing }

func (other) Decrypt(string, string) ([]byte, error) { return nil, errors.New("another key") }
