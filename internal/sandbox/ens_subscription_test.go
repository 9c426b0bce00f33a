package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const (
	subscriptionsPath = platform + "ens-subscriptions"
	byCallbackPath    = platform + "ens-subscriptions-by-cb"
	plainSubscription = `{"callbackId":"","subscriptionName":"s","eventCategoryTypes":["TransactionalSendEvents.EmailSent"]}`
)

func subscription(t testing.TB, callbackID string, changes ...string) string {
	t.Helper()
	return with(t, plainSubscription, append([]string{`callbackId:"` + callbackID + `"`}, changes...)...)
}

func newSubscription(t testing.TB, s *sandbox.Sandbox, auth, body string) string {
	t.Helper()
	return take(t, member(t, send(t, s, "POST", subscriptionsPath, body, auth), 201), "subscriptionId")
}

func TestENSSubscription(t *testing.T) {
	t.Parallel()
	c := &customer{}
	s, auth := newENS(t, c)
	cb := verifiedCallback(t, s, c, auth, plainCallback).id
	same(t, send(t, s, "GET", byCallbackPath+"/"+cb, "", auth), 200, `[]`)

	w := send(t, s, "POST", subscriptionsPath, `[`+subscription(t, cb, `status:"paused"`, `statusReason:"x"`)+`]`, auth)
	got := member(t, w, 201)
	first := take(t, got, "subscriptionId")
	if w.Body.String()[0] != '[' || !guidForm.MatchString(first) {
		t.Errorf("got %s", w.Body)
	}
	wantJSON(t, got, `{"callbackId":"`+cb+`","callbackName":"a","subscriptionName":"s","eventCategoryTypes":["TransactionalSendEvents.EmailSent"],"filters":[],"status":"active"}`)

	w = send(t, s, "POST", subscriptionsPath, subscription(t, cb, `subscriptionName:"t"`, `filters:["definitionKey=a=b","bounceCode=HARD"]`,
		`eventCategoryTypes:["EngagementEvents.EmailOpen","SendEvents.OttNotSent"]`), auth)
	got = member(t, w, 201)
	second := take(t, got, "subscriptionId")
	if w.Body.String()[0] != '{' {
		t.Errorf("got %s", w.Body)
	}
	wantJSON(t, got, `{"callbackId":"`+cb+`","callbackName":"a","subscriptionName":"t",
		"eventCategoryTypes":["EngagementEvents.EmailOpen","SendEvents.OttNotSent"],"filters":["definitionKey=a=b","bounceCode=HARD"],"status":"active"}`)

	whole := func(id, name, types, filters, status, reason string) string {
		return `{"callbackId":"` + cb + `","callbackName":"a","url":"` + callbackURL + `","maxBatchSize":1000,"subscriptionId":"` + id +
			`","subscriptionName":"` + name + `","eventCategoryTypes":[` + types + `],"filters":[` + filters + `],"status":"` + status + `","statusReason":"` + reason + `"}`
	}
	const sent, opened = `"TransactionalSendEvents.EmailSent"`, `"EngagementEvents.EmailOpen"`
	two := whole(second, "t", opened+`,"SendEvents.OttNotSent"`, `"definitionKey=a=b","bounceCode=HARD"`, "active", "")
	same(t, send(t, s, "GET", subscriptionsPath+"/"+first, "", auth), 200, whole(first, "s", sent, "", "active", ""))
	same(t, send(t, s, "GET", byCallbackPath+"/"+cb, "", auth), 200, `[`+whole(first, "s", sent, "", "active", "")+`,`+two+`]`)

	put := func(more, want string) {
		t.Helper()
		same(t, send(t, s, "PUT", subscriptionsPath, `[{"subscriptionId":"`+first+`",`+more+`}]`, auth), 200, `[`+want+`]`)
		same(t, send(t, s, "GET", subscriptionsPath+"/"+first, "", auth), 200, want)
	}
	put(`"eventCategoryTypes":[`+opened+`],"callbackId":"x"`, whole(first, "s", opened, "", "active", ""))
	put(`"eventCategoryTypes":[`+opened+`],"subscriptionName":"u","filters":["sendMethod=x"]`, whole(first, "u", opened, `"sendMethod=x"`, "active", ""))
	put(`"eventCategoryTypes":[`+opened+`],"status":"paused","statusReason":"for now","filters":null`, whole(first, "u", opened, `"sendMethod=x"`, "paused", "for now"))
	put(`"eventCategoryTypes":[`+opened+`],"status":"paused","filters":[]`, whole(first, "u", opened, "", "paused", "for now"))
	put(`"eventCategoryTypes":[`+sent+`],"status":"active","statusReason":"again"`, whole(first, "u", sent, "", "active", "again"))
	same(t, send(t, s, "PUT", subscriptionsPath, `{"subscriptionId":"`+first+`","eventCategoryTypes":[`+sent+`]}`, auth), 200, whole(first, "u", sent, "", "active", "again"))

	same(t, send(t, s, "DELETE", callbacksPath+"/"+cb, "", auth), 409,
		refusal(30002, "Subscriptions exist for the callback. Delete all subscriptions for the callback before deleting the callback."))
	same(t, send(t, s, "DELETE", subscriptionsPath+"/"+first, "", auth), 200, `{}`)
	gone := refusal(30003, "The subscription does not exist.")
	same(t, send(t, s, "GET", subscriptionsPath+"/"+first, "", auth), 404, gone)
	same(t, send(t, s, "DELETE", subscriptionsPath+"/"+first, "", auth), 404, gone)
	same(t, send(t, s, "PUT", subscriptionsPath, `[{"subscriptionId":"`+first+`","eventCategoryTypes":[`+sent+`]}]`, auth), 400,
		refusal(10005, "The parameter subscriptionId is that of no subscription."))
	same(t, send(t, s, "GET", byCallbackPath+"/"+cb, "", auth), 200, `[`+two+`]`)
	same(t, send(t, s, "DELETE", subscriptionsPath+"/"+second, "", auth), 200, `{}`)
	same(t, send(t, s, "DELETE", callbacksPath+"/"+cb, "", auth), 200, `{}`)
	same(t, send(t, s, "GET", byCallbackPath+"/"+cb, "", auth), 404, refusal(30003, "The callback does not exist."))
	same(t, send(t, s, "POST", subscriptionsPath, subscription(t, cb), auth), 404, refusal(30003, "The callback does not exist."))
}

