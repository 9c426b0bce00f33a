package oauth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/oauth"
	"onramp/internal/onramp"
)

// run runs the server until the test ends.
func (n *node) run(t *testing.T) {
	t.Helper()
	var running sync.WaitGroup
	running.Go(func() { n.server.Run(t.Context()) })
	t.Cleanup(running.Wait)
}

// checks says what a node makes of a token: "ok", or the reason for refusing it.
func (n *node) checks(t *testing.T, token string) string {
	t.Helper()
	if _, err := n.server.Check(t.Context(), "Bearer "+token); err != nil {
		return oauth.Reason(err)
	}
	return "ok"
}

// kid is the key that signed a token.
func kid(t *testing.T, token string) string {
	t.Helper()
	id, _ := partsOf(t, token)[0]["kid"].(string)
	return id
}

// Two nodes share their keys. A new one signs once both have read it, and an old
// one is kept until its last token has expired.
func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		cfg := oauth.Config{RotateAfter: 3 * time.Hour}
		a, b := newNode(t, cfg, k), newNode(t, cfg, k)
		a.run(t)
		b.run(t)
		first := k.ids()
		if len(first) != 1 {
			t.Fatalf("%d keys at the start", len(first))
		}
		<-time.After(3*time.Hour + time.Second) // all of them a second after a tick
		keys := k.ids()
		if len(keys) < 2 || keys[0] != first[0] {
			t.Fatalf("keys %v after %v", keys, first)
		}
		early := []string{a.mustToken(t), b.mustToken(t)}
		<-time.After(2 * time.Minute)
		late := []string{a.mustToken(t), b.mustToken(t)}
		for i := range 2 {
			if kid(t, early[i]) != keys[0] || kid(t, late[i]) == keys[0] {
				t.Errorf("node %d signs with %s, then %s", i, kid(t, early[i]), kid(t, late[i]))
			}
		}
		for _, wait := range []time.Duration{0, 17 * time.Minute} {
			<-time.After(wait)
			for _, token := range append(early, late...) {
				if diff := cmp.Diff([]string{"ok", "ok"}, []string{a.checks(t, token), b.checks(t, token)}); diff != "" {
					t.Errorf("a token of %s %s later (-want +got):\n%s", kid(t, token), wait, diff)
				}
			}
		}
		<-time.After(time.Hour)
		if got := k.ids(); got[0] != keys[0] {
			t.Error("the old key was deleted too early")
		}
		<-time.After(10 * time.Minute)
		if got := k.ids(); got[0] == keys[0] {
			t.Error("the old key is still there")
		}
		if got := b.checks(t, early[0]); got != "key" {
			t.Errorf("a token of a deleted key: %s", got)
		}
	})
}

// After a long time off the key is much too old; the tokens that it signs until
// its successor has settled must be good all the same.
func TestRotationAfterLongPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{keys: []onramp.SigningKey{newKey("old", time.Now().AddDate(-1, 0, 0))}}
		n := newNode(t, oauth.Config{}, k)
		n.run(t)
		token := n.mustToken(t)
		if kid(t, token) != "old" || len(k.ids()) != 2 {
			t.Errorf("signed with %s; keys %v", kid(t, token), k.ids())
		}
		<-time.After(19 * time.Minute)
		if got := n.checks(t, token); got != "ok" {
			t.Errorf("19 minutes later: %s", got)
		}
		if kid(t, n.mustToken(t)) == "old" {
			t.Error("19 minutes later it still signs with the old key")
		}
		<-time.After(2 * time.Hour)
		if len(k.ids()) != 1 {
			t.Errorf("keys %v", k.ids())
		}
	})
}

// Nodes that start together on an empty store take each other's tokens.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		nodes := make([]*node, 4)
		var starting sync.WaitGroup
		for i := range nodes {
			starting.Go(func() { nodes[i] = newNode(t, oauth.Config{}, k) })
		}
		starting.Wait()
		<-time.After(10 * time.Second)
		for _, from := range nodes {
			token := from.mustToken(t)
			for i, to := range nodes {
				if got := to.checks(t, token); got != "ok" {
					t.Errorf("node %d: %s", i, got)
				}
			}
		}
	})
}

