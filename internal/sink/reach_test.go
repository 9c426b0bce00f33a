package sink_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"

	"onramp/internal/onramp"
	"onramp/internal/sink"
	"onramp/internal/web/webtest"
)

// Whether a sink's system answers is found out without an event.
func TestReach(t *testing.T) {
	t.Parallel()
	cfg := sink.Config{Timeout: 5 * time.Second}
	nobody := webtest.FreeAddress(t)
	posts := 0
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts++
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
	}))
	t.Cleanup(endpoint.Close)
	webhook := func(url string) *sink.Sender {
		return newSender(t, cfg, onramp.Sink{Webhook: &onramp.Webhook{URL: url, Secrets: []onramp.Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}})
	}
	natsServer := startNATS(t, server.Options{})
	newStream(t, natsServer, jetstream.StreamConfig{})
	toNATS := func(url, subject string) *sink.Sender {
		return newNATSSink(t, cfg, onramp.NATS{URLs: []string{url}, Subject: subject})
	}
	for _, c := range []struct {
		name   string
		sender *sink.Sender
		want   onramp.Verdict
		detail string // "": whatever it says
	}{
		{"webhook", webhook(endpoint.URL + "/path"), onramp.Delivered, endpoint.URL + " answers"},
		{"no webhook", webhook("http://" + nobody), onramp.Retry, ""},
		{"Kafka", newKafkaSink(t, cfg, newCluster(t, kfake.SeedTopics(1, "events"))), onramp.Delivered, "the brokers answer, and have the topic events"},
		{"no topic", newKafkaSink(t, cfg, newCluster(t)), onramp.Blocked, ""},
		{"NATS", toNATS(natsServer.ClientURL(), "ens.all"), onramp.Delivered, "the server answers, and the stream EVENTS takes the subject ens.all"},
		{"NATS, a subject for each type", toNATS(natsServer.ClientURL(), "ens.{type}"), onramp.Delivered, "the server answers"},
		{"no stream", toNATS(natsServer.ClientURL(), "other"), onramp.Blocked, ""},
		{"no NATS", toNATS("nats://"+nobody, "ens.all"), onramp.Retry, ""},
		{"file", newSender(t, cfg, onramp.Sink{File: &onramp.File{Path: filepath.Join(t.TempDir(), "events")}}), onramp.Delivered, "the folder of the file is there"},
		{"a folder", newSender(t, cfg, onramp.Sink{File: &onramp.File{Path: t.TempDir()}}), onramp.Blocked, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.sender.Reach(t.Context(), "s")
			if c.detail == "" {
				c.detail = got.Detail
			}
			if diff := cmp.Diff([]string{c.want.String(), c.detail}, []string{got.Verdict.String(), got.Detail}); diff != "" {
				t.Errorf("%s\n%+v", diff, got)
			}
		})
	}
	if posts > 0 {
		t.Errorf("%d events were sent", posts)
	}
}
