package store_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// reversing is a cipher that anyone can break, but that knows what a text is about.
type reversing struct{}

func (reversing) Encrypt(plain []byte, about string) (string, error) {
	return base64.StdEncoding.EncodeToString([]byte(about + "\x00" + string(plain))), nil
}

func (reversing) Decrypt(text, about string) ([]byte, error) {
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	got, rest, _ := strings.Cut(string(plain), "\x00")
	if got != about {
		return nil, errors.New("is about something else")
	}
	return []byte(rest), nil
}

// What is kept comes back as it was after a restart, and nobody finds it in the
// tables as it is.
func TestKept(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.cipher = reversing{}
		w.reopen()
		record := onramp.CallbackRecord{Name: "events", CallbackID: "c1", SignatureKeys: []onramp.Secret{"k2", "k1"}, CreatedAt: begin, Verified: true}
		client := onramp.TokenClient{ID: "mc", Secrets: []onramp.Secret{"s2", "s1"}}
		keys := []onramp.SigningKey{{ID: "z", Seed: []byte("seed"), CreatedAt: begin}, {ID: "a", Seed: []byte("other"), CreatedAt: begin}}
		scheme := onramp.Scheme{Name: "password:mc:user", AuthID: "a1", Digest: "d"}
		for _, err := range []error{
			w.s.SaveCallbackRecord(ctx, onramp.CallbackRecord{Name: "events"}), w.s.SaveCallbackRecord(ctx, record), w.s.SaveTokenClient(ctx, client),
			w.s.SaveTokenClient(ctx, onramp.TokenClient{ID: "gone"}), w.s.DeleteTokenClient(ctx, "gone"), w.s.DeleteTokenClient(ctx, "never"),
			w.s.SaveSigningKey(ctx, keys[0]), w.s.SaveScheme(ctx, scheme),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		w.clock.advance(time.Second)
		if err := w.s.SaveSigningKey(ctx, keys[1]); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		records, err1 := w.s.ListCallbackRecords(ctx)
		clients, err2 := w.s.ListTokenClients(ctx)
		kept, err3 := w.s.ListSigningKeys(ctx)
		schemes, err4 := w.s.ListSchemes(ctx)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%#v", []any{records, clients, kept, schemes})
		want := fmt.Sprintf("%#v", []any{[]onramp.CallbackRecord{record}, []onramp.TokenClient{client}, keys, []onramp.Scheme{scheme}})
		if got != want || records[0].SignatureKeys[0].Reveal() != "k2" || clients[0].Secrets[1].Reveal() != "s1" {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for text := range w.countBy(`SELECT data, 1 FROM kept`) {
			if strings.Contains(text, "seed") || strings.Contains(text, "k2") {
				t.Errorf("stands in the table: %s", text)
			}
		}
		if _, err := w.db.Exec(`UPDATE kept SET name = 'other' WHERE kind = 'scheme'`); err != nil {
			t.Fatal(err)
		}
		if _, err := w.s.ListSchemes(ctx); err == nil || !strings.Contains(err.Error(), "it was encrypted with another encryption key") {
			t.Errorf("a text that was moved: %v", err)
		}
	})
}

// Without a cipher nothing secret is kept.
func TestKeptWithoutCipher(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteEngine)
	if err := w.s.SaveScheme(t.Context(), onramp.Scheme{Name: "a"}); err == nil {
		t.Error("kept without a cipher")
	}
	if schemes, err := w.s.ListSchemes(t.Context()); err != nil || len(schemes) > 0 {
		t.Error(schemes, err)
	}
}

// Anyone can send probes: only the newest are kept, and not for long.
func TestProbes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.cipher = reversing{}
		w.reopen()
		probe := func(i int) onramp.Probe {
			return onramp.Probe{Callback: []string{"events", "other"}[i%2], CallbackID: fmt.Sprint(i), VerificationKey: "k", ReceivedAt: w.clock.now()}
		}
		for i := range 210 {
			w.clock.advance(time.Millisecond)
			if err := w.s.SaveProbe(ctx, probe(i)); err != nil {
				t.Fatal(err)
			}
		}
		probes, err := w.s.ListProbes(ctx, "events")
		if err != nil || len(probes) != 100 || probes[0].CallbackID != "208" || probes[99].CallbackID != "10" {
			t.Errorf("%d probes, %v", len(probes), err)
		}
		w.clock.advance(5 * time.Hour)
		if err := w.s.SaveProbe(ctx, probe(300)); err != nil {
			t.Fatal(err)
		}
		probes, err = w.s.ListProbes(ctx, "events")
		if diff := cmp.Diff([]onramp.Probe{probe(300)}, probes); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

var _ store.Cipher = reversing{}
