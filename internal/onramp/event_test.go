package onramp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// seen is what ReadEvent must find in an event.
type seen struct {
	Type, At, SubscriberKey, MessageKey, Send, Subject string
}

func view(e onramp.Event) seen {
	s := seen{Type: e.Type, SubscriberKey: e.SubscriberKey, MessageKey: e.MessageKey, Send: e.Send, Subject: e.Subject}
	if !e.At.IsZero() {
		s.At = e.At.Format(time.RFC3339Nano)
	}
	return s
}

// Each family of events has its fields elsewhere (the samples are ours, in the
// shapes that the vendor's pages show).
func TestReadEvent(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body string
		want seen
	}{
		"email sent": {
			`[x]{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":1700000000123,"compositeId":"g.501.77.3.9001",
			"composite":{"jobId":"501","batchId":"3","listId":"77","subscriberId":"9001","emailId":"12"},"definitionKey":"order-ok","mid":100,"eid":100,
			"info":{"to":"a@ex.test","subscriberKey":"s-1","messageKey":"m-1","status":"Sent","renderedSubject":"Hi \u003d \"you\""}}`,
			seen{"TransactionalSendEvents.EmailSent", "2023-11-14T22:13:20.123Z", "s-1", "m-1", "501.3.9001", "9001"},
		},
		"not sent": {
			`[x]{"eventCategoryType":"TransactionalSendEvents.EmailNotSent","timestampUTC":1700000000123,
			"composite":{"jobId":"501","batchId":"0","listId":"77","subscriberId":"0"},"info":{"subscriberKey":"s-1","messageKey":"m-1","statusCode":"33"}}`,
			seen{"TransactionalSendEvents.EmailNotSent", "2023-11-14T22:13:20.123Z", "s-1", "m-1", "", "s-1"},
		},
		"open": {
			`[x]{"eventCategoryType":"EngagementEvents.EmailOpen","timestampUTC":1700000000123,"composite":{"jobId":"501","batchId":"3","subscriberId":"9001"},"info":{"ipAddress":"192.0.2.1","location":{"subscriberKey":"no"}}}`,
			seen{"EngagementEvents.EmailOpen", "2023-11-14T22:13:20.123Z", "", "", "501.3.9001", "9001"},
		},
		"sms, capital Info": {
			`[x]{"eventCategoryType":"TransactionalSendEvents.SmsDelivered","timestampUTC":1700000000123,"Info":{"subscriberKey":"s","messageKey":"m","ordinal":1},"composite":{"jobId":"1","batchId":"2","mobileNumber":"+49 1","subscriberId":""}}`,
			seen{"TransactionalSendEvents.SmsDelivered", "2023-11-14T22:13:20.123Z", "s", "m", "", "s"},
		},
		"automation": {
			`[x]{"eventCategoryType":"SendEvents.AutomationInstanceErrored","timestampUTC":1700000000456,"eid":100,"mid":101,"automationInstanceID":"i-9","info":{}}`,
			seen{"SendEvents.AutomationInstanceErrored", "2023-11-14T22:13:20.456Z", "", "", "", "i-9"},
		},
		"ott in seconds": {
			`[x]{"eventCategoryType":"EngagementEvents.OttMobileOriginated","eid":"100","mid":"101","messageId":"wamid.X","timestampUTC":1700000000,"mobileNumber":"15550002","contactId":"7"}`,
			seen{"EngagementEvents.OttMobileOriginated", "2023-11-14T22:13:20Z", "", "", "", "15550002"},
		},
		"ott, older names": {
			`[x]{"EventType":"OttSent","MID":"1","MessageKey":"m","TimeStamp":"1700000000"}`,
			seen{"OttSent", "2023-11-14T22:13:20Z", "", "m", "", ""},
		},
		"contact key":     {`[x]{"eventCategoryType":"A.B","contactKey":"c"}`, seen{Type: "A.B", SubscriberKey: "c", Subject: "c"}},
		"escaped":         {`[x]{"eventCategoryType":"A.B","info":{"subscriberKey":"a\u003db@\u00e4"}}`, seen{Type: "A.B", SubscriberKey: "a=b@ä", Subject: "a=b@ä"}},
		"no text":         {`[x]{"eventCategoryType":["A.B"],"info":null,"composite":"x","timestampUTC":true}`, seen{}},
		"time too large":  {`[x]{"timestampUTC":99999999999999999999}`, seen{}},
		"negative time":   {`[x]{"timestampUTC":-5}`, seen{}},
		"fractional time": {`[x]{"timestampUTC":1.7e12}`, seen{At: "2023-11-14T22:13:20Z"}},
		"a number":        {`[x]17`, seen{}},
		"empty":           {`[x]{}`, seen{}},
		"nested deeply":   {`[x]{"a":{"b":[{"info":{"subscriberKey":"no"}},"}"]},"info":{"subscriberKey":"yes"}}`, seen{SubscriberKey: "yes", Subject: "yes"}},
	} {
		body := strings.TrimPrefix(row.body, "[x]")
		e := onramp.ReadEvent([]byte(body))
		if diff := cmp.Diff(row.want, view(e)); diff != "" || string(e.Body) != body {
			t.Errorf("%s: %s", name, diff)
		}
		if i, ok := onramp.ParseEventID(e.ID); !ok || i != e.Identity {
			t.Errorf("%s: the id %s is read as %v, not %v", name, e.ID, i, e.Identity)
		}
	}
}

