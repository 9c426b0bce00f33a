package api_test

import (
	"strings"
	"sync"
	"testing"

	"onramp/internal/onramp"
	"onramp/internal/store/storetest"
	"onramp/internal/web/webtest"
)

const (
	asJSON  = "Content-Type: application/json"
	asForm  = "Content-Type: application/x-www-form-urlencoded"
	browser = "Accept: text/html,application/xhtml+xml"
)

// otherContent is the answer to a key that was used with other values.
func otherContent() answer {
	return webtest.Problem(422, "this Idempotency-Key was already used for a submission with other values: use a new key, or send the same values", "", vary)
}

// A key makes a repeat return the first answer when the form makes the same of both:
// every row is sent after the first one, under the same key.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	const first = `{"email":"ana@example.org","first_name":"Zo\u00eb","opt_in":true}`
	asParts := "Content-Type: " + partType
	multipart := parts(`form-data; name="opt_in"`, "on", `form-data; name="email"`, "ana@example.org", `form-data; name="first_name"`, "Zoë")
	for name, row := range map[string]struct {
		body    string
		headers []string
		refused bool
	}{
		"the same":                    {first, []string{asJSON}, false},
		"white space":                 {" " + strings.ReplaceAll(first, ",", ",\n"), []string{asJSON}, false},
		"another order":               {`{"opt_in":true,"first_name":"Zoë","email":"ana@example.org"}`, []string{asJSON}, false},
		"white space around values":   {`{"email":" ana@example.org","first_name":"Zoë\t ","opt_in":true}`, []string{asJSON}, false},
		"the domain in capitals":      {`{"email":"ana@EXAMPLE.org","first_name":"Zoë","opt_in":true}`, []string{asJSON}, false},
		"the address in capitals":     {`{"email":"Ana@Example.org","first_name":"Zoë","opt_in":true}`, []string{asJSON}, false},
		"decomposed":                  {`{"email":"ana@example.org","first_name":"Zoe\u0308","opt_in":true}`, []string{asJSON}, false},
		"empty for absent":            {`{"email":"ana@example.org","first_name":"Zoë","last_name":"","opt_in":true}`, []string{asJSON}, false},
		"null for absent":             {`{"email":"ana@example.org","first_name":"Zoë","last_name":null,"opt_in":true}`, []string{asJSON}, false},
		"a form post":                 {"email=ana%40example.org&first_name=Zo%C3%AB&opt_in=on", []string{asForm}, false},
		"a form post, another order":  {"opt_in=1&first_name=Zo%C3%AB&last_name=&email=ana@example.org", []string{asForm}, false},
		"multipart":                   {multipart, []string{asParts}, false},
		"another boundary":            {strings.ReplaceAll(multipart, "XX", "YY"), []string{"Content-Type: multipart/form-data; boundary=YY"}, false},
		"from another page":           {first, []string{asJSON, "Referer: https://www.example.com/other", "User-Agent: other"}, false},
		"another value":               {`{"email":"ana@example.org","first_name":"Zoe","opt_in":true}`, []string{asJSON}, true},
		"another case of a name":      {`{"email":"ana@example.org","first_name":"zoë","opt_in":true}`, []string{asJSON}, true},
		"another address":             {`{"email":"anna@example.org","first_name":"Zoë","opt_in":true}`, []string{asJSON}, true},
		"another boolean":             {`{"email":"ana@example.org","first_name":"Zoë","opt_in":false}`, []string{asJSON}, true},
		"a field less":                {`{"email":"ana@example.org","opt_in":true}`, []string{asJSON}, true},
		"a field more":                {`{"email":"ana@example.org","first_name":"Zoë","last_name":"Doe","opt_in":true}`, []string{asJSON}, true},
		"another field":               {`{"email":"ana@example.org","last_name":"Zoë","opt_in":true}`, []string{asJSON}, true},
		"a blank more":                {`{"email":"ana@example.org","first_name":"Zo ë","opt_in":true}`, []string{asJSON}, true},
		"another value, a form post":  {"email=ana%40example.org&first_name=Zoe&opt_in=on", []string{asForm}, true},
		"a box unticked, a form post": {"email=ana%40example.org&first_name=Zo%C3%AB", []string{asForm}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			before := do(g, "POST", registrations, first, asJSON, "Idempotency-Key: 7d1f")
			webtest.Check(t, accepted(202, "queued"), masked(before))
			want := before
			if row.refused {
				want = otherContent()
			}
			webtest.Check(t, want, do(g, "POST", registrations, row.body, append(row.headers, "Idempotency-Key: 7d1f")...))
			if n := len(g.registrations(t)); n != 1 {
				t.Errorf("%d registrations are stored", n)
			}
		})
	}
}

