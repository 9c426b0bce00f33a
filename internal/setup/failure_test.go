package setup_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/setup"
)

// A callback whose verification key is gone is recreated, once.
func TestSetupRecreatesUnverified(t *testing.T) {
	t.Parallel()
	recreated := []string{"delete callback events", "create callback events", "verify callback events", "create subscription sends", "create subscription clicks", "pause subscription clicks"}
	for name, row := range map[string]struct {
		change func(w *world)
		want   []string
	}{
		"key has run out":  {func(w *world) { w.now = w.now.Add(4*time.Hour + time.Second) }, recreated},
		"probe never seen": {func(w *world) { w.probes = nil }, recreated},
		"key rejected":     {func(w *world) { w.probes[0].VerificationKey = "a stranger's" }, recreated},
		"key still good": {
			func(*world) {}, []string{"verify callback events", "create subscription sends", "create subscription clicks", "pause subscription clicks"},
		},
		"verified by hand": {
			func(w *world) { (*w.cloud.callbacks[0])["status"] = "verified" },
			[]string{"create subscription sends", "create subscription clicks", "pause subscription clicks"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, events(onramp.ClientCredentials))
			w.cloud.refuse = func(r *http.Request) int {
				if strings.HasSuffix(r.URL.Path, "/ens-verify") {
					return 500
				}
				return 0
			}
			if err := apply(t.Context(), w.setup()); err == nil || !strings.Contains(err.Error(), "verify callback events: ") {
				t.Fatalf("error %v", err)
			}
			w.cloud.refuse = nil
			row.change(w)
			plan, err := w.setup().Plan(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			done, err := w.setup().Apply(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plan, done); diff != "" && name != "key rejected" { // which only the vendor knows
				t.Errorf("planned and done differ:\n%s", diff)
			}
			for i, st := range done {
				if slices.Contains(done[:i], st) {
					t.Errorf("done twice: %s", st)
				}
			}
			if diff := cmp.Diff(row.want, changing(done)); diff != "" {
				t.Error(diff)
			}
			w.wantState(complete(onramp.ClientCredentials))
			w.settled()
		})
	}
}

// A failed probe leaves nothing behind but the scheme, says what helps, and does
// not stand in the way afterwards.
func TestSetupProbeFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.PasswordGrant))
	w.hook = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusAccepted) } // not exactly 200
	done, err := w.setup().Apply(t.Context(), false)
	failed, ok := errors.AsType[*setup.Error](err)
	if !ok || failed.Step != "create callback events" || !strings.Contains(failed.Cause, "Could not verify callback url") || !strings.Contains(failed.Hint, "public.url") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"create scheme password:mc-ens:robot", "delete callback events"}, changing(done)); diff != "" {
		t.Error(diff)
	}
	if len(w.cloud.callbacks) != 0 {
		t.Errorf("left behind: %v", w.state())
	}
	w.hook = nil
	w.must(apply)
	w.wantState(complete(onramp.PasswordGrant))
}

// Something else answers the probe instead of the gateway.
func TestSetupProbeIntercepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	w.hook = func(http.ResponseWriter, *http.Request) {}
	for range 2 { // the second time it is recreated, with the same result
		_, err := w.setup().Apply(t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), "verify callback events: the verification key never arrived here, although Marketing Cloud says that it probed the address; ") {
			t.Errorf("error %v", err)
		}
	}
	w.hook = nil
	w.must(apply)
	w.wantState(complete(onramp.SignatureOnly))
}

// A key that is always rejected is not tried for ever.
func TestSetupKeyRejected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	w.cloud.refuse = func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/ens-verify") {
			return 404
		}
		return 0
	}
	want := []string{"create callback events"}
	for range 2 {
		done, err := w.setup().Apply(t.Context(), false)
		if err == nil || !strings.Contains(err.Error(), "verify callback events: verify callback: 404 Not Found") {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff(want, changing(done)); diff != "" {
			t.Error(diff)
		}
		want = []string{"delete callback events", "create callback events"}
	}
}

