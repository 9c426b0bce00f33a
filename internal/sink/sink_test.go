package sink_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/pump"
	"onramp/internal/sink"
)

var _ pump.Sender = (*sink.Sender)(nil)

const source = "https://onramp.example.com/"

// newSender makes one for one sink, whose name is "s".
func newSender(t *testing.T, cfg sink.Config, s onramp.Sink) *sink.Sender {
	t.Helper()
	cfg.Source, s.Name = source, "s"
	sender, err := sink.New(cfg, []onramp.Sink{s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sender.Close(); err != nil {
			t.Error(err)
		}
	})
	return sender
}

// event makes the nth of several different ones.
func event(n int) *onramp.Event {
	return &onramp.Event{
		ID: fmt.Sprintf("0190aaaa-bbbb-8ccc-8ddd-%012d", n), Callback: "mail", Type: "TransactionalSendEvents.EmailSent",
		At: time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC), ReceivedAt: time.Date(2026, 3, 4, 5, 6, 8, 123456e3, time.UTC),
		SubscriberKey: fmt.Sprintf("person-%d", n), Subject: fmt.Sprintf("4711%d", n), MessageKey: "m-1",
		Body: json.RawMessage(fmt.Sprintf(`{ "eventCategoryType": "TransactionalSendEvents.EmailSent", "n": %d, "big": 12345678901234567890, "html": "<a&b>" }`, n)),
	}
}

