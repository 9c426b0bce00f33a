package api_test

import (
	"strings"
	"sync"
	"testing"

	"onramp/internal/onramp"
	"onramp/internal/store/storetest"
	"onramp/internal/web/webtest"
)

// A key makes a repeat return the first answer, whatever the body is wrapped in.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	const (
		asJSON = "Content-Type: application/json"
		asForm = "Content-Type: application/x-www-form-urlencoded"
		first  = `{"email":"a@b.co","first_name":"Jane"}`
	)
	multipart := parts(`form-data; name="email"`, "a@b.co", `form-data; name="first_name"`, "Jane")
	conflict := webtest.Problem(409, "this Idempotency-Key was already used for a different request: use a new key, or send the same body", "", vary)
	type request struct {
		body    string
		headers []string
	}
	for name, row := range map[string]struct {
		first, second request
		same, refused bool
	}{
		"the same":         {first: request{first, []string{asJSON}}, second: request{first, []string{asJSON}}, same: true},
		"white space":      {first: request{first, []string{asJSON}}, second: request{" " + strings.ReplaceAll(first, ",", ",\n"), []string{asJSON}}, same: true},
		"another boundary": {first: request{multipart, []string{"Content-Type: " + partType}}, second: request{strings.ReplaceAll(multipart, "XX", "YY"), []string{"Content-Type: multipart/form-data; boundary=YY"}}, same: true},
		"form post":        {first: request{"email=a%40b.co", []string{asForm}}, second: request{"email=a@b.co", []string{asForm}}, same: true},
		"another body":     {first: request{first, []string{asJSON}}, second: request{`{"email":"a@b.co","first_name":"Joan"}`, []string{asJSON}}, refused: true},
		"a field less":     {first: request{first, []string{asJSON}}, second: request{`{"email":"a@b.co"}`, []string{asJSON}}, refused: true},
		"another field":    {first: request{first, []string{asJSON}}, second: request{`{"email":"a@b.co","last_name":"Jane"}`, []string{asJSON}}, refused: true},
		"another type":     {first: request{`{"email":"a@b.co","opt_in":true}`, []string{asJSON}}, second: request{`{"email":"a@b.co","opt_in":false}`, []string{asJSON}}, refused: true},
		"moved boundaries": {first: request{`{"email":"a@b.co","first_name":"x","last_name":"yz"}`, []string{asJSON}}, second: request{`{"email":"a@b.co","first_name":"xy","last_name":"z"}`, []string{asJSON}}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			send := func(r request) answer {
				return do(g, "POST", registrations, r.body, append(r.headers, "Idempotency-Key: 7d1f")...)
			}
			before := send(row.first)
			webtest.Check(t, accepted(202, "queued"), masked(before))
			after := send(row.second)
			if row.refused {
				webtest.Check(t, conflict, after)
			} else {
				webtest.Check(t, before, after)
			}
			if n := len(g.registrations(t)); n != 1 {
				t.Errorf("%d registrations are stored", n)
			}
		})
	}
}

// The same key means nothing for another form, nor another key for the same one.
func TestIdempotencyKeyElsewhere(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	ids := map[string]bool{}
	for _, r := range []struct{ path, body, key string }{
		{registrations, `{"email":"a@b.co"}`, "k"},
		{"/v1/forms/open/registrations", `{"note":"x"}`, "k"},
		{registrations, `{"email":"a@b.co"}`, "K"},
		{registrations, `{"email":"a@b.co"}`, strings.Repeat("k", 255)},
	} {
		got := do(g, "POST", r.path, r.body, "Content-Type: application/json", "Idempotency-Key: "+r.key)
		if got.Status != 202 || ids[idOf(got)] {
			t.Errorf("%s with %s: answered %+v", r.path, r.key, got)
		}
		ids[idOf(got)] = true
	}
}

// A refused request does not use its key up.
func TestIdempotencyKeyOfRefused(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	got := do(g, "POST", registrations, `{"email":"nobody"}`, "Content-Type: application/json", "Idempotency-Key: k")
	webtest.Check(t, invalid("email", "must be a valid email address"), got)
	got = do(g, "POST", registrations, `{"email":"a@b.co"}`, "Content-Type: application/json", "Idempotency-Key: k")
	webtest.Check(t, accepted(202, "queued"), masked(got))
}

// A repeat that waits is told what became of the first one.
func TestIdempotencyKeyWait(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	const body = `{"email":"a@b.co"}`
	first := do(g, "POST", registrations, body, "Content-Type: application/json", "Idempotency-Key: k")
	storetest.SettleSteps(t, g.store, idOf(first), onramp.DeliveryDelivered, onramp.DeliveryDelivered)
	again := do(g, "POST", registrations, body, "Content-Type: application/json", "Idempotency-Key: k", "Prefer: wait=30")
	webtest.Check(t, accepted(201, "delivered", "Preference-Applied: wait=30"), masked(again))
	if idOf(again) != idOf(first) {
		t.Errorf("answered id %s after %s", idOf(again), idOf(first))
	}
}

// Fifty at once make one registration.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	answers := make([]answer, 50)
	var sent sync.WaitGroup
	for i := range answers {
		sent.Go(func() {
			answers[i] = do(g, "POST", registrations, `{"email":"a@b.co"}`, "Content-Type: application/json", "Idempotency-Key: k")
		})
	}
	sent.Wait()
	for _, got := range answers {
		webtest.Check(t, answers[0], got)
	}
	webtest.Check(t, accepted(202, "queued"), masked(answers[0]))
	if n := g.store.Count().Registrations[onramp.RegistrationQueued]; n != 1 {
		t.Errorf("%d registrations are stored", n)
	}
}
