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
		for text := range w.countBy(`SELECT data, 1 FROM kept WHERE kind <> 'chain key'`) {
			if strings.Contains(text, "seed") || strings.Contains(text, "k2") {
				t.Errorf("stands in the table: %s", text)
			}
		}
		for _, name := range []string{"a\x00b", "a\xffb"} {
			if err := w.s.SaveTokenClient(ctx, onramp.TokenClient{ID: name}); err == nil || w.s.DeleteTokenClient(ctx, name) != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

// A row that can't be read is listed as such, and all others stay good. If none can
// be read the key is wrong, and that is an error.
func TestUnreadable(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.cipher = reversing{}
		w.reopen()
		probe := onramp.Probe{Callback: "events", CallbackID: "c", VerificationKey: "k", ReceivedAt: begin}
		for _, name := range []string{"bad", "good"} {
			probe.CallbackID = name
			for _, err := range []error{
				w.s.SaveScheme(ctx, onramp.Scheme{Name: name}), w.s.SaveCallbackRecord(ctx, onramp.CallbackRecord{Name: name}),
				w.s.SaveTokenClient(ctx, onramp.TokenClient{ID: name}), w.s.SaveSigningKey(ctx, onramp.SigningKey{ID: name}), w.s.SaveProbe(ctx, probe),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		lists := func() (names []string, err error) {
			schemes, err1 := w.s.ListSchemes(ctx)
			records, err2 := w.s.ListCallbackRecords(ctx)
			clients, err3 := w.s.ListTokenClients(ctx)
			keys, err4 := w.s.ListSigningKeys(ctx)
			probes, err5 := w.s.ListProbes(ctx, "events")
			for _, s := range schemes {
				names = append(names, s.Name)
			}
			for _, r := range records {
				names = append(names, r.Name)
			}
			for _, c := range clients {
				names = append(names, c.ID)
			}
			for _, k := range keys {
				names = append(names, k.ID)
			}
			for _, p := range probes {
				names = append(names, p.CallbackID)
			}
			return names, errors.Join(err1, err2, err3, err4, err5)
		}
		spoil := func(where string) {
			if _, err := w.db.Exec(`UPDATE kept SET data = 'spoiled' WHERE ` + where); err != nil {
				t.Fatal(err)
			}
		}
		spoil(`name LIKE '%bad%'`)
		got, err := lists()
		if diff := cmp.Diff([]string{"good", "good", "good", "good", "good"}, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		unreadable, err := w.s.ListUnreadable(ctx)
		var named []string
		for _, u := range unreadable {
			if u.Hint == "" || strings.Contains(u.Hint+u.Err.Error(), "delete all rows") {
				t.Errorf("%+v", u)
			}
			named = append(named, u.Kind+" "+u.Name)
		}
		want := []string{"callback bad", "probe events/bad/8254c329", "scheme bad", "signing key bad", "token client bad"}
		if diff := cmp.Diff(want, named); diff != "" || err != nil {
			t.Error(diff, err)
		}
		spoil(`kind <> 'scheme'`)
		if got, err := lists(); len(got) != 1 || err != nil {
			t.Errorf("the key fits the schemes: %v, %v", got, err)
		}
		spoil(`1 = 1`)
		if _, err := lists(); err == nil || !strings.Contains(err.Error(), "it was encrypted with another encryption key") {
			t.Errorf("another key: %v", err)
		}
	})
}

// Whatever text comes from outside, what does not exist is not found: it is no
// trouble of the database.
func TestStrangeIDs(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.save("one", "ana1")
		for _, id := range []string{"", "\x00", w.ids["ana1"] + "\x00", "\xff", "\xff.1", "\x00.1", w.ids["ana1"] + "\x00.1", strings.Repeat("x", 1e6)} {
			_, err1 := w.s.FindRegistration(ctx, id)
			_, err2 := w.s.FindDelivery(ctx, id)
			_, err3 := w.s.FindEvent(ctx, id)
			_, err4 := w.s.Timeline(ctx, id)
			for i, err := range []error{err1, err2, err3, err4, w.s.RetryDelivery(ctx, id, false), w.s.DiscardDelivery(ctx, id, "\x00\xff")} {
				if !onramp.IsNotFound(err) {
					t.Errorf("%.20q, %d: %v", id, i, err)
				}
			}
		}
		for _, text := range []string{"\x00", "\xff"} {
			f := onramp.Filter{Query: text, Cause: text}
			_, _, _, err1 := w.s.ListRegistrations(ctx, f)
			_, _, _, err2 := w.s.ListDeliveries(ctx, f)
			_, err3 := w.s.ListCauses(ctx, f)
			_, _, _, err4 := w.s.ListEvents(ctx, onramp.EventFilter{Query: text, Type: text})
			_, err5 := w.s.RetryDeliveries(ctx, f, false, nil)
			if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
				t.Errorf("%q: %v", text, err)
			}
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

// Probes are kept by callback: only the newest, and not for long. Another key for the
// same id stands beside the first.
func TestProbes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.cipher = reversing{}
		w.reopen()
		probe := func(i int) onramp.Probe {
			return onramp.Probe{Callback: []string{"events", "other"}[min(i%10, 1)], CallbackID: fmt.Sprint(i / 20), VerificationKey: onramp.Secret(fmt.Sprint("k", i)), ReceivedAt: w.clock.now()}
		}
		for i := range 600 {
			w.clock.advance(time.Millisecond)
			if err := w.s.SaveProbe(ctx, probe(i)); err != nil {
				t.Fatal(err)
			}
		}
		probes, err := w.s.ListProbes(ctx, "events")
		if err != nil || len(probes) != 50 || probes[0].VerificationKey.Reveal() != "k590" || probes[49].VerificationKey.Reveal() != "k100" {
			t.Errorf("%d probes, %v", len(probes), err)
		}
		strange := onramp.Probe{Callback: "events", CallbackID: "a\x00b", VerificationKey: "k", ReceivedAt: w.clock.now()}
		if err := w.s.SaveProbe(ctx, strange); kindOf(err) != onramp.Invalid {
			t.Errorf("a NUL in an id: %v", err)
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