// What tells events apart, and what does not.
func TestEventIdentity(t *testing.T) {
	t.Parallel()
	const (
		email      = `{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":5000000000000,"composite":{"jobId":"1","batchId":"2","subscriberId":"3"},"info":{"messageKey":"m"}}`
		click      = `{"eventCategoryType":"EngagementEvents.EmailClick","timestampUTC":5000000000000,"composite":{"jobId":"1","batchId":"2","subscriberId":"3"},"info":{"jobUrlId":"7"}}`
		notSent    = `{"eventCategoryType":"TransactionalSendEvents.EmailNotSent","timestampUTC":5000000000000,"composite":{"jobId":"1","batchId":"0","subscriberId":"0"},"info":{"messageKey":"m"}}`
		sms        = `{"eventCategoryType":"TransactionalSendEvents.SmsTransient","timestampUTC":5000000000000,"info":{"messageKey":"m","ordinal":1,"statusCode":"3000"}}`
		ott        = `{"eventCategoryType":"EngagementEvents.OttRead","timestampUTC":5000000000000,"messageKey":"m"}`
		automation = `{"eventCategoryType":"SendEvents.AutomationInstanceStarted","timestampUTC":5000000000000,"automationInstanceID":"i"}`
		push       = `{"eventCategoryType":"EngagementEvents.PushOpen","timestampUTC":5000000000000,"compositeId":"c"}`
		unknown    = `{"eventCategoryType":"New.Thing","timestampUTC":5000000000000,"x":1}`
	)
	for name, row := range map[string]struct {
		a, old, new string
		same        bool
	}{
		"email, other subject line": {email, `"messageKey":"m"`, `"messageKey":"m","renderedSubject":"x"`, true},
		"email, other time":         {email, "5000000000000", "5000000000001", false},
		"email, other batch":        {email, `"batchId":"2"`, `"batchId":"4"`, false},
		"email, other type":         {email, "EmailSent", "EmailBounced", false},
		"click, other link":         {click, `"jobUrlId":"7"`, `"jobUrlId":"8"`, false},
		"not sent, other message":   {notSent, `"m"`, `"n"`, false},
		"sms, in seconds":           {sms, "5000000000000", "5000000000", true},
		"sms, told again":           {sms, "5000000000000", "5000000000009", true},
		"sms, other segment":        {sms, `"ordinal":1`, `"ordinal":2`, false},
		"sms, other status":         {sms, `3000`, `3001`, false},
		"ott, another time":         {ott, "5000000000000", "5000000000009", true},
		"ott, another message":      {ott, `"m"`, `"n"`, false},
		"automation, told again":    {automation, "5000000000000", "5000000000009", true},
		"automation, another run":   {automation, `"i"`, `"j"`, false},
		"push, another event":       {push, `"c"`, `"d"`, false},
		"push, more told":           {push, `"c"`, `"c","y":1`, true},
		"unknown, any difference":   {unknown, `"x":1`, `"x":1 `, false},
	} {
		b := strings.Replace(row.a, row.old, row.new, 1)
		if b == row.a {
			t.Fatalf("%s: nothing is different", name)
		}
		if same := onramp.ReadEvent([]byte(row.a)).ID == onramp.ReadEvent([]byte(b)).ID; same != row.same {
			t.Errorf("%s: the same is %v", name, same)
		}
	}
}

