package sink_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"

	"onramp/internal/onramp"
	"onramp/internal/sink"
)

const (
	arrival  = "00-0af7651916cd43dd8448eb211c80319c-00000000000000aa-01"
	delivery = "00-0af7651916cd43dd8448eb211c80319c-00000000000000bb-01"
	calling  = "00-0af7651916cd43dd8448eb211c80319c-00000000000000cc-01"
	state    = "site=a1,rum=b2"
)

// tracedCall is a call for one event that came in a trace.
func tracedCall() onramp.Call {
	c := calls(1)
	c.Trace = calling + " " + state
	c.Deliveries[0].Trace = delivery + " " + state
	c.Deliveries[0].Event.Trace = arrival + " " + state
	return c
}

// tracedEnvelope is the envelope of that event: of every try, whatever its spans.
var tracedEnvelope = strings.Replace(wrapped(1), `"data":`, `"traceparent":"`+arrival+`","tracestate":"`+state+`","data":`, 1)

// A receiver can go on with the trace: after the request that brings an event, or, where
// a request brings several, after the event's own delivery.
func TestTrace(t *testing.T) {
	t.Parallel()
	t.Run("webhook", func(t *testing.T) {
		t.Parallel()
		for _, batch := range []int{1, 10} {
			var got []string
			hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = []string{r.Header.Get("traceparent"), r.Header.Get("tracestate"), strings.Trim(string(body), "[]")}
			}))
			t.Cleanup(hook.Close)
			sender := newSender(t, sink.Config{}, onramp.Sink{Batch: batch, Webhook: &onramp.Webhook{URL: hook.URL, Secrets: []onramp.Secret{secretA}}})
			sender.Send(t.Context(), tracedCall())
			if diff := cmp.Diff([]string{calling, state, tracedEnvelope}, got); diff != "" {
				t.Errorf("batch of %d: %s", batch, diff)
			}
		}
	})
	t.Run("kafka", func(t *testing.T) {
		t.Parallel()
		cluster := newCluster(t, kfake.SeedTopics(1, "events"))
		newKafkaSink(t, sink.Config{}, cluster).Send(t.Context(), tracedCall())
		got := consume(t, cluster, 1)[0]
		if got.Value != tracedEnvelope || !slices.Contains(got.Headers, "traceparent: "+delivery) || !slices.Contains(got.Headers, "tracestate: "+state) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		s := startNATS(t, server.Options{})
		stream := newStream(t, s, jetstream.StreamConfig{})
		newNATSSink(t, sink.Config{}, onramp.NATS{URLs: []string{s.ClientURL()}}).Send(t.Context(), tracedCall())
		m, err := stream.GetMsg(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Data) != tracedEnvelope || m.Header.Get("traceparent") != delivery || m.Header.Get("tracestate") != state {
			t.Errorf("got %v %s", m.Header, m.Data)
		}
	})
}
