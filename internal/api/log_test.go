package api_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/api"
	"onramp/internal/store/storetest"
	"onramp/internal/web"
)

// The log line of a request names the form, the registration and the fields that
// were refused, and nothing that a visitor typed.
func TestLogLines(t *testing.T) {
	t.Parallel()
	kept, forms := storetest.Open(t, forms())
	for _, c := range []struct {
		name, target, body string
		want               map[string]any
	}{
		{"accepted", "/v1/forms/registration/registrations", `{"email":"ana@example.org"}`, map[string]any{"level": "INFO", "status": 202.0, "form": "registration", "registration_id": "…"}},
		{
			"refused", "/v1/forms/survey/registrations", `{"mail":"ana","age":"x","ana@example.org":1,"another":2}`,
			map[string]any{"level": "INFO", "status": 422.0, "form": "survey", "fields": "unknown,mail,age,color", "reason": "unprocessable_entity", "err": "some fields are not valid"},
		},
		{"not readable", "/v1/forms/survey/registrations", `{"mail":`, map[string]any{"level": "INFO", "status": 400.0, "form": "survey", "reason": "bad_request", "err": "the body is not valid JSON"}},
		{"no such form", "/v1/forms/ana@example.org/registrations", `{}`, map[string]any{"level": "INFO", "status": 404.0, "reason": "not_found", "err": "there is no such form"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			g := publicHandler(t, &api.Public{Forms: forms, Store: kept, Server: &web.Server{Log: slog.New(slog.NewJSONHandler(&log, nil)), Part: "public"}})
			do(g, "POST", c.target, c.body, "Content-Type: application/json")
			got := map[string]any{}
			if err := json.Unmarshal(log.Bytes(), &got); err != nil {
				t.Fatalf("the log is %s: %v", log.String(), err)
			}
			if took, err := time.ParseDuration(got["took"].(string)); err != nil || took <= 0 {
				t.Errorf("it took %v", got["took"])
			}
			if id, ok := got["registration_id"].(string); ok && idForm.MatchString(id) {
				got["registration_id"] = "…"
			}
			delete(got, "took")
			delete(got, "time")
			c.want["msg"], c.want["part"], c.want["method"], c.want["route"] = "request", "public", "POST", "POST /v1/forms/{form}/registrations"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
