package setup_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/sfmc/sfmctest"
)

// in is what the sandbox has of ours, in a few words.
func in(t *testing.T, sandbox *sfmctest.Server) []string {
	t.Helper()
	schemes, err := sandbox.Client().ListAuthSchemes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	callbacks, err := sandbox.Client().ListCallbacks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, s := range schemes {
		list = append(list, "scheme "+s.GrantType)
	}
	for _, c := range callbacks {
		list = append(list, "callback "+c.CallbackName+" "+c.Status)
		subscriptions, err := sandbox.Client().ListSubscriptions(t.Context(), c.CallbackID)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range subscriptions {
			list = append(list, "subscription "+s.SubscriptionName+" "+s.Status)
		}
	}
	return list
}

// The sandbox, which knows nothing of this package, is set up, left as it is,
// set up after a kill at any point of the gateway, and cleared.
func TestSetupSandbox(t *testing.T) {
	t.Parallel()
	for name, auth := range grants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := []string{"callback onramp-events verified", "subscription sends active", "subscription clicks paused"}
			if auth != onramp.SignatureOnly {
				want = append([]string{"scheme " + auth.String()}, want...)
			}
			for end := 1; ; end++ {
				w, sandbox := newWorld(t, events(auth)), sfmctest.NewServer(t)
				w.account = sandbox.Client()
				died, err := w.live(end, apply)
				if !died && err != nil {
					t.Fatal(err)
				}
				w.must(apply)
				if diff := cmp.Diff(want, in(t, sandbox)); diff != "" {
					t.Fatalf("after the kill at point %d:\n%s", end, diff)
				}
				w.settled()
				if died {
					continue
				}
				w.clients[0].Secrets = []onramp.Secret{"secret-two", "secret-one"}
				w.must(apply)
				w.settled()
				w.must(func(ctx context.Context, s *setup.Setup) error {
					_, err := s.Remove(ctx, nil)
					return err
				})
				if left := in(t, sandbox); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
				return
			}
		})
	}
}

// A probe that fails leaves no callback in the sandbox, either.
func TestSetupSandboxProbeFails(t *testing.T) {
	t.Parallel()
	w, sandbox := newWorld(t, events(onramp.ClientCredentials)), sfmctest.NewServer(t)
	w.account = sandbox.Client()
	w.hook = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusAccepted) }
	if err := apply(t.Context(), w.setup()); err == nil || !strings.Contains(err.Error(), "create callback events: ") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"scheme client_credentials"}, in(t, sandbox)); diff != "" {
		t.Error(diff)
	}
}