// wrapped is the envelope of that event.
func wrapped(n int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"0190aaaa-bbbb-8ccc-8ddd-%012d","source":"https://onramp.example.com/ens/mail",`+
		`"type":"TransactionalSendEvents.EmailSent","time":"2026-03-04T05:06:07.089Z","subject":"person-%d","datacontenttype":"application/json",`+
		`"receivedat":"2026-03-04T05:06:08.123456Z","messagekey":"m-1",`+
		`"data":{"eventCategoryType":"TransactionalSendEvents.EmailSent","n":%d,"big":12345678901234567890,"html":"<a&b>"}}`, n, n, n)
}

// call is one attempt for events.
func call(events ...*onramp.Event) onramp.Call {
	c := onramp.Call{Destination: onramp.Destination{Kind: onramp.SinkDestination, Key: "s"}}
	for _, e := range events {
		c.Deliveries = append(c.Deliveries, onramp.Delivery{Event: e})
	}
	return c
}

// calls is one attempt for the first n events.
func calls(n int) onramp.Call {
	events := make([]*onramp.Event, n)
	for i := range events {
		events[i] = event(i + 1)
	}
	return call(events...)
}

// alike is the same outcome n times.
func alike(n int, o onramp.Outcome) []onramp.Outcome {
	outcomes := make([]onramp.Outcome, n)
	for i := range outcomes {
		outcomes[i] = o
	}
	return outcomes
}

// verdicts is what matters to the pump.
func verdicts(outcomes []onramp.Outcome) []string {
	all := make([]string, len(outcomes))
	for i, o := range outcomes {
		all[i] = o.Verdict.String()
		if o.Late {
			all[i] += " late"
		}
	}
	return all
}

func checkOutcomes(t *testing.T, got, want []onramp.Outcome) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// What can never work is reported at once, all of it, and without secrets.
func TestNew(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	hook := func(u string, secrets ...onramp.Secret) onramp.Sink {
		return onramp.Sink{Webhook: &onramp.Webhook{URL: u, Secrets: secrets}}
	}
	for _, c := range []struct {
		name string
		sink onramp.Sink
		want string
	}{
		{"no kind", onramp.Sink{}, "sink s: must be one of webhook, kafka, nats and file"},
		{"two kinds", onramp.Sink{File: &onramp.File{Path: "x"}, Kafka: &onramp.Kafka{}}, "sink s: must be one of webhook, kafka, nats and file"},
		{"webhook without an address", hook("/events?token=hidden"), "sink s: webhook: url: is not an http or https URL"},
		{"webhook by mail", hook("mailto:a@example.com"), "sink s: webhook: url: is not an http or https URL"},
		{"webhook without a secret", hook("https://example.com"), "sink s: webhook: secrets: none given, but events must be signed"},
		{
			"secret without its prefix", hook("https://example.com", secretA, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
			"sink s: webhook: secrets[1]: must be whsec_ and the base64 of 24 to 64 bytes",
		},
		{"short secret", hook("https://example.com", "whsec_aGlkZGVu"), "sink s: webhook: secrets[0]: must be whsec_ and the base64 of 24 to 64 bytes"},
		{"secret that is no base64", hook("https://example.com", "whsec_h#dden"), "sink s: webhook: secrets[0]: must be whsec_ and the base64 of 24 to 64 bytes"},
		{"header with a line's end", onramp.Sink{Webhook: &onramp.Webhook{
			URL: "https://example.com", Secrets: []onramp.Secret{secretA}, Headers: map[string]onramp.Secret{"X-Key": "hidden\r\n"},
		}}, `sink s: webhook: headers: "X-Key": can't be sent`},
		{"kafka without brokers", onramp.Sink{Kafka: &onramp.Kafka{Topic: "t"}}, "sink s: kafka: needs brokers and a topic"},
		{
			"kafka with an unknown login",
			onramp.Sink{Kafka: &onramp.Kafka{Brokers: []string{"b:1"}, Topic: "t", SASL: "gssapi", User: "u"}},
			`sink s: kafka: sasl: "gssapi" is none of plain, scram-sha-256 and scram-sha-512`,
		},
		{"kafka without a user", onramp.Sink{Kafka: &onramp.Kafka{Brokers: []string{"b:1"}, Topic: "t", SASL: "plain"}}, "sink s: kafka: sasl: needs a user"},
		{
			"kafka with an empty CA",
			onramp.Sink{Kafka: &onramp.Kafka{Brokers: []string{"b:1"}, Topic: "t", CAFile: empty}},
			"sink s: kafka: ca_file: holds no certificate in PEM form",
		},
		{"nats without URLs", onramp.Sink{NATS: &onramp.NATS{Subject: "s"}}, "sink s: nats: needs urls"},
		{"nats with a wildcard", onramp.Sink{NATS: &onramp.NATS{URLs: []string{"nats://n"}, Subject: "ens.*"}}, `sink s: nats: subject: "ens.*" is not one that can be published to`},
		{
			"nats with an empty token",
			onramp.Sink{NATS: &onramp.NATS{URLs: []string{"nats://n"}, Subject: "ens..{type}"}},
			`sink s: nats: subject: "ens..{type}" is not one that can be published to`,
		},
		{
			"nats without its credentials",
			onramp.Sink{NATS: &onramp.NATS{URLs: []string{"nats://n"}, Subject: "s", CredentialsFile: filepath.Join(folder, "none")}},
			"sink s: nats: credentials_file: stat " + filepath.Join(folder, "none") + ": no such file or directory",
		},
		{
			"nats without its CA",
			onramp.Sink{NATS: &onramp.NATS{URLs: []string{"nats://n"}, Subject: "s", CAFile: filepath.Join(folder, "none")}},
			"sink s: nats: ca_file: open " + filepath.Join(folder, "none") + ": no such file or directory",
		},
		{"file without a path", onramp.Sink{File: &onramp.File{}}, "sink s: file: needs a path"},
		{
			"file without a folder",
			onramp.Sink{File: &onramp.File{Path: filepath.Join(folder, "none", "x")}},
			"sink s: file: path: stat " + filepath.Join(folder, "none") + ": no such file or directory",
		},
		{"file in a file", onramp.Sink{File: &onramp.File{Path: filepath.Join(empty, "x")}}, "sink s: file: path: " + empty + " is not a folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.sink.Name = "s"
			_, err := sink.New(sink.Config{Source: source}, []onramp.Sink{c.sink})
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	t.Run("several at once", func(t *testing.T) {
		t.Parallel()
		file := &onramp.File{Path: filepath.Join(folder, "x")}
		_, err := sink.New(sink.Config{Source: "https://%zz"}, nil)
		if want := "source of events: is not a URL"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		_, err = sink.New(sink.Config{}, []onramp.Sink{{Name: "a", File: file}, {Name: "b", File: file}, {Name: "a", File: &onramp.File{Path: filepath.Join(folder, "y")}}})
		if want := "sink b: file: already used by sink a\nsink a: two sinks have this name"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

// Brokers that are down keep nothing from starting, and blame no event.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1"
	for _, c := range []struct {
		name          string
		sink          onramp.Sink
		request, hint string
	}{
		{
			"webhook",
			onramp.Sink{Webhook: &onramp.Webhook{URL: "http://user:hidden@" + nobody + "/hidden?t=hidden", Secrets: []onramp.Secret{secretA}}},
			"POST http://" + nobody, "check the sink's url, the network, and that the endpoint is running",
		},
		{
			"kafka",
			onramp.Sink{Kafka: &onramp.Kafka{Brokers: []string{nobody}, Topic: "events"}},
			"produce to topic events", "check the sink's brokers, tls and sasl, the network, and that the brokers are running",
		},
		{
			"nats",
			onramp.Sink{NATS: &onramp.NATS{URLs: []string{"nats://user:hidden@" + nobody}, Subject: "ens.{type}"}},
			"publish to subject ens.TransactionalSendEvents.EmailSent", "check the sink's urls, the network, and that the server is running",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.sink.Batch = 2
			got := newSender(t, sink.Config{}, c.sink).Send(t.Context(), calls(2))
			for i := range got {
				if got[i].Detail == "" || strings.Contains(got[i].Detail, "hidden") {
					t.Errorf("detail %q", got[i].Detail)
				}
				got[i].Detail = ""
			}
			want := onramp.Outcome{Verdict: onramp.Retry, Hint: c.hint}
			checkOutcomes(t, got, []onramp.Outcome{with(want, c.request, 1), with(want, c.request, 2)})
		})
	}
}

// with adds what was sent to a failure.
func with(o onramp.Outcome, route string, n int) onramp.Outcome {
	o.Request = route + "\n" + wrapped(n)
	return o
}

// A delivery to a sink that is no longer configured waits; one whose event is
// gone does not.
func TestNothingToSend(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	sender := newSender(t, sink.Config{}, onramp.Sink{File: &onramp.File{Path: path}})
	other := calls(2)
	other.Destination.Key = "other"
	checkOutcomes(t, sender.Send(t.Context(), other), alike(2, onramp.Outcome{
		Verdict: onramp.Blocked, Detail: "there is no sink of this name", Hint: "add it to the configuration again, or discard its deliveries",
	}))
	gone := onramp.Outcome{Verdict: onramp.Rejected, Detail: "the event is gone", Hint: "discard it"}
	checkOutcomes(t, sender.Send(t.Context(), call(nil, event(1), &onramp.Event{ID: "x"})), []onramp.Outcome{gone, appended, gone})
	checkOutcomes(t, sender.Send(t.Context(), call(nil)), []onramp.Outcome{gone})
	checkFile(t, path, wrapped(1)+"\n")
}

// After the end nothing is sent; it can come twice.
func TestClose(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	sinks := []onramp.Sink{
		{Name: "w", Webhook: &onramp.Webhook{URL: "http://127.0.0.1:1", Secrets: []onramp.Secret{secretA}}},
		{Name: "k", Kafka: &onramp.Kafka{Brokers: []string{"127.0.0.1:1"}, Topic: "events"}},
		{Name: "n", NATS: &onramp.NATS{URLs: []string{"nats://127.0.0.1:1"}, Subject: "ens"}},
		{Name: "s", File: &onramp.File{Path: filepath.Join(folder, "x")}},
	}
	sender, err := sink.New(sink.Config{}, sinks)
	if err != nil {
		t.Fatal(err)
	}
	if got := verdicts(sender.Send(t.Context(), calls(1))); got[0] != "delivered" {
		t.Fatal(got)
	}
	for range 2 {
		if err := sender.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, s := range sinks {
		c := calls(1)
		c.Destination.Key = s.Name
		checkOutcomes(t, sender.Send(t.Context(), c), []onramp.Outcome{{Verdict: onramp.Retry, Detail: "onramp stops"}})
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	got := []int{
		sink.Batch(onramp.Sink{Webhook: &onramp.Webhook{}}), sink.Batch(onramp.Sink{Kafka: &onramp.Kafka{}}), sink.Batch(onramp.Sink{NATS: &onramp.NATS{}}),
		sink.Batch(onramp.Sink{File: &onramp.File{}}), sink.Batch(onramp.Sink{Batch: 7, File: &onramp.File{}}),
	}
	if diff := cmp.Diff([]int{1, 500, 100, 500, 7}, got); diff != "" {
		t.Error(diff)
	}
}
