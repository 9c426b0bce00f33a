package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/retention"
)

const day = 24 * time.Hour

const retained = `marketing_cloud: { auth_url: "http://127.0.0.1:1", client_id: a, client_secret: "${env:SFMC_CLIENT_SECRET}" }
retention: { delivered: 30d, dead: 2160h, held: 7d, events: 180d }
forms:
  one:
    retention: { delivered: off, dead: 10d }
    fields: [{ name: email, column: EmailAddress, type: email, required: true }]
    route: [{ data_extension: { key: X, key_column: SubscriberKey } }]
`

// What a form leaves out is as at the top, and the environment goes before the file.
func TestRetention(t *testing.T) {
	t.Parallel()
	got, err := config.Parse("onramp.yaml", []byte(retained), append(exampleEnviron(), "ONRAMP_RETENTION_UNKNOWN=20d"))
	if err != nil {
		t.Fatal(err)
	}
	want := retention.Policies{
		Policy: retention.Policy{Delivered: 30 * day, Dead: 90 * day, Unknown: 20 * day, Held: 7 * day}, Events: 180 * day,
		Forms: map[string]retention.Policy{"one": {Dead: 10 * day, Unknown: 20 * day, Held: 7 * day}},
	}
	if diff := cmp.Diff(want, got.Retention); diff != "" {
		t.Error(diff)
	}
}

// A period is long enough for what depends on what is stored.
func TestWrongRetention(t *testing.T) {
	t.Parallel()
	for wrong, want := range map[string]string{
		"delivered: 30": "onramp.yaml:2: retention.delivered: must be 1d or longer, such as 30d, or off: for ever", "delivered: 12h": "must be 1d or longer",
		"events: 7d": "retention.events: must be 8d or longer", "dead: 99999d": "retention.dead: must be 1d or longer", "holding: 3d": "retention.holding: unknown key",
	} {
		text := strings.Replace(retained, "delivered: 30d, dead: 2160h, held: 7d, events: 180d", wrong, 1)
		_, err := config.Parse("onramp.yaml", []byte(text), exampleEnviron())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	text := strings.Replace(retained, "dead: 10d }", "dead: 1h, events: 9d }", 1)
	_, err := config.Parse("onramp.yaml", []byte(text), exampleEnviron())
	for _, want := range []string{"forms.one.retention.dead: must be 1d or longer", "forms.one.retention.events: unknown key"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s in %v", want, err)
		}
	}
}