// While no key has settled the oldest signs, which most nodes have read.
func TestUnsettledKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		k := &keeper{keys: []onramp.SigningKey{newKey("later", now.Add(-time.Second)), newKey("earlier", now.Add(-2*time.Second))}}
		n := newNode(t, oauth.Config{}, k)
		got := []string{kid(t, n.mustToken(t))}
		<-time.After(2 * time.Minute)
		got = append(got, kid(t, n.mustToken(t)))
		if diff := cmp.Diff([]string{"earlier", "later"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A node that doesn't know a key asks the keeper, but not for every token.
func TestUnknownKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{keys: []onramp.SigningKey{newKey("one", time.Now().Add(-time.Hour))}}
		n := newNode(t, oauth.Config{}, k)
		before := k.listed()
		another := newKey("two", time.Now())
		k.change(func() { k.keys = append(k.keys, another) })
		token := forged{key: another}.token(t)
		foreign := forged{key: newKey("three", time.Now())}.token(t)
		if got := n.checks(t, token); got != "key" || k.listed() != before {
			t.Errorf("right after the start: %s, read %d times", got, k.listed()-before)
		}
		<-time.After(5 * time.Second)
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := n.server.Check(gone, "Bearer "+foreign); oauth.Reason(err) != "key" {
			t.Errorf("somebody who has hung up: %v", err)
		}
		var together sync.WaitGroup
		for range 20 {
			together.Go(func() {
				if got := n.checks(t, token); got != "ok" {
					t.Errorf("five seconds later: %s", got)
				}
			})
		}
		together.Wait()
		for range 100 {
			if got := n.checks(t, foreign); got != "key" {
				t.Errorf("a foreign key: %s", got)
			}
		}
		if got := k.listed() - before; got != 1 {
			t.Errorf("read %d times", got)
		}
	})
}

// A store that can't be read keeps nobody from getting tokens, nor from using
// them.
func TestKeeperFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is on fire")
	if _, err := oauth.New(t.Context(), oauth.Config{Issuer: issuer}, &keeper{err: broken}); !errors.Is(err, broken) {
		t.Errorf("New: %v", err)
	}
	if _, err := oauth.New(t.Context(), oauth.Config{Issuer: issuer}, &keeper{keys: []onramp.SigningKey{{ID: "x", Seed: []byte("short")}}}); err == nil || !strings.Contains(err.Error(), "signing key x: its seed has 5 bytes instead of 32") {
		t.Errorf("New with a broken key: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		n := newNode(t, oauth.Config{}, k)
		n.run(t)
		k.change(func() { k.err = broken })
		<-time.After(10*time.Minute + time.Second)
		if got := n.checks(t, n.mustToken(t)); got != "ok" {
			t.Errorf("its own token: %s", got)
		}
		if got := n.checks(t, forged{key: newKey("x", time.Now())}.token(t)); got != "key" {
			t.Errorf("an unknown key: %s", got)
		}
		if err := n.server.Reload(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Reload: %v", err)
		}
		if !strings.Contains(n.log.String(), "the disk is on fire") {
			t.Error("nothing in the log")
		}
	})
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []oauth.Config{
		{},
		{Issuer: "/"},
		{Issuer: issuer, Lifetime: time.Millisecond},
		{Issuer: issuer, Scopes: []string{""}},
		{Issuer: issuer, Scopes: []string{"a b"}},
		{Issuer: issuer, Scopes: []string{`a"`}},
		{Issuer: issuer, Scopes: []string{"ä"}},
	} {
		if _, err := oauth.New(t.Context(), cfg, &keeper{}); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

func newKey(id string, at time.Time) onramp.SigningKey {
	seed := make([]byte, 32)
	rand.Read(seed)
	return onramp.SigningKey{ID: id, Seed: seed, CreatedAt: at}
}

// listed is how often the keys were read.
func (k *keeper) listed() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lists
}
