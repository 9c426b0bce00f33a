package setup_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/sfmc/sfmctest"
)

const proxyHint = "; something in between seems to answer in Marketing Cloud's place"

// What a proxy answers in Marketing Cloud's place is no success of any step: the setup
// stops, says why, and goes on once the proxy is gone.
func TestSetupForeignAnswers(t *testing.T) {
	t.Parallel()
	const platform = "/platform/v1/"
	empty := sfmctest.Fault{Name: "empty_body", Status: 200}
	portal := sfmctest.Fault{Name: "html", Status: 200, Message: "Sign in"}
	foreign := sfmctest.Fault{Name: "foreign_json", Status: 200}
	redirect := sfmctest.Fault{Name: "redirect"}
	done := empty
	done.Apply = true
	verified := []string{"callback onramp-events verified"}
	for name, row := range map[string]struct {
		fault  sfmctest.Fault
		method string
		path   string
		want   string // the error; "": none
		left   []string
	}{
		"lists, empty":                    {empty, "GET", "ens-callbacks", "read the actual state from Marketing Cloud: list callbacks: 200 OK", nil},
		"lists, captive portal":           {portal, "GET", "ens-callbacks", "read the actual state from Marketing Cloud: list callbacks: 200 OK", nil},
		"lists, foreign":                  {foreign, "GET", "ens-callbacks", "read the actual state from Marketing Cloud: list callbacks: 200 OK", nil},
		"lists, redirect":                 {redirect, "GET", "ens-callbacks", "read the actual state from Marketing Cloud: list callbacks: 302 Found", nil},
		"creation, empty":                 {empty, "POST", "ens-callbacks", "create callback events: ", nil},
		"creation, foreign":               {foreign, "POST", "ens-callbacks", "create callback events: ", nil},
		"verification, empty":             {empty, "POST", "ens-verify", "verify callback events: the answer was a success, but nothing has changed", []string{"callback onramp-events "}},
		"verification, foreign":           {foreign, "POST", "ens-verify", "verify callback events: the answer was a success, but nothing has changed", []string{"callback onramp-events "}},
		"verification, captive portal":    {portal, "POST", "ens-verify", "verify callback events: ", []string{"callback onramp-events "}},
		"verification, done all the same": {done, "POST", "ens-verify", "", verified},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := events(onramp.SignatureOnly)
			c.Subscriptions = nil
			w, sandbox := newWorld(t, c), sfmctest.NewServer(t)
			w.account = sandbox.Client()
			row.fault.Method, row.fault.Match = row.method, platform+row.path
			row.fault.For = "1m"
			sandbox.Fault(row.fault)
			err := apply(t.Context(), w.setup())
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), proxyHint)) {
				t.Errorf("got  %v\nwant %s", err, row.want)
			}
			sandbox.Advance(time.Minute) // the proxy is gone
			left := in(t, sandbox)
			for i := range left {
				left[i], _, _ = strings.Cut(left[i], "unverified")
			}
			if diff := cmp.Diff(row.left, left); diff != "" {
				t.Errorf("in the account (-want +got):\n%s", diff)
			}
			w.must(apply)
			if diff := cmp.Diff(verified, in(t, sandbox)); diff != "" {
				t.Errorf("afterwards (-want +got):\n%s", diff)
			}
		})
	}
}

// A removal that a proxy has answered is not done, and can be repeated.
func TestRemoveForeignAnswers(t *testing.T) {
	t.Parallel()
	w, sandbox := newWorld(t, events(onramp.SignatureOnly)), sfmctest.NewServer(t)
	w.account = sandbox.Client()
	w.must(apply)
	before := in(t, sandbox)
	remove := func(ctx context.Context, s *setup.Setup) error {
		_, err := s.Remove(ctx, nil)
		return err
	}
	sandbox.Fault(sfmctest.Fault{Method: "DELETE", Match: "/platform/v1/", Name: "empty_body", Status: 200, Count: 3})
	err := remove(t.Context(), w.setup())
	if err == nil || !strings.Contains(err.Error(), "the answer was a success, but nothing has changed in Marketing Cloud"+proxyHint) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, in(t, sandbox)); diff != "" {
		t.Errorf("in the account (-want +got):\n%s", diff)
	}
	w.must(remove)
	if left := in(t, sandbox); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