func TestENSSubscriptionRefused(t *testing.T) {
	t.Parallel()
	required := func(name string) string { return refusal(10002, "The parameter "+name+" is required.") }
	wrongType := func(name string) string {
		return refusal(10001, "The parameter "+name+" is not of the expected type.")
	}
	unknownType := func(name string) string {
		return refusal(10005, "The parameter eventCategoryTypes has an unknown event type '"+name+"'.")
	}
	badFilter := func(text string) string {
		return refusal(10005, "The parameter filters has '"+text+"', which is not in the form name=value.")
	}
	unknownFilter := func(name string) string {
		return refusal(10005, "The parameter filters has an unknown name '"+name+"'.")
	}
	change := func(changes ...string) string {
		return with(t, `{"subscriptionId":"ID","eventCategoryTypes":["TransactionalSendEvents.EmailSent"]}`, changes...)
	}
	for _, row := range []struct{ name, method, body, want string }{
		{"not JSON", "POST", `[`, badFormat},
		{"an empty list", "POST", `[]`, badFormat},
		{"no callback", "POST", subscription(t, "CB", "callbackId"), required("callbackId")},
		{"no name", "POST", subscription(t, "CB", "subscriptionName"), required("subscriptionName")},
		{"a number as a name", "POST", subscription(t, "CB", "subscriptionName:1"), wrongType("subscriptionName")},
		{"no types", "POST", subscription(t, "CB", "eventCategoryTypes"), required("eventCategoryTypes")},
		{"an empty list of types", "POST", subscription(t, "CB", "eventCategoryTypes:[]"), required("eventCategoryTypes")},
		{"types in a text", "POST", subscription(t, "CB", `eventCategoryTypes:"TransactionalSendEvents.EmailSent"`), wrongType("eventCategoryTypes")},
		{"a type that is a number", "POST", subscription(t, "CB", `eventCategoryTypes:[1]`), wrongType("eventCategoryTypes")},
		{"an unknown type", "POST", subscription(t, "CB", `eventCategoryTypes:["TransactionalSendEvents.EmailQueued"]`), unknownType("TransactionalSendEvents.EmailQueued")},
		{"an unknown category", "POST", subscription(t, "CB", `eventCategoryTypes:["TransactionalOpenEvents.EmailOpen"]`), unknownType("TransactionalOpenEvents.EmailOpen")},
		{"another case", "POST", subscription(t, "CB", `eventCategoryTypes:["TransactionalSendEvents.SMSSent"]`), unknownType("TransactionalSendEvents.SMSSent")},
		{"no category", "POST", subscription(t, "CB", `eventCategoryTypes:["EmailSent"]`), unknownType("EmailSent")},
		{"an empty type", "POST", subscription(t, "CB", `eventCategoryTypes:[null]`), unknownType("")},
		{"a filter with a colon", "POST", subscription(t, "CB", `filters:["definitionKey:a"]`), badFilter("definitionKey:a")},
		{"a filter without a value", "POST", subscription(t, "CB", `filters:["definitionKey="]`), badFilter("definitionKey=")},
		{"an empty filter", "POST", subscription(t, "CB", `filters:[""]`), badFilter("")},
		{"an unknown filter", "POST", subscription(t, "CB", `filters:["definitionKey=a","messageKey=b"]`), unknownFilter("messageKey")},
		{"a filter without a name", "POST", subscription(t, "CB", `filters:["=a"]`), unknownFilter("")},
		{"a filter in another case", "POST", subscription(t, "CB", `filters:["definitionkey=a"]`), unknownFilter("definitionkey")},
		{"a filter that is an object", "POST", subscription(t, "CB", `filters:[{"definitionKey":"a"}]`), wrongType("filters")},
		{"filters in an object", "POST", subscription(t, "CB", `filters:{"definitionKey":"a"}`), wrongType("filters")},
		{"not verified", "POST", subscription(t, "NEW"), refusal(10005, "The parameter callbackId is that of a callback that is not verified.")},
		{"the name of another", "POST", subscription(t, "CB", `subscriptionName:"known"`), refusal(10005, "The parameter subscriptionName is the name of another subscription.")},
		{"update: no id", "PUT", change("subscriptionId"), required("subscriptionId")},
		{"update: no types", "PUT", change("eventCategoryTypes"), required("eventCategoryTypes")},
		{"update: an unknown type", "PUT", change(`eventCategoryTypes:["x"]`), unknownType("x")},
		{"update: a bad filter", "PUT", change(`filters:["x"]`), badFilter("x")},
		{"update: an empty name", "PUT", change(`subscriptionName:""`), required("subscriptionName")},
		{"update: the name of another", "PUT", change(`subscriptionName:"other"`), refusal(10005, "The parameter subscriptionName is the name of another subscription.")},
		{"update: an unknown status", "PUT", change(`status:"suspended"`, `statusReason:"a"`), refusal(10005, "The parameter status is neither active nor paused.")},
		{"update: no reason", "PUT", change(`status:"paused"`), required("statusReason")},
		{"update: an empty reason", "PUT", change(`status:"paused"`, `statusReason:" "`), required("statusReason")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &customer{}
			s, auth := newENS(t, c)
			cb := verifiedCallback(t, s, c, auth, plainCallback).id
			pending := newCallback(t, s, auth, with(t, plainCallback, `url:"https://new.test/"`)).id
			id := newSubscription(t, s, auth, subscription(t, cb, `subscriptionName:"known"`))
			newSubscription(t, s, auth, subscription(t, cb, `subscriptionName:"other"`))
			before := send(t, s, "GET", byCallbackPath+"/"+cb, "", auth)
			body := strings.NewReplacer("ID\"", id+`"`, `"CB"`, `"`+cb+`"`, `"NEW"`, `"`+pending+`"`).Replace(row.body)
			same(t, send(t, s, row.method, subscriptionsPath, body, auth), 400, row.want)
			same(t, send(t, s, "GET", byCallbackPath+"/"+cb, "", auth), 200, before.Body.String())
		})
	}
}

