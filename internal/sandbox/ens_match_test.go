package sandbox_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/sandbox"
)

// Filters are compared as a whole or as regular expressions, and all must match.
func TestENSFilters(t *testing.T) {
	t.Parallel()
	const all = allEmail + `,"SendEvents.AutomationInstanceErrored","EngagementEvents.OttRead"`
	for _, row := range []struct{ filters, want string }{
		{``, "EmailSent EmailBounced EmailOpen AutomationInstanceErrored OttRead"},
		{`"definitionKey=welcome"`, "EmailSent EmailBounced"},
		{`"definitionKey=Welcome"`, ""},
		{`"definitionKey=wel"`, ""},
		{`"definitionKey=NA"`, "EmailOpen"},
		{`"definitionKey=wel.*"`, "EmailSent EmailBounced"},
		{`"definitionKey=el.*"`, ""},
		{`"definitionKey=a|welcome"`, "EmailSent EmailBounced"},
		{`"definitionKey=(?i)WELCOME"`, "EmailSent EmailBounced"},
		{`"definitionKey=("`, ""},
		{`"definitionKey=welcome","bounceCode=HARD"`, "EmailBounced"},
		{`"definitionKey=welcome","bounceCode=SOFT"`, ""},
		{`"smtpReason=5.1.1"`, "EmailBounced"},
		{`"smtpReason=5\\.[0-9]\\.[0-9]"`, "EmailBounced"},
		{`"smtpReason=4\\.[0-9]\\.[0-9]"`, ""},
		{`"statusCode=1"`, ""},
		{`"automationName=nightly","automationType=Schedule|Trigger"`, "AutomationInstanceErrored"},
		{`"sendMethod=JourneyBuilder"`, "OttRead"},
	} {
		t.Run(row.filters, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newENSRig(t, &webhook{}, sandbox.Config{})
				r.callback("cb", "")
				r.subscribe("cb", "some", all, `,"filters":[`+row.filters+`]`)
				r.mail("m-1", "ana+bounce+open@example.org")
				pass(160 * time.Millisecond)
				r.events("AutomationInstanceErrored", 1)
				r.events("OttRead", 1)
				pass(time.Second)
				check(t, "events", row.want, strings.Join(kinds(t, r.hook.bodies()), " "))
			})
		})
	}
}

// Only what happens while a subscription has effect is sent.
func TestENSEventsActive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newENSRig(t, &webhook{}, sandbox.Config{Activation: 2 * time.Minute})
		r.trigger(`{"type":"EmailOpen"}`, `{"queued":0,"subscriptions":0,"message":"nothing is sent: there is no callback"}`)
		got := r.call("POST", "ens-callbacks", `{"callbackName":"raw","url":"https://raw.test"}`)
		r.trigger(`{"type":"EmailOpen"}`, `{"queued":0,"subscriptions":0,"message":"nothing is sent: no callback is verified"}`)
		r.call("DELETE", "ens-callbacks/"+fmt.Sprint(got["callbackId"]), "")
		r.callback("cb", "")
		r.trigger(`{"type":"EmailOpen"}`, `{"queued":0,"subscriptions":0,"message":"nothing is sent: nobody is subscribed"}`)
		r.subscribe("cb", "one", `"EngagementEvents.EmailOpen"`, "")
		soon := `{"queued":0,"subscriptions":0,"message":"nothing is sent: the subscription \"one\" becomes active only at %s"}`
		r.trigger(`{"type":"EmailOpen"}`, fmt.Sprintf(soon, "2000-01-01 00:02:00 UTC"))
		r.trigger(`{"type":"EmailSent"}`, `{"queued":0,"subscriptions":0,"message":"nothing is sent: no active subscription takes such an event (one)"}`)
		pass(2*time.Minute - time.Millisecond)
		r.mail("m-1", "ana+open@example.org") // opened just after
		pass(time.Second)
		check(t, "events", []string{"EmailOpen"}, kinds(t, r.hook.bodies()))

		change := func(status, types string) {
			r.call("PUT", "ens-subscriptions", fmt.Sprintf(`{"subscriptionId":%q,"eventCategoryTypes":[%s],"status":%q,"statusReason":"x"}`, r.ids["one"], types, status))
		}
		change("active", `"EngagementEvents.EmailClick"`)
		r.events("EmailOpen", 1)
		r.events("EmailClick", 1)
		pass(2 * time.Minute)
		r.events("EmailOpen", 1)
		r.events("EmailClick", 1)
		pass(time.Second)
		check(t, "events", []string{"EmailOpen", "EmailClick"}, kinds(t, r.hook.bodies()))
		change("paused", `"EngagementEvents.EmailClick"`)
		pass(2 * time.Minute)
		r.trigger(`{"type":"EmailClick"}`, `{"queued":0,"subscriptions":0,"message":"nothing is sent: no active subscription takes such an event (one)"}`)
		change("active", `"EngagementEvents.EmailClick"`)
		pass(2 * time.Minute)
		check(t, "what happened in the pause", 0, len(r.hook.saw()))
		r.events("EmailClick", 1)
		pass(time.Second)
		check(t, "events", []string{"EmailClick"}, kinds(t, r.hook.bodies()))
	})
}
