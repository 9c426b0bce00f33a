package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/sandbox"
	"onramp/internal/sandbox/ens"
)

// Faults of single events and of the order of batches.
func TestENSFaultEvents(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		faults []sandbox.Fault
		to     string
		want   []string // the events of each batch
		stamps []string // their milliseconds
	}{
		{"none", nil, "ana+click@example.org", []string{"EmailSent EmailOpen", "EmailClick"}, []string{"50 150", "200"}},
		{
			"duplicates, by turns in one batch and in a later one",
			[]sandbox.Fault{{Name: "ens_duplicate"}},
			"ana+open@example.org",
			[]string{"EmailSent EmailSent EmailOpen", "EmailOpen"},
			[]string{"50 50 150", "150"},
		},
		{
			"one duplicate of a certain event",
			[]sandbox.Fault{{Name: "ens_duplicate", Count: 1, Contains: "EmailOpen", Match: "/in"}},
			"ana+open@example.org",
			[]string{"EmailSent EmailOpen EmailOpen"},
			[]string{"50 150 150"},
		},
		{
			"order, and one batch overtakes the other",
			[]sandbox.Fault{{Name: "ens_reorder"}},
			"ana+click+unsubscribe@example.org",
			[]string{"EmailUnsubscribe EmailClick", "EmailOpen EmailSent"},
			[]string{"250 200", "150 50"},
		},
		{
			"a batch again",
			[]sandbox.Fault{{Name: "ens_resend", Count: 1}},
			"ana+click@example.org",
			[]string{"EmailSent EmailOpen", "EmailSent EmailOpen", "EmailClick"},
			[]string{"50 150", "50 150", "200"},
		},
		{
			"every batch again",
			[]sandbox.Fault{{Name: "ens_resend"}},
			"ana@example.org",
			[]string{"EmailSent", "EmailSent"},
			[]string{"50", "50"},
		},
		{
			"another callback's",
			[]sandbox.Fault{{Name: "ens_duplicate", Match: "/out"}, {Name: "ens_resend", Contains: "EmailBounced"}},
			"ana@example.org",
			[]string{"EmailSent"},
			[]string{"50"},
		},
		{
			"over",
			[]sandbox.Fault{{Name: "ens_duplicate", For: "49ms"}},
			"ana@example.org",
			[]string{"EmailSent"},
			[]string{"50"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := listening(t, &webhook{}, sandbox.Config{})
				setFaults(t, r.Sandbox, row.faults...)
				r.mail("m-1", row.to)
				pass(time.Minute)
				bodies := r.hook.bodies()
				check(t, "events", row.want, kinds(t, bodies))
				check(t, "times", row.stamps, stamps(t, bodies))
				check(t, "queued", 0, r.cb().Queued)
			})
		})
	}
}

// Faults of what stands in an event, and around it.
func TestENSFaultBodies(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		fault        sandbox.Fault
		has, hasNot  string
		batches      int
		prefix       string
		signedWrong  bool
		signedAsText bool
		unsigned     bool
	}{
		{fault: sandbox.Fault{Name: "ens_seconds"}, has: `"timestampUTC":946684800,`, hasNot: "946684800050", prefix: "[{", batches: 1},
		{fault: sandbox.Fault{Name: "ens_string_ids"}, has: `"mid":"510000001","eid":"510000001"`, hasNot: `"mid":5`, prefix: "[{", batches: 1},
		{fault: sandbox.Fault{Name: "ens_string_ids", Count: 1}, has: `"mid":5`, prefix: "[{", batches: 1},
		{fault: sandbox.Fault{Name: "ens_bare_event"}, prefix: `{"eventCategoryType"`, has: "}}", hasNot: "]", batches: 2},
		{fault: sandbox.Fault{Name: "ens_wrong_signature"}, signedWrong: true, prefix: "[{", batches: 1},
		{fault: sandbox.Fault{Name: "ens_raw_key"}, signedAsText: true, prefix: "[{", batches: 1},
		{fault: sandbox.Fault{Name: "ens_no_signature"}, unsigned: true, prefix: "[{", batches: 1},
	} {
		t.Run(row.fault.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := listening(t, &webhook{}, sandbox.Config{})
				setFaults(t, r.Sandbox, row.fault)
				r.mail("m-1", "ana+open@example.org")
				pass(time.Minute)
				got := r.hook.saw()
				check(t, "batches", row.batches, len(got))
				for _, n := range got {
					if !strings.HasPrefix(n.Body, row.prefix) || !strings.Contains(n.Body, row.has) || row.hasNot != "" && strings.Contains(n.Body, row.hasNot) {
						t.Errorf("got %s", n.Body)
					}
					decoded, raw := ens.Sign(r.keys["cb"], false, []byte(n.Body)), ens.Sign(r.keys["cb"], true, []byte(n.Body))
					if right := n.Sign == decoded; right != !(row.signedWrong || row.signedAsText || row.unsigned) || (n.Sign == raw) != row.signedAsText || (n.Sign == "") != row.unsigned {
						t.Errorf("signature %q", n.Sign)
					}
				}
			})
		})
	}
}