func TestReadBatch(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		`[]`:                           {},
		` [ {"a":1} , {"b":[1]} ]`:     {`{"a":1}`, `{"b":[1]}`},
		`[1,"]",null,[2],{"c":"\"}"}]`: {`1`, `"]"`, `null`, `[2]`, `{"c":"\"}"}`},
		" {\"a\":1}\n":                 {`{"a":1}`},
		`"text"`:                       nil,
		`[{"a":1}`:                     nil,
		`[{"a":1},]`:                   nil,
		``:                             nil,
		`17`:                           nil,
	} {
		events, err := onramp.ReadBatch(t.Context(), []byte(body))
		got := []string{}
		for _, e := range events {
			got = append(got, string(e.Body))
		}
		if (err == nil) != (want != nil) || err == nil && cmp.Diff(want, got) != "" || err != nil && !errors.Is(err, onramp.ErrNotABatch) {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
}

// What is too long or too much is cut, and still says what Onramp reads of it, also
// when it is read again.
func TestCut(t *testing.T) {
	t.Parallel()
	fill := func(n int) string { return strings.Repeat("é", n/2) }
	const sent = `{"eventCategoryType":"T.EmailSent","timestampUTC":1700000000123,"mid":7,"composite":{"jobId":"1","batchId":"2","subscriberId":"3"},"info":{"subscriberKey":"a\u00e4","messageKey":"m"},"x":"`
	events, err := onramp.ReadBatch(t.Context(), []byte(`[`+sent+fill(65000)+`"},`+sent+fill(1<<20)+`"},{"eventCategoryType":"`+fill(1100)+`"}, "`+fill(1<<20)+`"]`))
	if err != nil || len(events) != 4 {
		t.Fatal(len(events), err)
	}
	size := func(n int) int { return len(sent) + n + 2 }
	for i, want := range []struct {
		from int
		seen seen
	}{
		{0, seen{"T.EmailSent", "2023-11-14T22:13:20.123Z", "aä", "m", "1.2.3", "3"}},
		{size(1 << 20), seen{"T.EmailSent", "2023-11-14T22:13:20.123Z", "aä", "m", "1.2.3", "3"}},
		{0, seen{}},
		{1<<20 + 2, seen{}},
	} {
		e := events[i]
		if diff := cmp.Diff(want.seen, view(e)); diff != "" || e.CutFrom != want.from || len(e.Body) > 66_000 {
			t.Errorf("event %d, %d bytes from %d: %s", i, len(e.Body), e.CutFrom, diff)
		}
		if diff := cmp.Diff(e, onramp.ReadStoredEvent(e.Body, e.Identity)); diff != "" {
			t.Errorf("event %d, read again: %s", i, diff)
		}
	}
	if events[0].Identity != events[1].Identity {
		t.Error("an event that was cut has another identity")
	}
	if want := `{"onrampCutFrom":1048578,"onrampBegin":"\"` + fill(4095) + "�" + `"}`; string(events[3].Body) != want {
		t.Errorf("got %s", events[3].Body)
	}
}

// Elements beyond the bound become one event, and nothing is read in vain.
func TestTooManyEvents(t *testing.T) {
	t.Parallel()
	body := []byte(` [` + strings.Repeat(`0 , `, 1e6-1) + `[1]] `)
	events, err := onramp.ReadBatch(t.Context(), body)
	if err != nil || len(events) != 10_001 {
		t.Fatal(len(events), err)
	}
	last := events[10_000]
	want := fmt.Sprintf(`{"onrampCutFrom":%d,"onrampElements":990000,"onrampBegin":"%s"}`, 4*(1_000_000-10_001)+3, strings.Repeat(`0 , `, 1024))
	if string(last.Body) != want || last.CutFrom != 4*(1_000_000-10_001)+3 || cmp.Diff(last, onramp.ReadStoredEvent(last.Body, last.Identity)) != "" {
		t.Errorf("cut from %d: %s", last.CutFrom, last.Body)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("the sender has left")
	cancel(left)
	if events, err := onramp.ReadBatch(ctx, body); !errors.Is(err, left) || len(events) > 0 {
		t.Error(len(events), err)
	}
}

// A batch takes no more memory than a few times its size, whatever it is made of.
func TestBatchMemory(t *testing.T) {
	for name, body := range map[string]string{
		"zeros":       `[` + strings.Repeat("0,", 8<<20-1) + `0]`,
		"empty":       `[` + strings.Repeat("{},", 5<<20) + `0]`,
		"one text":    `["` + strings.Repeat("x", 16<<20) + `"]`,
		"long values": `[` + strings.Repeat(`{"eventCategoryType":"`+strings.Repeat(`\u0041`, 50_000)+`"},`, 50) + `0]`,
		"one object":  `{"a":"` + strings.Repeat(`\n`, 8<<20) + `"}`,
		"many names":  `{` + strings.Repeat(`"jobId":"1",`, 1<<20) + `"a":1}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := onramp.ReadBatch(t.Context(), []byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc - uint64(len(body)); took > uint64(2*len(body)) {
			t.Errorf("%s: %d bytes took %d more", name, len(body), took)
		}
	}
}

func TestMatchesType(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"EngagementEvents.EmailOpen": true, "engagementevents.emailopen": true, "*": true, "Engagement*": true, "*.EmailOpen": true,
		"E*.Email*": true, "*Open": true, "*click": false, "EngagementEvents": false, "": false, "Email*": false, "*Events.*Open*": true,
		"****": true, "Engagement****.****Open": true, "*Open*Open": false, "EngagementEvents.EmailOpen*EmailOpen": false, "*l*n": true, "*n*l*": true, "*n*l*z*": false,
	} {
		if got := onramp.MatchesType(pattern, "EngagementEvents.EmailOpen"); got != want {
			t.Errorf("%q matches: %v", pattern, got)
		}
	}
	// each of these would take longer than the universe is old if * were tried everywhere
	long := strings.Repeat("a", 1<<20)
	for _, pattern := range []string{strings.Repeat("*", 1<<20), strings.Repeat("*a", 1<<19), strings.Repeat("a*", 1000) + "b", "*" + long[1:] + "b"} {
		if got := onramp.MatchesType(pattern, long); got != (pattern[len(pattern)-1] != 'b') {
			t.Errorf("%.5s… matches: %v", pattern, got)
		}
	}
}

func TestEventRule(t *testing.T) {
	t.Parallel()
	e := onramp.ReadEvent([]byte(`{"eventCategoryType":"TransactionalSendEvents.EmailBounced","mid":100,"Info":{"bounceCode":"HARD","n":7,"ok":true}}`))
	for name, row := range map[string]struct {
		rule onramp.EventRule
		want bool
	}{
		"type":         {onramp.EventRule{Type: "*.EmailBounced"}, true},
		"other type":   {onramp.EventRule{Type: "*.EmailSent"}, false},
		"value":        {onramp.EventRule{Type: "*", Where: map[string]string{"BounceCode": "hard"}}, true},
		"other value":  {onramp.EventRule{Type: "*", Where: map[string]string{"bounceCode": "SOFT"}}, false},
		"all of them":  {onramp.EventRule{Type: "*", Where: map[string]string{"bounceCode": "HARD", "n": "8"}}, false},
		"number, bool": {onramp.EventRule{Type: "*", Where: map[string]string{"n": "7", "ok": "true", "mid": "100"}}, true},
		"none such":    {onramp.EventRule{Type: "*", Where: map[string]string{"reason": ""}}, false},
	} {
		if got := row.rule.Matches(&e); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What strangers' bytes hold is kept, whatever it is, and never breaks the
// reader.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(`[{"eventCategoryType":"A.B","timestampUTC":1,"composite":{"jobId":"1"},"info":{"subscriberKey":"\u00e4"}},"x",1,null,[{}]]`))
	f.Add([]byte(`{"Info":{"subscriberKey" : "a" } , "b":-1e5}`))
	f.Add([]byte("[[[[]]], {\"a\\\"\":\"\\\\\"}\t]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := onramp.ReadBatch(t.Context(), body)
		var array []json.RawMessage
		var one map[string]json.RawMessage
		isArray, isObject := json.Unmarshal(body, &array) == nil && array != nil, json.Unmarshal(body, &one) == nil && one != nil
		if (err == nil) != (isArray || isObject) {
			t.Fatalf("taken: %v, an array: %v, an object: %v", err, isArray, isObject)
		}
		if isArray && len(array) != len(events) && len(events) != 10_001 {
			t.Fatalf("%d events, want %d", len(events), len(array))
		}
		for i, e := range events {
			b := e.Body
			if isArray && e.CutFrom == 0 && string(array[i]) != string(b) {
				t.Fatalf("event %d is %s, want %s", i, b, array[i])
			}
			if !json.Valid(b) || len(b) > 160<<10 {
				t.Fatalf("event %d is no JSON, or too long: %d", i, len(b))
			}
			if diff := cmp.Diff(e, onramp.ReadStoredEvent(b, e.Identity)); diff != "" && !bytes.HasPrefix(b, []byte(`{"onrampCutFrom":`)) {
				t.Fatalf("event %d, read again: %s", i, diff)
			}
			if id, ok := onramp.ParseEventID(e.ID); !ok || id != e.Identity || e.Identity.At < 0 {
				t.Fatalf("id %s of %+v", e.ID, e.Identity)
			}
			var fields map[string]any
			if json.Unmarshal(b, &fields) == nil {
				if text, ok := fields["eventCategoryType"].(string); ok && text != "" && len(text) <= 1024 && len(fields) == 1 && e.Type != text {
					t.Fatalf("type %q, want %q", e.Type, text)
				}
			}
		}
	})
}

// A pattern matches what the same pattern as a regular expression matches.
func FuzzMatchesType(f *testing.F) {
	for _, pattern := range []string{"*", "a*b*c", "**a", "a", "*A*", "aa*aa", "*.EmailOpen"} {
		f.Add(pattern, "aabc.EmailOpen")
	}
	f.Fuzz(func(t *testing.T, pattern, eventType string) {
		if len(pattern) > 200 || !utf8.ValidString(pattern+eventType) {
			return
		}
		lower := strings.ToLower(pattern)
		want := regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(lower), `\*`, ".*") + "$").MatchString(strings.ToLower(eventType))
		if got := onramp.MatchesType(pattern, eventType); got != want {
			t.Errorf("%q matches %q: %v", pattern, eventType, got)
		}
	})
}
