package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"onramp/internal/api"
	"onramp/internal/onramp"
)

// noting stores nothing, and notes the last registration and its key.
type noting struct {
	api.Registrar
	handler      http.Handler // once something was sent
	registration onramp.Registration
	key          onramp.IdempotencyKey
}

// sent is what became of a registration that was sent.
type sent struct {
	accepted bool
	values   string
	key      onramp.IdempotencyKey
}

func (n *noting) SaveRegistration(_ context.Context, r *onramp.Registration, key onramp.IdempotencyKey, _ bool) (onramp.Accepted, error) {
	n.registration, n.key = *r, key
	return onramp.Accepted{Registration: *r}, nil
}

// send sends a registration with a key.
func (n *noting) send(t *testing.T, contentType, body, key string) sent {
	if n.handler == nil {
		byName := map[string]*onramp.Form{}
		for _, form := range forms() {
			byName[form.Name] = onramp.NewForm(form, "secret")
		}
		n.handler = publicHandler(t, &api.Public{Forms: byName, Store: n})
	}
	n.registration, n.key = onramp.Registration{}, onramp.IdempotencyKey{}
	r := httptest.NewRequestWithContext(t.Context(), "POST", registrations, strings.NewReader(body))
	r.Header["Content-Type"], r.Header["Idempotency-Key"] = []string{contentType}, []string{key}
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	return sent{w.Code == 202, string(n.registration.Values), n.key}
}

// Every visible text is the same key with the quotes of a structured field and without.
func FuzzIdempotencyKey(f *testing.F) {
	for _, key := range []string{"a", `"`, `\`, `a"b`, `\"`, `";a=1`, "a b", ";", strings.Repeat("k", 255), "é", "\t"} {
		f.Add(key)
	}
	var n noting
	f.Fuzz(func(t *testing.T, key string) {
		const body = `{"email":"a@b.co"}`
		bare := n.send(t, "application/json", body, key)
		visible := key != "" && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) && key == strings.TrimSpace(key)
		if !visible || strings.HasPrefix(key, `"`) {
			return // that it answers is enough
		}
		inQuotes := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if quoted := n.send(t, "application/json", body, inQuotes); quoted.accepted != bare.accepted || quoted.key.Hash != bare.key.Hash {
			t.Errorf("%q: accepted %v, %v as %s", key, bare.accepted, quoted.accepted, inQuotes)
		}
	})
}

// JSON, in either order, and a form post of the same values have the same content; what
// the form makes another registration of has another.
func FuzzContent(f *testing.F) {
	f.Add("Jane", "Doe", true, "Jane ", " Doe")
	f.Add("", "x", false, "x", "")
	f.Add(`","last_name":"x`, "y", true, "a", "b")
	f.Add("Zo\u00eb", "a&b=c", false, "Zoe\u0308", "a&b=d")
	var n noting
	f.Fuzz(func(t *testing.T, first, last string, optIn bool, otherFirst, otherLast string) {
		if !utf8.ValidString(first + last + otherFirst + otherLast) {
			t.Skip("no text")
		}
		text := func(s string) string {
			b, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		flag := map[bool]string{true: "true", false: "false"}[optIn]
		one := n.send(t, "application/json", `{"email":"a@b.co","first_name":`+text(first)+`,"last_name":`+text(last)+`,"opt_in":`+flag+`}`, "k")
		for _, again := range []sent{
			n.send(t, "application/json", `{"opt_in":`+flag+`,"last_name":`+text(last)+`,"first_name":`+text(first)+`,"email":" A@b.co"}`, "k"),
			n.send(t, "application/x-www-form-urlencoded",
				url.Values{"first_name": {first}, "last_name": {last}, "email": {"a@B.co"}, "opt_in": {flag}}.Encode(), "k"),
		} {
			if again.accepted != one.accepted || again.key.Body != one.key.Body || again.key.Hash != one.key.Hash {
				t.Errorf("%+v and %+v have not the same key and content", one, again)
			}
		}
		other := n.send(t, "application/json", `{"email":"a@b.co","first_name":`+text(otherFirst)+`,"last_name":`+text(otherLast)+`,"opt_in":`+flag+`}`, "k")
		if one.accepted && other.accepted && (one.values == other.values) != (one.key.Body == other.key.Body) {
			t.Errorf("the content of %s and %s does not tell them apart", one.values, other.values)
		}
	})
}
