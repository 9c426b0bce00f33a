package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/sandbox"
)

// Something in between answers in Marketing Cloud's place for five minutes, whether
// the call got through or not: what counts as delivered stands in Marketing Cloud, a
// message goes out once, and an event is left to a person's decision.
func TestSomethingInBetween(t *testing.T) {
	faults := map[string]sandbox.Fault{
		"empty 200":              {Name: "empty_body", Status: 200},
		"empty 200, got through": {Name: "empty_body", Status: 200, Apply: true},
		"captive portal":         {Name: "html", Status: 200, Message: "Sign in"},
		"redirect":               {Name: "redirect"},
	}
	for name, row := range map[string]struct {
		to      onramp.Destination
		match   string
		dialect sandbox.Dialect
	}{
		"sync":       {with(rows, onramp.Sync), "/hub/", sandbox.DialectFacts},
		"sync, spec": {with(rows, onramp.Sync), "/hub/", sandbox.DialectSpec},
		"async":      {with(rows, onramp.Async), "/data/", sandbox.DialectFacts},
		"messages":   {mails, "/messaging/", sandbox.DialectSpec},
		"events":     {events, "/interaction/", sandbox.DialectFacts},
		"a token":    {with(rows, onramp.Sync), "/v2/token", sandbox.DialectFacts},
	} {
		for what, fault := range faults {
			t.Run(name+", "+what, func(t *testing.T) {
				inBubble(t, func(t *testing.T, path string) {
					r := newRig(t, path, row.to)
					r.sandbox = sandbox.New(sandbox.Config{Dialect: row.dialect})
					f := fault
					f.Match, f.For = row.match, "5m"
					r.fault(f)
					r.deliver()
					defer r.end()
					for i := range 3 {
						r.accept(fmt.Sprint("p", i), "")
					}
					<-time.After(20 * time.Minute)
					state := r.sandbox.State()
					got := []any{r.count(), len(state.DataExtensions[sandbox.RegistrationsKey].Rows), len(state.Messages), state.Totals.Contacts[sandbox.WelcomeEventKey]}
					want := []any{map[string]int64{"delivered": 3}, 3, 0, 0}
					switch row.to.Kind {
					case onramp.Message:
						want = []any{map[string]int64{"delivered": 3}, 0, 3, 0}
					case onramp.Journey:
						entered := 0
						if fault.Apply {
							entered = 3
						}
						want = []any{map[string]int64{"unknown": 3}, entered, 0, entered}
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("deliveries, rows, messages, contacts (-want +got):\n%s", diff)
					}
					d, err := r.store.FindDelivery(t.Context(), onramp.DeliveryID(r.ids[0], 1))
					if err != nil {
						t.Fatal(err)
					}
					if row.match != "/v2/token" && !strings.Contains(fmt.Sprint(d.Attempts), "proxy, a firewall (WAF) or a captive portal") && row.to.Mode != onramp.Async {
						t.Errorf("no hint: %+v", d.Attempts)
					}
				})
			})
		}
	}
}
