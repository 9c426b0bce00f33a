package sink_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/egress"
	"onramp/internal/onramp"
	"onramp/internal/sink"
)

// No kind of sink connects to what the policy refuses: its events wait, and the outcome
// says why.
func TestGuard(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(endpoint.Close)
	secrets := []onramp.Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	guard := egress.New(egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("169.254.10.20/32")}})
	for name, s := range map[string]onramp.Sink{
		"webhook":         {Webhook: &onramp.Webhook{URL: "http://169.254.169.254/latest/", Secrets: secrets}},
		"webhook by IPv6": {Webhook: &onramp.Webhook{URL: "http://[fd00:ec2::254]/latest/", Secrets: secrets}},
		"kafka":           {Kafka: &onramp.Kafka{Brokers: []string{"169.254.169.254:9092"}, Topic: "events"}},
		"nats":            {NATS: &onramp.NATS{URLs: []string{"nats://169.254.169.254:4222"}, Subject: "events"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newSender(t, sink.Config{Timeout: 3 * time.Second, Guard: guard}, s).Reach(t.Context(), "s")
			if o.Verdict == onramp.Delivered || !strings.Contains(o.Detail, "metadata service") {
				t.Errorf("the outcome is %+v", o)
			}
		})
	}
	reached := newSender(t, sink.Config{Timeout: 3 * time.Second, Guard: guard}, onramp.Sink{Webhook: &onramp.Webhook{URL: endpoint.URL, Secrets: secrets}}).Reach(t.Context(), "s")
	if reached.Verdict != onramp.Delivered || calls.Load() != 1 {
		t.Errorf("an endpoint of this machine's own: %+v", reached)
	}
}
