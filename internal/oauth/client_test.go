package oauth_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/oauth"
	"onramp/internal/onramp"
)

// A kept client may use the endpoint once it is read; one of the configuration
// wins over a kept one.
func TestReload(t *testing.T) {
	t.Parallel()
	k := &keeper{clients: []onramp.TokenClient{{ID: "mc", Secrets: []onramp.Secret{"the kept secret of mc"}}}}
	n := newNode(t, oauth.Config{}, k)
	k.change(func() {
		k.clients = append(k.clients, onramp.TokenClient{ID: "new", Secrets: []onramp.Secret{"the kept secret of new"}})
	})
	ask := map[string]ask{
		"configured": plain("mc:" + longSecret), "kept under the same id": plain("mc:the kept secret of mc"), "kept": plain("new:the kept secret of new"),
	}
	statuses := func() map[string]int {
		got := map[string]int{}
		for name, a := range ask {
			got[name] = n.answer(a).Status
		}
		return got
	}
	if diff := cmp.Diff(map[string]int{"configured": 200, "kept under the same id": 401, "kept": 401}, statuses()); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	if err := n.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"configured": 200, "kept under the same id": 401, "kept": 200}, statuses()); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	k.change(func() { k.clients = nil })
	if err := n.server.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := n.answer(plain("new:the kept secret of new")); got.Status != 401 {
		t.Errorf("a deleted client got %d", got.Status)
	}
}

// A client that another node has added is found by itself: a little after it was
// refused.
func TestNewClientIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		n := newNode(t, oauth.Config{}, k)
		n.run(t)
		<-time.After(10 * time.Second)
		k.change(func() {
			k.clients = []onramp.TokenClient{{ID: "new", Secrets: []onramp.Secret{"the kept secret of new"}}}
		})
		first := n.answer(plain("new:the kept secret of new")).Status
		synctest.Wait()
		second := n.answer(plain("new:the kept secret of new")).Status
		if first != 401 || second != 200 {
			t.Errorf("got %d, then %d", first, second)
		}
		// and no stranger makes us read more often than every five seconds
		before := k.listed()
		for range 100 {
			n.answer(plain("nobody:x"))
			synctest.Wait()
		}
		if read := k.listed() - before; read != 0 {
			t.Errorf("read %d times", read)
		}
	})
}