// The same of every type of field: pairs of bodies.
func TestIdempotencyKeyOfTypes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		first, second string // the second as a form post, when it is no JSON
		refused       bool
	}{
		"a default, sent or not":      {`{"color":"red"}`, `{"color":"red","agreed":true,"amount":12345678901234567890.5}`, false},
		"a default, posted or not":    {`{"color":"red","agreed":true}`, `color=red&amount=12345678901234567890.50`, false},
		"not the default":             {`{"color":"red"}`, `{"color":"red","agreed":false}`, true},
		"decimals":                    {`{"color":"red","amount":12.5}`, `color=red&amount=12.50`, false},
		"a decimal without a point":   {`{"color":"red","amount":12}`, `color=red&amount=12.00`, false},
		"other decimals":              {`{"color":"red","amount":12.5}`, `color=red&amount=12.05`, true},
		"zeros before the point":      {`{"color":"red","amount":100}`, `color=red&amount=10`, true},
		"integers":                    {`{"color":"red","age":42}`, `color=red&age=42`, false},
		"other integers":              {`{"color":"red","age":42}`, `color=red&age=420`, true},
		"moments":                     {`{"color":"red","born":"2026-06-23T14:52:45+02:00"}`, `{"color":"red","born":"2026-06-23T12:52:45Z"}`, false},
		"other moments":               {`{"color":"red","born":"2026-06-23T14:52:45+02:00"}`, `{"color":"red","born":"2026-06-23T14:52:45Z"}`, true},
		"phone numbers":               {`{"color":"red","phone":"+49 30 123456"}`, `color=red&phone=%2B4930123456`, false},
		"other phone numbers":         {`{"color":"red","phone":"+49 30 123456"}`, `color=red&phone=%2B493012345`, true},
		"locales":                     {`{"color":"red","locale":"en-us"}`, `color=red&locale=en-US`, false},
		"moved boundaries":            {`{"color":"red","note":"ab","phone":"12345"}`, `{"color":"red","note":"a","phone":"12345"}`, true},
		"a posted word for a boolean": {`{"color":"red","agreed":false}`, `color=red&agreed=off`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			send := func(body string) answer {
				contentType := asForm
				if strings.HasPrefix(body, "{") {
					contentType = asJSON
				}
				return do(g, "POST", "/v1/forms/survey/registrations", body, contentType, "Idempotency-Key: 7d1f")
			}
			first := send(row.first)
			if first.Status != 202 {
				t.Fatalf("answered %+v", first)
			}
			want := first
			if row.refused {
				want = otherContent()
			}
			webtest.Check(t, want, send(row.second))
		})
	}
}

// The key is a text, in the quotes of a structured field or without.
func TestIdempotencyKeyForms(t *testing.T) {
	t.Parallel()
	const body = `{"email":"a@b.co"}`
	wrong := webtest.Problem(400, "send one Idempotency-Key header of 1 to 255 characters", "", vary)
	long := strings.Repeat("k", 255)
	for name, row := range map[string]struct {
		first, second string
		same          bool
		want          answer // to the second, when it is refused
	}{
		"quoted":                {`abc`, `"abc"`, true, answer{}},
		"quoted first":          {`"abc"`, `abc`, true, answer{}},
		"blanks around":         {`abc`, `  "abc" `, true, answer{}},
		"parameters":            {`abc`, `"abc";a=1;b`, true, answer{}},
		"escapes":               {`a"b\c`, `"a\"b\\c"`, true, answer{}},
		"a blank inside":        {`a b`, `"a b"`, true, answer{}},
		"the longest":           {long, `"` + long + `"`, true, answer{}},
		"a blank in the quotes": {`abc`, `" abc"`, false, answer{}},
		"another case":          {`abc`, `"ABC"`, false, answer{}},
		"half quoted":           {`abc`, `"abc`, false, answer{}},
		"something behind":      {`abc`, `"abc" d`, false, answer{}},
		"not ASCII in quotes":   {`é`, `"é"`, false, answer{}},
		"a wrong escape":        {`a\b`, `"a\b"`, false, answer{}},
		"a list":                {`abc`, `"abc", "abc"`, false, answer{}},
		"nothing in the quotes": {`abc`, `""`, false, wrong},
		"too long":              {`abc`, `"` + long + `k"`, false, wrong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			first := do(g, "POST", registrations, body, asJSON, "Idempotency-Key: "+row.first)
			second := do(g, "POST", registrations, body, asJSON, "Idempotency-Key: "+row.second)
			if row.want.Status != 0 {
				webtest.Check(t, row.want, second)
				return
			}
			webtest.Check(t, accepted(202, "queued"), masked(second))
			if same := idOf(first) == idOf(second); same != row.same {
				t.Errorf("the same: %v, want %v", same, row.same)
			}
		})
	}
}