// All types of all revisions of the vendor's page can be subscribed to.
func TestENSEventTypes(t *testing.T) {
	t.Parallel()
	c := &customer{}
	s, auth := newENS(t, c)
	cb := verifiedCallback(t, s, c, auth, plainCallback).id
	var types []string
	for category, names := range map[string]string{
		"TransactionalSendEvents": "EmailSent EmailNotSent EmailBounced SmsSent SmsNotSent SmsTransient SmsDelivered SmsBounced OttNotSent",
		"EngagementEvents": "EmailOpen EmailClick EmailUnsubscribe OttMobileOriginated OttSent OttDelivered OttRead OttFailed PushOpen InAppDisplay " +
			"InAppDismiss InAppClick InboxOpen PushDeliveryReceipt PushInstall PushInactive PushImageClick PushButtonClick",
		"SendEvents": "OttNotSent PushSent PushNotSent PushBounced AutomationInstanceStarted AutomationInstanceCompleted " +
			"AutomationInstanceStopped AutomationInstanceErrored AutomationInstanceSkipped",
	} {
		for name := range strings.FieldsSeq(names) {
			types = append(types, category+"."+name)
		}
	}
	text, err := json.Marshal(types)
	if err != nil {
		t.Fatal(err)
	}
	newSubscription(t, s, auth, subscription(t, cb, `eventCategoryTypes:`+string(text)))
}

