package api_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/store"
	"onramp/internal/web/webtest"
)

// shop is a gateway that can be started again, with forms that have a key of their own.
type shop struct {
	t    *testing.T
	file string
	now  time.Time
	gateway
	close func()
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, file: filepath.Join(t.TempDir(), "onramp.db"), now: receivedAt}
	s.start()
	t.Cleanup(func() { s.close() })
	return s
}

func (s *shop) start() {
	s.t.Helper()
	opened, err := store.Open(s.t.Context(), store.Config{URL: s.file})
	if err != nil {
		s.t.Fatal(err)
	}
	s.close = func() {
		if err := opened.Close(); err != nil {
			s.t.Error(err)
		}
	}
	registered, err := opened.RegisterForms(s.t.Context(), shopForms())
	if err != nil {
		s.t.Fatal(err)
	}
	s.store, s.forms = opened, map[string]*onramp.Form{}
	for _, f := range registered {
		s.forms[f.Name] = f
	}
	s.Handler = publicHandler(s.t, &api.Public{Forms: s.forms, Store: opened, Now: func() time.Time { return s.now }})
}

func (s *shop) restart() {
	s.close()
	s.start()
}

func shopForms() []onramp.Form {
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}
	form := func(f onramp.Form) onramp.Form {
		f.Fields = append([]onramp.Field{
			{Name: "email", Column: "EmailAddress", Type: onramp.Email, Required: true},
			{Name: "name", Column: "Name"},
			{Name: "news", Column: "News", Type: onramp.Boolean},
			{Column: "Visit", From: onramp.FromUUID},
			{Column: "IPAddress", From: onramp.FromIP},
			{Column: "UserAgent", From: onramp.FromUserAgent},
			{Column: "PageURL", From: onramp.FromPageURL},
		}, f.Fields...)
		f.Route = []onramp.Destination{row}
		return f
	}
	return []onramp.Form{
		form(onramp.Form{Name: "plain"}),
		form(onramp.Form{Name: "keyed", IdempotencyField: "token"}),
		form(onramp.Form{Name: "order", IdempotencyField: "number", Fields: []onramp.Field{{Name: "number", Column: "OrderNumber", Type: onramp.Integer}}}),
		form(onramp.Form{Name: "own", Fields: []onramp.Field{{Name: "_once", Column: "Once"}}}),
		form(onramp.Form{Name: "minutes", OncePer: 10 * time.Minute}),
		form(onramp.Form{Name: "uuid", OncePer: 10 * time.Minute, SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}}),
		form(onramp.Form{Name: "both", OncePer: 10 * time.Minute, IdempotencyField: "token"}),
	}
}

// sending is one submission and what it is.
type sending struct {
	form    string
	body    string   // JSON, or a form post
	headers []string // beside the content type
	is      string   // a name for the registration that it is answered with
	after   time.Duration
	restart bool
	refused *answer
}

// send sends all, one after the other, and compares which of them are one registration:
// the same id and time of receipt in the answer, and as many as there are stored.
func (s *shop) send(all []sending) {
	s.t.Helper()
	stored, firstAnswers := map[string]bool{}, map[string]answer{}
	for i, one := range all {
		if one.restart {
			s.restart()
		}
		s.now = s.now.Add(one.after)
		contentType := asForm
		if strings.HasPrefix(one.body, "{") {
			contentType = asJSON
		}
		got := do(s, http.MethodPost, "/v1/forms/"+one.form+"/registrations", one.body, append(one.headers, contentType)...)
		if one.refused != nil {
			webtest.Check(s.t, *one.refused, got)
			continue
		}
		stored[one.is] = true
		if got.Status == http.StatusSeeOther {
			if want := webtest.Good(303, webtest.Headers(vary, "Location: /f/"+one.form+"?thanks"), ""); cmp.Diff(want, got) != "" {
				s.t.Errorf("%d: answered %+v", i, got)
			}
		} else if first, known := firstAnswers[one.is]; !known {
			firstAnswers[one.is] = got
			if got.Status != http.StatusAccepted {
				s.t.Errorf("%d: answered %+v", i, got)
			}
			for name, other := range firstAnswers {
				if name != one.is && idOf(other) == idOf(got) {
					s.t.Errorf("%d: %s is %s", i, one.is, name)
				}
			}
		} else if diff := cmp.Diff(first, got); diff != "" {
			s.t.Errorf("%d: not answered as %s was: %s", i, one.is, diff)
		}
		if n := len(s.registrations(s.t)); n != len(stored) {
			s.t.Fatalf("%d: %d registrations are stored, want %d", i, n, len(stored))
		}
	}
}

