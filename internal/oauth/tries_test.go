package oauth_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/oauth"
)

const (
	home    = "192.0.2.1:40000"
	strange = "198.51.100.7:50000"
)

// Wrong tries of one client from one address are limited, and neither the real
// client elsewhere nor another client here is locked out.
func TestTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, oauth.Config{}, &keeper{})
		from := func(address, basic string) ask { return ask{from: address, basic: basic, body: plainForm} }
		try := func(what string, want answer, a ask) {
			t.Helper()
			if diff := cmp.Diff(want, n.answer(a)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		ten := func(what string, want answer, a ask) {
			t.Helper()
			for i := range 10 {
				try(fmt.Sprintf("%s, try %d", what, i+1), want, a)
			}
		}
		ten("a short secret", unknown, from(strange, "weak:guess"))
		try("one too many", limited, from(strange, "weak:guess"))
		try("the right guess comes too late", limited, from(strange, "weak:s3cret"))
		try("from another port", limited, from("198.51.100.7:50001", "weak:guess"))
		try("in the body", limited, ask{from: strange, body: plainForm + "&client_id=weak&client_secret=guess"})
		try("the real client, elsewhere", good("ens"), from(home, "weak:s3cret"))
		try("another client at this address", good("ens"), from(strange, unicodeBasic))

		ten("a long secret", unknown, from(strange, "mc:guess"))
		try("one too many", limited, from(strange, "mc:guess"))
		try("the real client, at this address", good("ens"), from(strange, "mc:"+longSecret))
		try("but wrong ones still not", limited, from(strange, "mc:guess"))

		ten("a client that isn't known shows nothing else", unknown, from(strange, "nobody:guess"))
		try("one too many", limited, from(strange, "nobody:guess"))

		ten("a short secret where it was right", unknown, from(home, "weak:guess"))
		try("one too many", limited, from(home, "weak:guess"))
		try("the real client, at this address", good("ens"), from(home, "weak:s3cret"))

		<-time.After(6 * time.Second)
		try("one try has come back", unknown, from(strange, "weak:guess"))
		try("and no more", limited, from(strange, "weak:guess"))
		<-time.After(time.Minute)
		try("all have come back", good("ens"), from(strange, "weak:s3cret"))

		want := oauth.Counts{Issued: 5, Refused: 50, Limited: 9}
		if diff := cmp.Diff(want, n.server.Counts()); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

// Names that strangers invent push nothing out: neither how often a secret was tried
// nor where it was right before.
func TestInventedNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, oauth.Config{}, &keeper{})
		try := func(what string, want answer, address, basic string) {
			t.Helper()
			if diff := cmp.Diff(want, n.answer(ask{from: address, basic: basic, body: plainForm})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		try("the real client", good("ens"), home, "weak:s3cret")
		for i := range 10 {
			try(fmt.Sprintf("guess %d", i+1), unknown, strange, "weak:guess")
			try(fmt.Sprintf("guess %d at home", i+1), unknown, home, "weak:guess")
		}
		for i := range 10000 { // more than are remembered
			n.answer(ask{from: strange, basic: fmt.Sprintf("invented-%d:guess", i), body: plainForm})
		}
		for i := range 10000 {
			n.answer(form("grant_type=password&username=invented-" + fmt.Sprint(i) + "&password=guess"))
		}
		try("the right guess still comes too late", limited, strange, "weak:s3cret")
		try("the real client is still known where it was right", good("ens"), home, "weak:s3cret")
	})
}

// Passwords are limited for each user; one that is set up wrongly doesn't keep
// out the others of its client.
func TestPasswordTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, oauth.Config{}, &keeper{})
		with := func(user, password string) ask {
			return form("grant_type=password&username=" + user + "&password=" + password)
		}
		var got []int
		for range 11 {
			got = append(got, n.answer(with("jane", "guess")).Status)
		}
		got = append(got, n.answer(with("jane", "pässword+1")).Status, n.answer(with("joe", "joe's")).Status, n.answer(form(plainForm)).Status)
		if diff := cmp.Diff([]int{400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 429, 429, 200, 200}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// An IPv6 subscriber has a whole /64 to try from.
func TestTriesOfNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, oauth.Config{}, &keeper{})
		var got []int
		for i := range 11 {
			got = append(got, n.answer(ask{from: fmt.Sprintf("[2001:db8:0:1::%x]:4000", i), basic: "weak:guess", body: plainForm}).Status)
		}
		got = append(got, n.answer(ask{from: "[2001:db8:0:2::1]:4000", basic: "weak:guess", body: plainForm}).Status)
		if diff := cmp.Diff([]int{401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 429, 401}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A flood of other names doesn't give tries back to one who goes on trying.
func TestTriesOutlastFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, oauth.Config{Log: slog.New(slog.DiscardHandler)}, &keeper{})
		for range 10 {
			n.answer(plain("weak:guess"))
		}
		for i := range 12_500 {
			if n.answer(plain(fmt.Sprintf("stranger-%d:x", i))); i%2500 == 0 {
				if got := n.answer(plain("weak:guess")).Status; got != 429 {
					t.Errorf("after %d others: %d", i, got)
				}
			}
		}
	})
}

// However many strangers come, the memory for them is bounded.
func TestTriesNeedBoundedMemory(t *testing.T) { // not parallel: it looks at the heap
	n := newNode(t, oauth.Config{Log: slog.New(slog.DiscardHandler)}, &keeper{})
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	flood := func(round int) {
		for i := range 10_000 {
			n.answer(plain(fmt.Sprintf("stranger-%d-%d:x", round, i)))
		}
	}
	flood(0)
	before := heap()
	flood(1)
	if grown := heap() - before; grown > 1<<19 {
		t.Errorf("10,000 more strangers took %d KiB more", grown>>10)
	}
	runtime.KeepAlive(n)
}