// The old signature key stays valid beside the new one.
func TestSetupKeepsOldKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events(onramp.SignatureOnly))
	w.must(apply)
	old := w.records["events"].SignatureKeys[0]
	w.cloud.callbacks, w.cloud.subscriptions = nil, nil
	w.must(apply)
	keys := w.records["events"].SignatureKeys
	if len(keys) != 2 || keys[0] == old || keys[1] != old {
		t.Errorf("%d keys, or not the new one and the old one", len(keys))
	}
}

// An error has the step at which it stopped, its cause and what helps.
func TestSetupErrors(t *testing.T) {
	t.Parallel()
	refuse := func(path string, status int) func(*world) {
		return func(w *world) {
			w.cloud.refuse = func(r *http.Request) int {
				if strings.Contains(r.URL.Path, path) {
					return status
				}
				return 0
			}
		}
	}
	for name, row := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"no callbacks":   {func(w *world) { w.callbacks = nil }, "no callbacks are configured: add one under ens.callbacks"},
		"no address":     {func(w *world) { w.publicURL = "" }, "public.url is not set"},
		"no such client": {func(w *world) { w.clients = nil }, `callback events names the token client "mc-ens", which has no secret`},
		"no client": {func(w *world) {
			w.clients, w.callbacks[0].Client = nil, ""
		}, `callback events needs a token client: create one with onramp keys new client --save`},
		"which client": {func(w *world) {
			w.callbacks[0].Client = ""
			w.stored = []onramp.TokenClient{{ID: "another", Secrets: []onramp.Secret{"secret-two"}}}
		}, `callback events names no token client, and there are 2: under client, name the one that Marketing Cloud is to use`},
		"no such user":    {func(w *world) { w.users = nil }, `callback events names the user "robot", which has no password in the configuration`},
		"no permission":   {refuse("", 403), "read the actual state from Marketing Cloud: list authentication schemes: 403 Forbidden: code 20000: refused by the test; give the installed package the scopes event_notification_callback_create"},
		"wrong account":   {refuse("", 401), "; check marketing_cloud.client_id"},
		"out of order":    {refuse("subscriptions", 500), "; try again later: it continues where it stopped"},
		"known elsewhere": {refuse("subscriptions", 304), "another business unit"},
		"endpoint away":   {func(w *world) { w.clients[0].Secrets[0] = "secret-four"; w.publicURL += "/nowhere" }, "create scheme password:mc-ens:robot: create authentication scheme: 400 Bad Request: code 10000: no token from the authEndpoint; Marketing Cloud fetches a token"},
		"name taken": {func(w *world) {
			w.cloud.callbacks = []*object{{"callbackId": "theirs", "callbackName": "theirs", "url": "https://other.example/"}}
			w.cloud.subscriptions = []*object{{"subscriptionId": "s", "subscriptionName": "sends", "callbackId": "theirs"}}
		}, "create subscription sends: create subscription: 400 Bad Request: code 10000: the name is taken; its name must be unique in the account"},
		"store broken": {func(w *world) { w.broken = errors.New("disk gone") }, "list stored schemes: disk gone"},
		"extra subscriptions in the way": {func(w *world) {
			w.must(apply)
			w.callbacks = []onramp.Callback{events(onramp.SignatureOnly)}
			w.callbacks[0].Subscriptions = w.callbacks[0].Subscriptions[:1]
		}, "callback events must be deleted and recreated, since an update can't remove its authentication scheme; but it has subscriptions that are not in the configuration (such as clicks)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, events(onramp.PasswordGrant))
			row.change(w)
			_, err := w.setup().Apply(t.Context(), false)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got  %v\nwant %s", err, row.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret-") || strings.Contains(err.Error(), "password-")) {
				t.Errorf("shows a secret: %v", err)
			}
		})
	}
}