// A plain form sends its key as a field.
func TestIdempotencyField(t *testing.T) {
	t.Parallel()
	other := otherContent()
	wrong := func(what string) *answer {
		a := invalid("token", what)
		return &a
	}
	header := func(key string) []string { return []string{"Idempotency-Key: " + key} }
	for name, all := range map[string][]sending{
		"a form post": {
			{form: "keyed", body: "email=a@b.co&token=t1", is: "1"},
			{form: "keyed", body: "token=t1&email=a%40b.co", is: "1"},
			{form: "keyed", body: "email=a@b.co&token=+t1+", is: "1", headers: []string{browser}},
			{form: "keyed", body: "email=a@b.co&token=t2", is: "2"},
			{form: "keyed", body: "email=a@b.co&token=T2", is: "3"},
			{form: "keyed", body: "email=c@b.co&token=t1", refused: &other},
			{form: "keyed", body: `{"email":"a@b.co","token":"t1"}`, is: "1", restart: true},
		},
		"a number": {
			{form: "keyed", body: `{"token":42,"email":"a@b.co"}`, is: "1"},
			{form: "keyed", body: "email=a@b.co&token=42", is: "1"},
			{form: "keyed", body: `{"email":"a@b.co","name":"x","token":"42"}`, refused: &other},
		},
		"none": {
			{form: "keyed", body: "email=a@b.co", is: "1"},
			{form: "keyed", body: "email=a@b.co&token=", is: "2"},
			{form: "keyed", body: "email=a@b.co&token=", is: "3"},
			{form: "keyed", body: `{"email":"a@b.co","token":null}`, is: "4"},
		},
		"the header wins": {
			{form: "keyed", body: "email=a@b.co&token=t1", headers: header("h"), is: "1"},
			{form: "keyed", body: "email=a@b.co&token=t2", headers: header("h"), is: "1"},
			{form: "keyed", body: "email=a@b.co&token=t1", is: "2"},
			{form: "keyed", body: "email=a@b.co", headers: header("t1"), is: "2"}, // one key, either way
			{form: "keyed", body: "email=a@b.co&token=h", is: "1"},
		},
		"it wins over the one-time key": {
			{form: "keyed", body: "email=a@b.co&_once=o&token=t1", is: "1"},
			{form: "keyed", body: "token=t1&email=a@b.co&_once=p", is: "1"},
			{form: "keyed", body: "_once=o&email=a@b.co", is: "2"},
			{form: "keyed", body: "_once=o&email=c@b.co&token=t1", refused: &other},
		},
		"no key": {
			{form: "keyed", body: `{"email":"a@b.co","token":true}`, refused: wrong("must be text of at most 255 characters")},
			{form: "keyed", body: `{"email":"a@b.co","token":["a"]}`, refused: wrong("must be text of at most 255 characters")},
			{form: "keyed", body: "email=a@b.co&token=" + strings.Repeat("k", 256), refused: wrong("must be text of at most 255 characters")},
			{form: "keyed", body: "email=a@b.co&token=1&token=2", refused: wrong("is given more than once")},
		},
		"after a mistake": {
			{form: "keyed", body: "email=nobody&token=t1", refused: new(invalid("email", "must be a valid email address"))},
			{form: "keyed", body: "email=a@b.co&token=t1", is: "1"},
			{form: "keyed", body: "email=nobody&token=t1", refused: new(invalid("email", "must be a valid email address"))},
			{form: "keyed", body: "email=a@b.co&token=t1", is: "1"},
		},
		"a field of the form": {
			{form: "order", body: "email=a@b.co&number=7", is: "1"},
			{form: "order", body: `{"email":"a@b.co","number":7}`, is: "1"},
			{form: "order", body: "email=a@b.co&number=007", is: "1"},
			{form: "order", body: "email=a@b.co&number=8", is: "2"},
			{form: "order", body: "email=a@b.co", is: "3"},
			{form: "order", body: "email=a@b.co&number=", is: "4"},
			{form: "order", body: "email=c@b.co&number=7", refused: &other},
			{form: "order", body: "email=a@b.co&number=x", refused: new(invalid("number", "must be a whole number between -2147483648 and 2147483647"))},
		},
		"another form": {
			{form: "keyed", body: "email=a@b.co&token=7", is: "1"},
			{form: "order", body: "email=a@b.co&number=7", is: "2"},
			{form: "plain", body: "email=a@b.co&token=7", is: "3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newShop(t).send(all)
		})
	}
}