func TestENSFaultTokens(t *testing.T) {
	t.Parallel()
	bearers := func(hook *webhook) (list []string) {
		for _, n := range hook.saw() {
			list = append(list, n.Bearer)
		}
		return list
	}
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			hook := &webhook{status: func(n notice, _ int) int {
				if strings.HasPrefix(n.Bearer, "stale.") {
					return 401
				}
				return 200
			}}
			r := newENSRig(t, hook, sandbox.Config{})
			r.callback("cb", r.scheme())
			r.subscribe("cb", "all", allEmail, "")
			setFaults(t, r.Sandbox, sandbox.Fault{Name: "ens_stale_token", Count: 1})
			for range 2 {
				r.events("EmailOpen", 1)
				pass(time.Second)
			}
			check(t, "tokens", []string{"stale.t-1", "t-2", "t-2"}, bearers(hook))
		})
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			hook := &webhook{status: func(notice, int) int { return 401 }}
			r := newENSRig(t, hook, sandbox.Config{Sending: sandbox.Sending{Sends: 1}})
			r.callback("cb", r.scheme())
			r.subscribe("cb", "all", allEmail, "")
			setFaults(t, r.Sandbox, sandbox.Fault{Name: "ens_slow_token", DelayMS: 1500, Count: 1})
			r.events("EmailOpen", 1)
			pass(5 * time.Second)
			check(t, "times", []time.Duration{100 * time.Millisecond, 1600 * time.Millisecond}, after(hook.saw()))
			setFaults(t, r.Sandbox, sandbox.Fault{Name: "ens_slow_token", DelayMS: 2500})
			pass(10 * time.Minute)
			check(t, "bearers", []string{"t-2"}, bearers(hook))
			check(t, "problem", "no token: Timeout. The operation has timed out", r.cb().LastProblem)
			w := send(t, r, "POST", "/platform/v1/ens-authentications", `{"authType":"oauth2","grantType":"client_credentials","authEndpoint":"https://auth.test/token","clientId":"c","clientSecret":"s"}`, r.auth)
			check(t, "a new scheme", http.StatusBadRequest, w.Code)
		})
	})
}

func TestENSFaultsRefused(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	for _, row := range []struct{ body, want string }{
		{`[{"name":"ens_duplicate","status":500}]`, "fault 1: ens_duplicate has no status, errorcode, message or retry_after"},
		{`[{"name":"ens_resend","delay_ms":1}]`, "fault 1: ens_resend has no delay_ms"},
		{`[{"name":"ens_resend","method":"POST"}]`, "fault 1: ens_resend has no method"},
		{`[{"name":"ens_slow_token"}]`, "fault 1: ens_slow_token needs a delay_ms"},
		{`[{"name":"ens_slow_token","delay_ms":1,"match":"/a"}]`, "fault 1: ens_slow_token has no match and no contains"},
		{`[{"name":"ens_nothing"}]`, `fault 1: unknown name "ens_nothing"`},
	} {
		w := send(t, s, "PUT", "/_sandbox/faults", row.body)
		check(t, row.body, any(map[string]any{"message": row.want}), decode(t, w.Body.String()))
	}
	// they hit no call
	setFaults(t, s, sandbox.Fault{Name: "ens_duplicate"}, sandbox.Fault{Name: "ens_slow_token", DelayMS: 3600_000, Count: 1})
	same(t, send(t, s, "POST", rowset, "[]", authorize(t, s)), 200, "[]")
	check(t, "faults", 2, len(s.State().Faults))
}