// What a version before has stored under a key is found again, with its quotes and by
// its hash of the body as it came.
func TestIdempotencyKeyOfOlderVersion(t *testing.T) {
	t.Parallel()
	older := func(fields ...string) (b []byte) {
		for i, text := range fields {
			if i%2 == 0 {
				b = append(b, byte(onramp.String))
			}
			b = append(append(b, byte(len(text))), text...)
		}
		return b
	}
	for name, row := range map[string]struct {
		stored, sent, body string
		refused            bool
	}{
		"the same":         {"k", "k", `{"email":"ana@b.co","first_name":"Ana"}`, false},
		"white space":      {"k", "k", `{ "email": "ana@b.co", "first_name": "Ana" }`, false},
		"quoted":           {`"k"`, `"k"`, `{"email":"ana@b.co","first_name":"Ana"}`, false},
		"another content":  {"k", "k", `{"email":"ana@b.co","first_name":"Anna"}`, true},
		"quoted, another":  {`"k"`, `"k"`, `{"email":"ana@b.co"}`, true},
		"not as it was":    {"k", "k", `{"first_name":"Ana","email":"ana@b.co"}`, true}, // its values are not known
		"a form's content": {"k", "k", `{"email":"ana@b.co","first_name":"Ana","last_name":"x"}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			r, err := g.forms["registration"].Accept(onramp.Submission{ReceivedAt: receivedAt, Inputs: []onramp.Input{
				{Name: "email", Value: onramp.Scalar{Kind: onramp.String, Text: "ana@b.co"}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			key := onramp.NewIdempotencyKey("registration", row.stored, older("email", "ana@b.co", "first_name", "Ana"))
			if _, err := g.store.SaveRegistration(t.Context(), &r, key, false); err != nil {
				t.Fatal(err)
			}
			got := do(g, "POST", registrations, row.body, asJSON, "Idempotency-Key: "+row.sent)
			if row.refused {
				webtest.Check(t, otherContent(), got)
			} else if idOf(got) != r.ID {
				t.Errorf("answered %+v, want the registration %s", got, r.ID)
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
		got := do(g, "POST", r.path, r.body, asJSON, "Idempotency-Key: "+r.key)
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
	got := do(g, "POST", registrations, `{"email":"nobody"}`, asJSON, "Idempotency-Key: k")
	webtest.Check(t, invalid("email", "must be a valid email address"), got)
	got = do(g, "POST", registrations, `{"email":"a@b.co"}`, asJSON, "Idempotency-Key: k")
	webtest.Check(t, accepted(202, "queued"), masked(got))
}

// A repeat that waits is told what became of the first one.
func TestIdempotencyKeyWait(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	const body = `{"email":"a@b.co"}`
	first := do(g, "POST", registrations, body, asJSON, "Idempotency-Key: k")
	storetest.SettleSteps(t, g.store, idOf(first), onramp.DeliveryDelivered, onramp.DeliveryDelivered)
	again := do(g, "POST", registrations, body, asJSON, "Idempotency-Key: k", "Prefer: wait=30")
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
			answers[i] = do(g, "POST", registrations, `{"email":"a@b.co"}`, asJSON, "Idempotency-Key: k")
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