// The one-time key of the hosted form and the embed makes clicks and reloads one, and
// what was corrected another registration.
func TestOnceInput(t *testing.T) {
	t.Parallel()
	other := otherContent()
	visitor := []string{browser}
	for name, all := range map[string][]sending{
		"clicks": {
			{form: "plain", body: "email=a@b.co&name=&_once=o1", is: "1"},
			{form: "plain", body: "email=a@b.co&name=&_once=o1", headers: visitor, is: "1"},
			{form: "plain", body: "_once=o1&email=+a@b.co", headers: visitor, is: "1"},
			{form: "plain", body: `{"email":"a@b.co","_once":"o1"}`, is: "1", restart: true, after: 23 * time.Hour},
		},
		"a visitor's first": {
			{form: "plain", body: "email=a@b.co&_once=o1", headers: visitor, is: "1"},
			{form: "plain", body: "email=a@b.co&_once=o1", headers: visitor, is: "1"},
			{form: "plain", body: "email=a@b.co&_once=o2", headers: visitor, is: "2"},
			{form: "plain", body: "email=a@b.co", headers: visitor, is: "3"},
		},
		"corrected": {
			{form: "plain", body: "email=a@b.co&_once=o1", is: "1"},
			{form: "plain", body: "email=a@b.co&name=Ana&_once=o1", is: "2"},
			{form: "plain", body: "email=a@b.co&name=Ana&_once=o1", is: "2"},
			{form: "plain", body: "email=a@b.co&_once=o1", is: "1"},
			{form: "plain", body: "email=c@b.co&_once=o1", is: "3", headers: visitor},
		},
		"after a mistake": {
			{form: "plain", body: "email=nobody&_once=o1", refused: new(invalid("email", "must be a valid email address"))},
			{form: "plain", body: "email=a@b.co&_once=o1", is: "1"},
			{form: "plain", body: "email=a@b.co&_once=o1", is: "1"},
		},
		"the header wins": {
			{form: "plain", body: "email=a@b.co&_once=o1", headers: []string{"Idempotency-Key: h"}, is: "1"},
			{form: "plain", body: "email=a@b.co&_once=o2", headers: []string{"Idempotency-Key: h"}, is: "1"},
			{form: "plain", body: "email=c@b.co&_once=o1", headers: []string{"Idempotency-Key: h"}, refused: &other},
			{form: "plain", body: "email=a@b.co&_once=h", is: "2"}, // not the header's key
		},
		"empty, or no text": {
			{form: "plain", body: "email=a@b.co&_once=", is: "1"},
			{form: "plain", body: "email=a@b.co&_once=", is: "2"},
			{form: "plain", body: `{"email":"a@b.co","_once":{}}`, is: "3"},
			{form: "plain", body: `{"email":"a@b.co","_once":null}`, is: "4"},
		},
		"a form's own field": {
			{form: "own", body: "email=a@b.co&_once=o1", is: "1"},
			{form: "own", body: "email=a@b.co&_once=o1", is: "2"},
		},
		"another form": {
			{form: "plain", body: "email=a@b.co&_once=o1", is: "1"},
			{form: "keyed", body: "email=a@b.co&_once=o1", is: "2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newShop(t).send(all)
		})
	}
}

