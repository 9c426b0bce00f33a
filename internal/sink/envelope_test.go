package sink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/sink"
)

// roundTrip is a network that answers by a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newRecorder makes a sender to a webhook whose last body can be read.
func newRecorder(t *testing.T) (sender *sink.Sender, body *[]byte) {
	t.Helper()
	body = new([]byte)
	network := roundTrip(func(r *http.Request) (*http.Response, error) {
		*body, _ = io.ReadAll(r.Body)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	return newSender(t, sink.Config{Transport: network}, onramp.Sink{
		Webhook: &onramp.Webhook{URL: "http://example.com", Secrets: []onramp.Secret{secretA}},
	}), body
}

func cancelled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	return ctx, stop
}

// Every try sends the same bytes, whatever the event has and lacks.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		event onramp.Event
		want  string
	}{
		{"whole", *event(1), wrapped(1)},
		{
			"cut",
			onramp.Event{ID: "e", Callback: "c", CutFrom: 70000, Body: []byte(`{"onrampCutFrom":70000}`)},
			`{"specversion":"1.0","id":"e","source":"https://onramp.example.com/ens/c","type":"unknown","datacontenttype":"application/json","cutfrom":70000,"data":{"onrampCutFrom":70000}}`,
		},
		{
			"nothing known",
			onramp.Event{ID: "e", Callback: "c", Body: []byte(`[1]`)},
			`{"specversion":"1.0","id":"e","source":"https://onramp.example.com/ens/c","type":"unknown","datacontenttype":"application/json","data":[1]}`,
		},
		{
			"a subject without a subscriber key",
			onramp.Event{ID: "e", Callback: "c", Type: "A.B", Subject: "4711", Body: []byte(`"x"`)},
			`{"specversion":"1.0","id":"e","source":"https://onramp.example.com/ens/c","type":"A.B","subject":"4711","datacontenttype":"application/json","data":"x"}`,
		},
		{
			"strange texts",
			onramp.Event{ID: "e", Callback: "ä b/c", Type: "A\n<B>", SubscriberKey: "\x80ü\ufdd0", Body: []byte("{\n\"a\": \"\xff<\"}\n")},
			`{"specversion":"1.0","id":"e","source":"https://onramp.example.com/ens/%C3%A4%20b%2Fc","type":"A` + "\ufffd" + `<B>","subject":"` + "\ufffd" + `ü` + "\ufffd" +
				`","datacontenttype":"application/json","data":{"a":"` + "\ufffd" + `<"}}`,
		},
		{
			"another zone",
			onramp.Event{ID: "e", Callback: "c", At: time.Date(2026, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600)), Body: []byte(`1`)},
			`{"specversion":"1.0","id":"e","source":"https://onramp.example.com/ens/c","type":"unknown","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","data":1}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sender, body := newRecorder(t)
			for range 2 {
				if o := sender.Send(t.Context(), call(&c.event))[0]; o.Verdict != onramp.Delivered {
					t.Fatalf("outcome %v: %s", o.Verdict, o.Detail)
				}
				if diff := cmp.Diff(c.want, string(*body)); diff != "" {
					t.Errorf("envelope (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// What is sent again says so, in the envelope and beside it, and keeps its id.
func TestEnvelopeOfResend(t *testing.T) {
	t.Parallel()
	var header http.Header
	network := roundTrip(func(r *http.Request) (*http.Response, error) {
		header = r.Header
		body, err := io.ReadAll(r.Body)
		if want := strings.Replace(wrapped(1), `,"data":`, `,"resend":"12","data":`, 1); err != nil || string(body) != want {
			t.Errorf("envelope: %s", cmp.Diff(want, string(body)))
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	sender := newSender(t, sink.Config{Transport: network}, onramp.Sink{
		Webhook: &onramp.Webhook{URL: "http://example.com", Secrets: []onramp.Secret{secretA}},
	})
	again := call(event(1))
	again.Deliveries[0].Run = 12
	if o := sender.Send(t.Context(), again)[0]; o.Verdict != onramp.Delivered {
		t.Fatalf("outcome %v: %s", o.Verdict, o.Detail)
	}
	if header.Get("ce-resend") != "12" || header.Get("webhook-id") != event(1).ID {
		t.Errorf("the headers are %v", header)
	}
}

// Whatever an event holds, its envelope is a CloudEvent, and its data are the
// event's.
func FuzzEnvelope(f *testing.F) {
	f.Add("mail", "TransactionalSendEvents.EmailSent", "person", "4711", "m", int64(1772600767089), []byte(`{"a":[1,2.50,null]}`))
	f.Add("", "", "", "", "", int64(0), []byte(`"\u0000\ud800"`))
	f.Add("a/../b?c#d", "\x00", "\xff", "\u2028", "<", int64(1)<<46, []byte("{\"\xff\":1e999}"))
	f.Fuzz(func(t *testing.T, callback, eventType, subscriberKey, subject, messageKey string, millis int64, body []byte) {
		if !json.Valid(body) || millis < 0 || millis >= 1<<47 {
			t.Skip("no event has it")
		}
		e := onramp.Event{ID: "e", Callback: callback, Type: eventType, SubscriberKey: subscriberKey, Subject: subject, MessageKey: messageKey, Body: body}
		if millis > 0 {
			e.At = time.UnixMilli(millis)
		}
		sender, got := newRecorder(t)
		if o := sender.Send(t.Context(), call(&e))[0]; o.Verdict != onramp.Delivered {
			t.Fatalf("outcome %v: %s", o.Verdict, o.Detail)
		}
		checkCloudEvent(t, *got)
		var outer struct{ Data json.RawMessage }
		if err := json.Unmarshal(*got, &outer); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, bytes.ToValidUTF8(body, []byte("\ufffd"))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), string(outer.Data)); diff != "" {
			t.Errorf("data (-want +got):\n%s", diff)
		}
	})
}

var attributeName = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

// checkCloudEvent checks what CloudEvents 1.0 demands of every event.
func checkCloudEvent(t *testing.T, text []byte) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil || !utf8.Valid(text) || bytes.ContainsRune(text, '\n') {
		t.Fatalf("not a line of JSON: %q, %v", text, err)
	}
	attributes := map[string]string{}
	for name, raw := range members {
		if name == "data" {
			continue
		}
		var value string
		if err := json.Unmarshal(raw, &value); err != nil || value == "" || !attributeName.MatchString(name) {
			t.Errorf("attribute %s: %s, %v", name, raw, err)
		}
		if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Noncharacter_Code_Point, r) }) {
			t.Errorf("attribute %s has characters that must not be there: %q", name, value)
		}
		attributes[name] = value
	}
	for _, name := range []string{"id", "source", "type"} {
		if attributes[name] == "" {
			t.Errorf("%s is not there", name)
		}
	}
	if attributes["specversion"] != "1.0" || attributes["datacontenttype"] != "application/json" {
		t.Errorf("attributes %v", attributes)
	}
	if _, err := url.Parse(attributes["source"]); err != nil {
		t.Error(err)
	}
	if at := attributes["time"]; at != "" {
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			t.Error(err)
		}
	}
}