// A callback has at most 200 subscriptions, however many are asked for at once.
func TestENSMostSubscriptions(t *testing.T) {
	t.Parallel()
	c := &customer{}
	s, auth := newENS(t, c)
	cb := verifiedCallback(t, s, c, auth, plainCallback).id
	other := verifiedCallback(t, s, c, auth, with(t, plainCallback, `url:"https://other.test/"`)).id
	statuses := make([][]int, 7)
	var wg sync.WaitGroup
	for n := range statuses {
		wg.Go(func() {
			for i := range 30 {
				body := subscription(t, cb, fmt.Sprintf(`subscriptionName:"%d-%d"`, n, i))
				statuses[n] = append(statuses[n], send(t, s, "POST", subscriptionsPath, body, auth).Code)
			}
		})
	}
	wg.Wait()
	got := map[int]int{}
	for _, list := range statuses {
		for _, status := range list {
			got[status]++
		}
	}
	if diff := cmp.Diff(map[int]int{201: 200, 400: 10}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	same(t, send(t, s, "POST", subscriptionsPath, subscription(t, cb), auth), 400,
		refusal(10005, "The parameter callbackId is that of a callback with 200 subscriptions, which is the most."))
	newSubscription(t, s, auth, subscription(t, other))
}

// Whatever a stranger sends, nothing panics and nothing is our fault.
func FuzzENS(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", "{}", `[[]]`, clientScheme, `[` + userScheme + `]`, with(f, userScheme, `authId:"AUTH"`), plainCallback,
		with(f, plainCallback, `callbackId:"CB"`, `authId:"AUTH"`, `maxBatchSize:1e99`),
		subscription(f, "CB", `filters:["a=b"]`, `subscriptionId:"SUB"`, `status:"paused"`, `statusReason:"\ud800"`),
		verification("CB", "KEY"), `{"CALLBACKID":"CB","callbackid":null,"url":"https://[::1%25a]:99999"}`,
	} {
		f.Add([]byte(seed))
	}
	targets := []struct{ method, path string }{
		{"POST", schemesPath},
		{"PUT", schemesPath},
		{"POST", callbacksPath},
		{"PUT", callbacksPath},
		{"POST", verifyPath},
		{"PUT", regeneratePath},
		{"POST", subscriptionsPath},
		{"PUT", subscriptionsPath},
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &customer{}
		s, auth := newENS(t, c)
		cb := verifiedCallback(t, s, c, auth, with(t, plainCallback, `url:"https://first.test/"`))
		text := strings.NewReplacer("CB", cb.id, "KEY", cb.verificationKey, "SUB", newSubscription(t, s, auth, subscription(t, cb.id)),
			"AUTH", newScheme(t, s, auth, userScheme)).Replace(string(body))
		for _, to := range targets {
			w := send(t, s, to.method, to.path, text, auth)
			if w.Code >= 500 || w.Code < 200 {
				t.Errorf("%s %s: %d %s", to.method, to.path, w.Code, w.Body)
			}
			decode(t, w.Body.String())
		}
		for _, path := range []string{schemesPath, callbacksPath, byCallbackPath + "/" + cb.id} {
			w := send(t, s, "GET", path, "", auth)
			if w.Code != 200 {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
			decode(t, w.Body.String())
		}
	})
}
