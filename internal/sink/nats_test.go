package sink_test

import (
	"context"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"onramp/internal/onramp"
	"onramp/internal/sink"
)

var published = onramp.Outcome{Verdict: onramp.Delivered, Detail: "stored in the stream"}

// startNATS runs a server with JetStream.
func startNATS(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.JetStream, o.NoLog, o.NoSigs = "127.0.0.1", true, true, true
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s
}

// newStream makes one named EVENTS.
func newStream(t *testing.T, s *server.Server, c jetstream.StreamConfig, options ...nats.Option) jetstream.Stream {
	t.Helper()
	conn, err := nats.Connect(s.ClientURL(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	c.Name = "EVENTS"
	if c.Subjects == nil {
		c.Subjects = []string{"ens.>"}
	}
	stream, err := js.CreateStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func newNATSSink(t *testing.T, cfg sink.Config, n onramp.NATS) *sink.Sender {
	t.Helper()
	if n.Subject == "" {
		n.Subject = "ens.{type}"
	}
	return newSender(t, cfg, onramp.Sink{NATS: &n})
}

// stored is what a stream holds.
type stored struct{ Subject, ID, Type, Body string }

func read(t *testing.T, stream jetstream.Stream) []stored {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []stored
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stored{m.Subject, m.Header.Get("Nats-Msg-Id"), m.Header.Get("content-type"), string(m.Data)})
	}
	return all
}

func onStream(n int) stored {
	return stored{"ens.TransactionalSendEvents.EmailSent", event(n).ID, "application/cloudevents+json", wrapped(n)}
}

// Events are messages, in order; one that comes twice is stored once.
func TestNATS(t *testing.T) {
	t.Parallel()
	s := startNATS(t, server.Options{})
	stream := newStream(t, s, jetstream.StreamConfig{})
	sender := newNATSSink(t, sink.Config{}, onramp.NATS{URLs: []string{s.ClientURL()}})
	checkOutcomes(t, sender.Send(t.Context(), calls(3)), alike(3, published))
	checkOutcomes(t, sender.Send(t.Context(), call(event(2), event(4))), alike(2, published))
	if diff := cmp.Diff([]stored{onStream(1), onStream(2), onStream(3), onStream(4)}, read(t, stream)); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
	var together sync.WaitGroup
	for lane := range 4 {
		together.Go(func() {
			for turn := range 5 {
				e := event(100 + 10*lane + turn)
				checkOutcomes(t, sender.Send(t.Context(), call(e)), alike(1, published))
			}
		})
	}
	together.Wait()
	if n := len(read(t, stream)); n != 24 {
		t.Errorf("the stream holds %d messages, want 24", n)
	}
}

// What an operator sends again is stored again, though the stream knows its id: once for
// each resend.
func TestNATSResend(t *testing.T) {
	t.Parallel()
	s := startNATS(t, server.Options{})
	stream := newStream(t, s, jetstream.StreamConfig{})
	sender := newNATSSink(t, sink.Config{}, onramp.NATS{URLs: []string{s.ClientURL()}})
	for _, run := range []int64{0, 12, 12, 13} {
		c := call(event(1))
		c.Deliveries[0].Run = run
		checkOutcomes(t, sender.Send(t.Context(), c), alike(1, published))
	}
	again := func(run string) stored {
		m := onStream(1)
		m.ID += "." + run
		m.Body = strings.Replace(m.Body, `,"data":`, `,"resend":"`+run+`","data":`, 1)
		return m
	}
	if diff := cmp.Diff([]stored{onStream(1), again("12"), again("13")}, read(t, stream)); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
	if m, err := stream.GetMsg(t.Context(), 2); err != nil || m.Header.Get("ce-resend") != "12" {
		t.Errorf("the header is %q: %v", m.Header.Get("ce-resend"), err)
	}
}

// A type becomes tokens of a subject, whatever it holds.
func TestNATSSubject(t *testing.T) {
	t.Parallel()
	s := startNATS(t, server.Options{})
	stream := newStream(t, s, jetstream.StreamConfig{})
	long := strings.Repeat("x", 9000)
	for _, c := range []struct{ subject, eventType, want string }{
		{"ens.{type}", "EngagementEvents.EmailOpen", "ens.EngagementEvents.EmailOpen"},
		{"ens.{type}.v1", "A", "ens.A.v1"},
		{"ens.all", "A", "ens.all"},
		{"ens.{type}", "", "ens.unknown"},
		{"ens.{type}", "a b\t*.>.$SYS\r\nPUB x", "ens.a_b__._._SYS__PUB_x"},
		{"ens.{type}", ".a..b.", "ens._.a._.b._"},
		{"ens.{type}", "Grüße-1_2", "ens.Gr__e-1_2"},
		{"ens.{type}", long, "ens." + long[:256]},
	} {
		sender := newNATSSink(t, sink.Config{}, onramp.NATS{URLs: []string{s.ClientURL()}, Subject: c.subject})
		e := event(1)
		e.ID, e.Type = c.subject+c.want, c.eventType
		checkOutcomes(t, sender.Send(t.Context(), call(e)), alike(1, published))
		all := read(t, stream)
		if diff := cmp.Diff(c.want, all[len(all)-1].Subject); diff != "" {
			t.Errorf("subject (-want +got):\n%s", diff)
		}
	}
}

const natsRoute = "publish to subject ens.TransactionalSendEvents.EmailSent"

// No stream takes the subject: the sink stops until one does.
func TestNATSNoStream(t *testing.T) {
	t.Parallel()
	s := startNATS(t, server.Options{})
	sender := newNATSSink(t, sink.Config{}, onramp.NATS{URLs: []string{s.ClientURL()}})
	none := onramp.Outcome{
		Verdict: onramp.Blocked, Detail: "nats: no response from stream",
		Hint: "create a JetStream stream for the sink's subject; if there is one, wait until it has elected a leader",
	}
	checkOutcomes(t, sender.Send(t.Context(), calls(2)), []onramp.Outcome{with(none, natsRoute, 1), with(none, natsRoute, 2)})
	stream := newStream(t, s, jetstream.StreamConfig{})
	checkOutcomes(t, sender.Send(t.Context(), calls(2)), alike(2, published))
	if diff := cmp.Diff([]stored{onStream(1), onStream(2)}, read(t, stream)); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
}

// A stream's limits: one event that is too large takes no other one with it, and a
// full stream makes all wait.
func TestNATSLimits(t *testing.T) {
	t.Parallel()
	const large = "raise the server's max_payload or the stream's max_msg_size, then retry it"
	s := startNATS(t, server.Options{MaxPayload: 20000})
	stream := newStream(t, s, jetstream.StreamConfig{MaxMsgSize: 5000, MaxMsgs: 2, Discard: jetstream.DiscardNew})
	sender := newNATSSink(t, sink.Config{}, onramp.NATS{URLs: []string{s.ClientURL()}})
	sized := func(n, size int) *onramp.Event {
		e := event(n)
		e.Body = json.RawMessage(`"` + strings.Repeat("x", size) + `"`)
		return e
	}
	got := sender.Send(t.Context(), call(event(1), sized(2, 9000), sized(3, 30000), event(4)))
	for i := range got {
		got[i].Request = ""
	}
	checkOutcomes(t, got, []onramp.Outcome{
		published,
		{Verdict: onramp.Rejected, Code: 10054, Detail: got[1].Detail, Hint: large},
		{Verdict: onramp.Rejected, Detail: "nats: maximum payload exceeded", Hint: large},
		published,
	})
	got = sender.Send(t.Context(), call(event(5)))
	checkOutcomes(t, got, []onramp.Outcome{with(onramp.Outcome{
		Verdict: onramp.Throttled, Code: 10077, Detail: got[0].Detail, Hint: "free space in the stream, or raise its limits or the account's",
	}, natsRoute, 5)})
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkOutcomes(t, sender.Send(t.Context(), call(event(5))), alike(1, published))
}

// Who may not log in, publish or hear the answer stops the sink at once, and not
// for longer than it must.
func TestNATSRefused(t *testing.T) {
	t.Parallel()
	const (
		login      = "check the sink's user, password, token or credentials_file"
		permission = "allow the sink's user to publish to its subject and to subscribe to _INBOX.>"
	)
	user := func(name string, publish, subscribe []string) *server.User {
		deny := func(subjects []string) *server.SubjectPermission { return &server.SubjectPermission{Deny: subjects} }
		return &server.User{Username: name, Password: "right", Permissions: &server.Permissions{Publish: deny(publish), Subscribe: deny(subscribe)}}
	}
	s := startNATS(t, server.Options{Users: []*server.User{
		{Username: "admin", Password: "right"}, user("mute", []string{"ens.Denied"}, nil), user("deaf", nil, []string{"_INBOX.>"}),
	}})
	newStream(t, s, jetstream.StreamConfig{}, nats.UserInfo("admin", "right"))
	denied := event(2)
	denied.Type = "Denied"
	for _, c := range []struct {
		user, password string
		event          *onramp.Event
		want           []string
		hint           string
	}{
		{"admin", "right", denied, []string{"delivered", "delivered"}, ""},
		{"admin", "wrong", denied, []string{"blocked", "blocked"}, login},
		{"", "", denied, []string{"blocked", "blocked"}, login},
		{"mute", "right", denied, []string{"delivered", "blocked"}, permission},
		{"deaf", "right", denied, []string{"blocked", "blocked"}, permission},
	} {
		t.Run(c.user+" "+c.password, func(t *testing.T) {
			t.Parallel()
			sender := newNATSSink(t, sink.Config{Timeout: time.Minute}, onramp.NATS{URLs: []string{s.ClientURL()}, User: c.user, Password: onramp.Secret(c.password)})
			for range 2 {
				begun := time.Now()
				got := sender.Send(t.Context(), call(event(1), c.event))
				if diff := cmp.Diff(c.want, verdicts(got)); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
				if got[1].Hint != c.hint || strings.Contains(got[1].Detail, "wrong") {
					t.Errorf("got %s; %s", got[1].Detail, got[1].Hint)
				}
				if took := time.Since(begun); took > 30*time.Second {
					t.Errorf("it took %v", took)
				}
			}
		})
	}
}

// A token and a certificate of one's own.
func TestNATSTLS(t *testing.T) {
	t.Parallel()
	file, config := certificate(t)
	s := startNATS(t, server.Options{TLS: true, TLSConfig: config, Authorization: "token"})
	url := strings.Replace(s.ClientURL(), "nats://", "tls://", 1)
	conn := []nats.Option{nats.RootCAs(file), nats.Token("token")}
	newStream(t, s, jetstream.StreamConfig{}, conn...)
	for _, c := range []struct {
		name, ca string
		want     []string
	}{
		{"known", file, []string{"delivered"}},
		{"unknown", "", []string{"blocked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sender := newNATSSink(t, sink.Config{}, onramp.NATS{URLs: []string{url}, Token: "token", CAFile: c.ca})
			got := sender.Send(t.Context(), calls(1))
			if diff := cmp.Diff(c.want, verdicts(got)); diff != "" {
				t.Errorf("%s\n%s", diff, got[0].Reason())
			}
		})
	}
}

// A server that was gone is found again; meanwhile nothing is kept to be sent
// later.
func TestNATSLost(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := startNATS(t, server.Options{StoreDir: folder})
	newStream(t, s, jetstream.StreamConfig{Duplicates: 100 * time.Millisecond})
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	sender := newNATSSink(t, sink.Config{Timeout: 3 * time.Second}, onramp.NATS{URLs: []string{s.ClientURL()}})
	checkOutcomes(t, sender.Send(t.Context(), calls(1)), alike(1, published))
	s.Shutdown()
	s.WaitForShutdown()
	for range 3 {
		if diff := cmp.Diff([]string{"retry", "retry"}, verdicts(sender.Send(t.Context(), call(event(2), event(3))))); diff != "" {
			t.Error(diff)
		}
	}
	s = startNATS(t, server.Options{StoreDir: folder, Port: number})
	c := call(event(4))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); verdicts(sender.Send(t.Context(), c))[0] != "delivered"; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("never delivered")
		}
	}
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]stored{onStream(1), onStream(4)}, read(t, stream)); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
}

// A subject whose stream never answers makes the call late; one that is abandoned
// ends at once.
func TestNATSSilent(t *testing.T) {
	t.Parallel()
	s := startNATS(t, server.Options{})
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	heard := make(chan *nats.Msg, 10)
	if _, err := conn.ChanSubscribe("ens.>", heard); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	sender := newNATSSink(t, sink.Config{Timeout: 200 * time.Millisecond}, onramp.NATS{URLs: []string{s.ClientURL()}})
	late := onramp.Outcome{Verdict: onramp.Retry, Detail: "no answer within the time-out", Late: true}
	checkOutcomes(t, sender.Send(t.Context(), calls(2)), []onramp.Outcome{with(late, natsRoute, 1), with(late, natsRoute, 2)})
	patient := newNATSSink(t, sink.Config{Timeout: time.Hour}, onramp.NATS{URLs: []string{s.ClientURL()}})
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() {
		if got := patient.Send(ctx, call(event(3)))[0]; got.Verdict != onramp.Retry || got.Late {
			t.Errorf("got %v, %s", got.Verdict, got.Detail)
		}
	})
	for m := range heard {
		if strings.Contains(string(m.Data), event(3).ID) {
			break
		}
	}
	stop()
	sending.Wait()
}