// Equal submissions of a person within once_per are one, whatever the door.
func TestOncePer(t *testing.T) {
	t.Parallel()
	other := otherContent()
	header := func(key string) []string { return []string{"Idempotency-Key: " + key} }
	for name, all := range map[string][]sending{
		"every door": {
			{form: "minutes", body: `{"email":"a@b.co","name":"Ana","news":true}`, is: "1"},
			{form: "minutes", body: `{"news":true,"name":" Ana","email":"A@B.co"}`, is: "1"},
			{form: "minutes", body: "email=a@b.co&name=Ana&news=on", is: "1", headers: []string{"User-Agent: x", "Referer: https://b.co/x"}},
			{form: "minutes", body: "email=a@b.co&name=Ana&news=on&_once=o1", is: "1", headers: []string{browser}},
			{form: "minutes", body: "email=a@b.co&name=Ana&news=1&_once=o2", is: "1", restart: true},
			{form: "minutes", body: `{"email":"a@b.co","name":"Ana","news":true}`, is: "1", headers: header("h1")},
		},
		"a browser's first": {
			{form: "minutes", body: "email=a@b.co&_once=o1", is: "1", headers: []string{browser}},
			{form: "minutes", body: "email=a@b.co&_once=o2", is: "1", headers: []string{browser}},
			{form: "minutes", body: `{"email":"a@b.co"}`, is: "1", restart: true},
			{form: "minutes", body: `{"email":"a@b.co"}`, is: "2", after: 10 * time.Minute},
		},
		"other content, other people": {
			{form: "minutes", body: `{"email":"a@b.co"}`, is: "1"},
			{form: "minutes", body: `{"email":"c@b.co"}`, is: "2"},
			{form: "minutes", body: `{"email":"a@b.co","name":"Ana"}`, is: "3"},
			{form: "minutes", body: `{"email":"a@b.co","news":false}`, is: "4"},
			{form: "minutes", body: `{"email":"a@b.co"}`, is: "1"},
			{form: "minutes", body: `{"email":"a@b.co","name":"Ana"}`, is: "3", restart: true},
		},
		"from the first one's time": {
			{form: "minutes", body: "email=a@b.co", is: "1"},
			{form: "minutes", body: "email=a@b.co", is: "1", after: 6 * time.Minute},
			{form: "minutes", body: "email=a@b.co", is: "1", after: 4*time.Minute - time.Microsecond, restart: true},
			{form: "minutes", body: "email=a@b.co", is: "2", after: time.Microsecond},
			{form: "minutes", body: "email=a@b.co", is: "2", after: 9 * time.Minute},
			{form: "minutes", body: "email=a@b.co", is: "2", after: -18 * time.Minute}, // the clock is set back
			{form: "minutes", body: "email=a@b.co", is: "3", after: -time.Minute},
			{form: "minutes", body: "email=a@b.co", is: "3", restart: true},
		},
		"keys belong to the first one": {
			{form: "minutes", body: "email=a@b.co", headers: header("h1"), is: "1"},
			{form: "minutes", body: "email=a@b.co", headers: header("h2"), is: "1", after: time.Minute},
			{form: "minutes", body: "email=a@b.co", headers: header("h2"), is: "1", after: time.Hour, restart: true},
			{form: "minutes", body: "email=a@b.co", headers: header("h1"), is: "1"},
			{form: "minutes", body: "email=a@b.co", is: "2"},
			{form: "minutes", body: "email=c@b.co", headers: header("h2"), refused: &other},
			{form: "minutes", body: "email=a@b.co", headers: header("h3"), is: "2"},
			{form: "minutes", body: "email=a@b.co", headers: header("h2"), is: "1"},
		},
		"a key that comes as a field": {
			{form: "both", body: "email=a@b.co&token=t1", is: "1"},
			{form: "both", body: "email=a@b.co&token=t2", is: "1"},
			{form: "both", body: "email=a@b.co", is: "1"},
			{form: "both", body: "email=a@b.co&token=t2", is: "1", after: time.Hour},
			{form: "both", body: "email=a@b.co&token=t3", is: "2"},
			{form: "both", body: "email=c@b.co&token=t2", refused: &other},
		},
		"a generated subscriber key": {
			{form: "uuid", body: "email=a@b.co", is: "1"},
			{form: "uuid", body: "email=A@b.co", is: "1"},
			{form: "uuid", body: "email=c@b.co", is: "2"},
			{form: "uuid", body: "email=a@b.co", is: "1", restart: true},
		},
		"not without it": {
			{form: "plain", body: "email=a@b.co", is: "1"},
			{form: "plain", body: "email=a@b.co", is: "2"},
			{form: "minutes", body: "email=a@b.co", is: "3"},
			{form: "uuid", body: "email=a@b.co", is: "4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newShop(t).send(all)
		})
	}
}

// Fifty equal submissions at the same moment are one, by every door.
func TestOncePerAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	answers := make([]answer, 50)
	var sent sync.WaitGroup
	for i := range answers {
		sent.Go(func() {
			switch i % 3 {
			case 0:
				answers[i] = do(s, "POST", "/v1/forms/minutes/registrations", `{"email":"a@b.co"}`, asJSON)
			case 1:
				answers[i] = do(s, "POST", "/v1/forms/minutes/registrations", "email=a@b.co&_once=o", asForm)
			default:
				answers[i] = do(s, "POST", "/v1/forms/minutes/registrations", `{"email":"a@b.co"}`, asJSON, "Idempotency-Key: "+string(rune('a'+i)))
			}
		})
	}
	sent.Wait()
	for _, got := range answers {
		webtest.Check(t, answers[0], got)
	}
	if n := len(s.registrations(t)); n != 1 {
		t.Errorf("%d registrations are stored", n)
	}
}

// The schema and the document tell of the input that holds the key.
func TestIdempotencyFieldInSchema(t *testing.T) {
	t.Parallel()
	key := map[string]any{"type": "string", "maxLength": 255., "description": "the submission's Idempotency-Key, where that header can't be set"}
	for form, want := range map[string]map[string]any{"plain": {}, "keyed": {"token": key}, "order": {"number": "its own"}, "own": {"_once": "its own"}} {
		var schema struct{ Properties map[string]map[string]any }
		if err := json.Unmarshal([]byte(do(newShop(t), "GET", "/v1/forms/"+form, "").Body), &schema); err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		for name, property := range schema.Properties {
			switch {
			case name == "email" || name == "name" || name == "news":
			case name == "token":
				got[name] = property
			default:
				got[name] = "its own"
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: properties (-want +got):\n%s", form, diff)
		}
	}
}
