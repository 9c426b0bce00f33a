package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A mail's event goes on to a sink of every kind, in the same envelope.
func TestSinks(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	got := map[string]chan string{"webhook": make(chan string, 1), "kafka": make(chan string, 1), "nats": make(chan string, 1), "file": make(chan string, 1)}

	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Header.Get("Webhook-Signature") != "" {
			got["webhook"] <- string(body)
		}
	}))
	t.Cleanup(hook.Close)
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	bus := newBus(t)
	consume(ctx, t, bus, kafka, got)

	file := filepath.Join(t.TempDir(), "events.jsonl")
	w := newWorld(t, func(cfg string) string {
		return cfg + fmt.Sprintf(`sinks:
  - { name: hook, types: ["*.EmailSent"], webhook: { url: "%s", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw } }
  - { name: lake, types: ["*.EmailSent"], kafka: { brokers: ["%s"], topic: events } }
  - { name: bus, types: ["*.EmailSent"], nats: { url: "%s", subject: "sfmc.{type}" } }
  - { name: log, types: ["*.EmailSent"], file: { path: "%s" } }
`, hook.URL, strings.Join(kafka.ListenAddrs(), `","`), bus.ClientURL(), file)
	})
	if err := w.gateway.SetUpEvents(ctx); err != nil {
		t.Fatal(err)
	}
	w.post(`{"email":"ana+click@example.org"}`, map[string]string{"Prefer": "wait=20"})
	w.until("a line in the file", func() bool { return len(lines(t, file)) > 0 })
	got["file"] <- string(lines(t, file)[0])
	envelopes := map[string]string{}
	for kind, arrived := range got {
		select {
		case envelopes[kind] = <-arrived:
		case <-ctx.Done():
			t.Fatalf("nothing came to %s", kind)
		}
	}
	var event struct{ ID, Type, Subject string }
	if err := json.Unmarshal([]byte(envelopes["file"]), &event); err != nil {
		t.Fatal(err)
	}
	if event.Type != "TransactionalSendEvents.EmailSent" || event.Subject != "ana+click@example.org" {
		t.Errorf("the event is %+v", event)
	}
	for kind, envelope := range envelopes {
		if diff := cmp.Diff(envelopes["file"], envelope); diff != "" {
			t.Errorf("%s got another: %s", kind, diff)
		}
	}
	var status struct {
		Destinations []struct{ Name, State string }
	}
	w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
	if len(status.Destinations) != 6 {
		t.Errorf("the destinations are %+v", status.Destinations)
	}
}

// newBus is a NATS server with a stream for events.
func newBus(t *testing.T) *natsserver.Server {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
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

// consume hands over the first message of the stream and the first record of the
// topic.
func consume(ctx context.Context, t *testing.T, bus *natsserver.Server, kafka *kfake.Cluster, got map[string]chan string) {
	t.Helper()
	conn, err := nats.Connect(bus.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"sfmc.>"}})
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	go func() {
		if message, err := consumer.Next(jetstream.FetchContext(ctx)); err == nil {
			got["nats"] <- string(message.Data())
		}
	}()
	go func() {
		fetches := client.PollFetches(ctx)
		fetches.EachRecord(func(r *kgo.Record) { got["kafka"] <- string(r.Value) })
	}()
}
