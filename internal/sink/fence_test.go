package sink_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/sink"
)

// Whenever the fence closes, an event that it stops has not arrived, and no try is
// used up.
func TestFence(t *testing.T) {
	t.Parallel()
	for open := range int64(6) {
		var arrived atomic.Int64
		endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
		t.Cleanup(endpoint.Close)
		path := filepath.Join(t.TempDir(), "events") // a file for each
		for name, s := range map[string]onramp.Sink{
			"webhook": {Webhook: &onramp.Webhook{URL: endpoint.URL, Secrets: []onramp.Secret{"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}}},
			"file":    {File: &onramp.File{Path: path}},
			"kafka":   {Kafka: &onramp.Kafka{Brokers: []string{endpoint.Listener.Addr().String()}, Topic: "events"}},
			"nats":    {NATS: &onramp.NATS{URLs: []string{endpoint.Listener.Addr().String()}, Subject: "events"}},
		} {
			t.Run(fmt.Sprintf("%s, closed after %d looks", name, open), func(t *testing.T) {
				if open > 0 && (s.Kafka != nil || s.NATS != nil) {
					t.Skip("nobody is there")
				}
				var looks atomic.Int64
				sender := newSender(t, sink.Config{Timeout: 10 * time.Second, Fence: func() error {
					if looks.Add(1) > open {
						return errors.New("the lease is over")
					}
					return nil
				}}, s)
				arrived.Store(0)
				o := sender.Send(t.Context(), calls(1))[0]
				n := arrived.Load()
				if written, err := os.ReadFile(path); s.File != nil && err == nil {
					n = int64(bytes.Count(written, []byte("\n")))
				}
				stopped := o.Verdict == onramp.Throttled && strings.Contains(o.Detail, "the lease is over")
				if delivered := o.Verdict == onramp.Delivered; delivered == stopped || delivered != (n == 1) || open == 0 && !stopped {
					t.Errorf("arrived %d times, outcome %+v", n, o)
				}
			})
		}
	}
}
