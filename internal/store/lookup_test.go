package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// lookUp gives the names of the registrations that are found by an address or a key.
func (w *world) lookUp(text string) []string {
	w.t.Helper()
	var names []string
	for below := int64(1<<63 - 1); below > 0; {
		found, next, err := w.s.RegistrationsOf(w.t.Context(), text, below)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range found {
			names = append(names, w.names[r.ID])
		}
		below = next
	}
	return names
}

// add stores a registration with a subscriber key and values.
func (w *world) add(name, key, values string) {
	w.t.Helper()
	r := w.registration("one", key)
	r.Values = []byte(values)
	if _, err := w.s.SaveRegistration(w.t.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
		w.t.Fatal(err)
	}
	w.ids[name], w.names[r.ID] = r.ID, name
}

// Registrations are found by whole addresses and subscriber keys, in any case: whether they are
// in memory, in the index, from before the start, or were edited.
func TestLookUp(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.add("ana", "Ana@example.org", `{"email":"Ana@example.org"}`)
		w.add("uuid", "5f7c1e0a", `{"email":"ana@EXAMPLE.org","other":"bea@example.org","n":3}`)
		w.add("bea", "bea@example.org", `{"email":"bea@example.org","note":"ask ana@example.org"}`)
		check := func(when string) {
			t.Helper()
			for text, want := range map[string]string{
				"ana@example.org": "uuid ana", "ANA@EXAMPLE.ORG": "uuid ana", "bea@example.org": "bea uuid", "5F7C1E0A": "uuid",
				"example.org": "", "ana": "", "": "", "nobody@example.org": "",
			} {
				if got := strings.Join(w.lookUp(text), " "); got != want {
					t.Errorf("%s, %q finds %q, want %q", when, text, got, want)
				}
			}
			for query, want := range map[string]int{"bea@example.org": 2, "5f7c1e0a": 1, "ask ANA@": 1, "example.org": 3, "nobody@example.org": 0} {
				page, _, _, err := w.s.ListRegistrations(t.Context(), onramp.Filter{Query: query})
				if err != nil || len(page) != want {
					t.Errorf("%s, the list for %q has %d, %v, want %d", when, query, len(page), err, want)
				}
			}
		}
		check("in memory")
		w.alone = true
		w.reopen()
		check("from before the start")
		if err := w.s.IndexLookUps(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("in the index")
		w.settle("bea.1", dead, 0)
		r, err := w.s.FindRegistration(t.Context(), w.ids["bea"])
		if err != nil {
			t.Fatal(err)
		}
		edited := r
		edited.SubscriberKey, edited.Values = "cleo@example.org", []byte(`{"email":"cleo@example.org"}`)
		err = w.s.EditDelivery(t.Context(), w.id("bea.1"), onramp.Edit{Fields: []string{"email"}, SubscriberKey: r.SubscriberKey, Values: r.Values}, edited)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(w.lookUp("cleo@example.org"), w.lookUp("bea@example.org")); got != "[bea] [uuid]" {
			t.Errorf("after the edit are found %s", got)
		}
	})
}

// A person with very many registrations is found in full, page by page, with the filters.
func TestLookUpMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sealedEngines[0])
	for i := range 1100 {
		w.add(fmt.Sprint("ana", i), "ana@example.org", `{"email":"ana@example.org"}`)
	}
	w.add("bea", "bea@example.org", `{"email":"bea@example.org"}`)
	if got := w.lookUp("ana@example.org"); len(got) != 1100 || got[0] != "ana1099" || got[1099] != "ana0" {
		t.Errorf("%d are found", len(got))
	}
	var seen []string
	for f := (onramp.Filter{Query: "ana@example.org", Limit: 300, State: "queued"}); ; {
		page, next, _, err := w.s.ListRegistrations(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			seen = append(seen, r.ID)
		}
		if f.Cursor = next; next == "" {
			break
		}
	}
	if n := len(seen); n != 1100 || len(slices.Compact(slices.Sorted(slices.Values(seen)))) != n {
		t.Errorf("the list has %d", n)
	}
	page, _, _, err := w.s.ListRegistrations(t.Context(), onramp.Filter{Query: "ana@example.org", State: "failed"})
	if err != nil || len(page) != 0 {
		t.Errorf("failed are %d, %v", len(page), err)
	}
}

// BenchmarkLookUp finds one of many registrations that are in the index.
func BenchmarkLookUp(b *testing.B) {
	w := newWorld(b, sealedEngines[0])
	for i := range 5000 {
		w.add(fmt.Sprint(i), fmt.Sprintf("user%d@example.org", i), `{}`)
	}
	if err := w.s.IndexLookUps(b.Context()); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		found, _, err := w.s.RegistrationsOf(b.Context(), fmt.Sprintf("user%d@example.org", i%5000), 1<<63-1)
		if err != nil || len(found) != 1 {
			b.Fatal(len(found), err)
		}
	}
}

// BenchmarkAccept is what an acceptance costs with and without encryption: one registration at
// a time is encrypted in parallel by many, and written by one.
func BenchmarkAccept(b *testing.B) {
	for _, clear := range []bool{true, false} {
		b.Run(fmt.Sprintf("encrypt=%v", !clear), func(b *testing.B) {
			s, err := store.Open(b.Context(), store.Config{URL: sqliteEngine.newURL(b), Cipher: reversing{}, Clear: clear})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			forms, err := s.RegisterForms(b.Context(), forms())
			if err != nil {
				b.Fatal(err)
			}
			values := []byte(`{"email":"user@example.com","first_name":"Ana","last_name":"Fernandez","opt_in":true,"received_at":"2026-11-30T10:00:00Z","ip":"198.51.100.7","user_agent":"` +
				strings.Repeat("Mozilla/5.0 ", 8) + `","page_url":"https://www.example.com/newsletter?utm_source=x"}`)
			b.SetParallelism(32)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					now := begin
					id := onramp.NewID(now)
					r := onramp.Registration{ID: id, Form: "both", SubscriberKey: id + "@example.com", ReceivedAt: now, Values: values, Route: forms[0].Route}
					if _, err := s.SaveRegistration(b.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// The addresses that are found in JSON are those that encoding/json finds in it.
func FuzzAddresses(f *testing.F) {
	for _, text := range []string{`{"a":"b@c.de"}`, `{"a@b":["\"@x","\u0061@b","a\\@b"],"n":1}`, `"`, `{"a":"\`, `[]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := store.Addresses([]byte(text))
		var one map[string]string
		if json.Unmarshal([]byte(text), &one) != nil {
			return
		}
		for _, value := range one {
			if want := store.IsAddress(value); want != slices.Contains(found, value) && want {
				t.Errorf("%q is not found in %q: %q", value, text, found)
			}
		}
	})
}
