package tracing_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/tracing"
	"onramp/internal/tracing/tracetest"
)

func newTracer(t testing.TB, cfg tracing.Config) *tracing.Tracer {
	t.Helper()
	tracer, err := tracing.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

// A collector that takes nothing leaves a bounded number of spans waiting. What ends
// while there is no room is dropped, counted, and told once.
func TestDropped(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-open }))
	t.Cleanup(server.Close)
	var log bytes.Buffer
	tracer := newTracer(t, tracing.Config{Endpoint: server.URL, Log: slog.New(slog.NewTextHandler(&log, nil))})
	const room, more = 8192, 100
	for range room + more {
		_, _, end := tracer.Accept(t.Context(), "registration")
		end(onramp.Accepted{}, nil)
	}
	if diff := cmp.Diff(tracing.Status{Dropped: more, Waiting: room}, tracer.Status()); diff != "" {
		t.Error(diff)
	}
	close(open)
	tracer.Close(context.Background())
	if diff := cmp.Diff(tracing.Status{Dropped: more, Sent: room}, tracer.Status()); diff != "" {
		t.Error(diff)
	}
	if got := strings.Count(log.String(), "spans were lost"); got != 1 || !strings.Contains(log.String(), "dropped=100") {
		t.Errorf("the log is %s", log.String())
	}
}

// What a collector refuses is counted as failed, with its reason.
func TestRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(server.Close)
	var log bytes.Buffer
	tracer := newTracer(t, tracing.Config{
		Endpoint: server.URL, Headers: map[string]onramp.Secret{"Authorization": "Bearer hidden"}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	_, _, end := tracer.AcceptEvents(t.Context(), "events", 3)
	end(3, nil)
	tracer.Close(t.Context())
	s := tracer.Status()
	if s.Failed != 1 || s.Sent+s.Dropped+s.Waiting != 0 || !strings.Contains(s.Reason, "401") {
		t.Errorf("the status is %+v", s)
	}
	if !strings.Contains(log.String(), "failed=1") || strings.Contains(log.String()+s.Reason, "hidden") {
		t.Errorf("the log is %s", log.String())
	}
}

// The collector says what becomes of spans.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answers []int
		body    string // of the last one
		want    tracing.Status
	}{
		"taken":            {[]int{200}, "", tracing.Status{Sent: 1}},
		"some are not":     {[]int{200}, "\x0a\x09\x08\x03\x12\x05large", tracing.Status{Failed: 1, Reason: "traces export: the collector has rejected 3 spans"}},
		"a warning":        {[]int{200}, "\x0a\x06\x12\x04slow", tracing.Status{Sent: 1}},
		"no answer of its": {[]int{200}, "<html>", tracing.Status{Sent: 1}},
		"too busy":         {[]int{503, 429, 200}, "", tracing.Status{Sent: 1}},
		"refused":          {[]int{400}, "", tracing.Status{Failed: 1, Reason: "traces export: the collector answered 400 Bad Request"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n := min(int(asked.Add(1)), len(row.answers))
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(row.answers[n-1])
				_, _ = io.WriteString(w, row.body)
			}))
			t.Cleanup(server.Close)
			tracer := newTracer(t, tracing.Config{Endpoint: server.URL})
			_, _, end := tracer.AcceptEvents(t.Context(), "events", 3)
			end(3, nil)
			tracer.Close(t.Context())
			if got := tracer.Status(); got != row.want || int(asked.Load()) != len(row.answers) {
				t.Errorf("%+v after %d requests, want %+v after %d", got, asked.Load(), row.want, len(row.answers))
			}
		})
	}
}

// Off, nothing is made and nothing allocated.
func TestOff(t *testing.T) {
	tracer := newTracer(t, tracing.Config{})
	if tracer != nil {
		t.Fatal("there is a tracer without a collector")
	}
	network := http.DefaultTransport
	log := slog.New(slog.DiscardHandler)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	allocations := testing.AllocsPerRun(100, func() {
		_, at, end := tracer.Accept(t.Context(), "registration")
		end(onramp.Accepted{}, nil)
		_, _, endEvents := tracer.AcceptEvents(t.Context(), "events", 1)
		endEvents(1, nil)
		if traced, endRequest := tracer.Begin(r); traced != r || endRequest != nil || at != "" || tracer.Transport(network) != network || tracer.Log(log) != log {
			t.Error("something was wrapped")
		}
		tracer.Close(t.Context())
	})
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// The standard variables say what the configuration leaves out.
func TestVariables(t *testing.T) { // not parallel: they are the process's
	const bearer = "Authorization=Bearer%20abc"
	for name, row := range map[string]struct {
		config    tracing.Config // with the collector as endpoint
		variables map[string]string
		want      int // spans of 200 that begin here; -1: some, but not all
		service   string
	}{
		"nothing":               {tracing.Config{}, nil, 0, ""},
		"endpoint":              {tracing.Config{}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "OTEL_EXPORTER_OTLP_HEADERS": bearer}, 200, "onramp"},
		"endpoint of traces":    {tracing.Config{}, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "URL/v1/traces"}, 200, "onramp"},
		"not compressed":        {tracing.Config{}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}, 200, "onramp"},
		"disabled":              {tracing.Config{Endpoint: "URL"}, map[string]string{"OTEL_SDK_DISABLED": "true"}, 0, ""},
		"no exporter":           {tracing.Config{}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "OTEL_TRACES_EXPORTER": "none"}, 0, ""},
		"another exporter":      {tracing.Config{}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "URL", "OTEL_TRACES_EXPORTER": "zipkin"}, 0, ""},
		"service":               {tracing.Config{Endpoint: "URL"}, map[string]string{"OTEL_SERVICE_NAME": "signup"}, 200, "signup"},
		"resource":              {tracing.Config{Endpoint: "URL"}, map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.name=forms"}, 200, "forms"},
		"always off":            {tracing.Config{Endpoint: "URL"}, map[string]string{"OTEL_TRACES_SAMPLER": "always_off"}, 0, ""},
		"always on":             {tracing.Config{Endpoint: "URL"}, map[string]string{"OTEL_TRACES_SAMPLER": "always_on"}, 200, "onramp"},
		"share":                 {tracing.Config{Endpoint: "URL"}, map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, -1, "onramp"},
		"share that is none":    {tracing.Config{Endpoint: "URL"}, map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "ten"}, 200, "onramp"},
		"unknown sampler":       {tracing.Config{Endpoint: "URL"}, map[string]string{"OTEL_TRACES_SAMPLER": "jaeger_remote"}, 200, "onramp"},
		"the configuration has": {tracing.Config{Endpoint: "URL", Sample: 0.5}, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER": "always_on"}, -1, "onramp"},
		"path of the endpoint":  {tracing.Config{Endpoint: "URL/v1/traces"}, nil, 200, "onramp"},
	} {
		t.Run(name, func(t *testing.T) {
			c := tracetest.New(t)
			for name, value := range row.variables {
				t.Setenv(name, strings.Replace(value, "URL", c.URL, 1))
			}
			row.config.Endpoint = strings.Replace(row.config.Endpoint, "URL", c.URL, 1)
			row.config.Version = "1.2.3"
			tracer := newTracer(t, row.config)
			for range 200 {
				_, _, end := tracer.Accept(t.Context(), "registration")
				end(onramp.Accepted{}, nil)
			}
			tracer.Close(t.Context())
			got := c.Spans()
			if got != row.want && (row.want >= 0 || got < 20 || got > 180) {
				t.Errorf("%d spans came", got)
			}
			resource := strings.Join(c.Resource(), " ")
			if row.service != "" && (!strings.Contains(resource, "service.name="+row.service+" ") || !strings.Contains(resource, "service.version=1.2.3")) {
				t.Errorf("the resource is %s", resource)
			}
			if row.variables["OTEL_EXPORTER_OTLP_HEADERS"] == bearer && c.Header().Get("Authorization") != "Bearer abc" {
				t.Errorf("the headers are %v", c.Header())
			}
			if plain := row.variables["OTEL_EXPORTER_OTLP_COMPRESSION"] == "none"; got > 0 && plain == (c.Header().Get("Content-Encoding") == "gzip") {
				t.Errorf("the headers are %v", c.Header())
			}
		})
	}
}

// A line of the log names the trace in whose context it is written.
func TestLog(t *testing.T) {
	t.Parallel()
	tracer := newTracer(t, tracing.Config{Endpoint: tracetest.New(t).URL})
	var b bytes.Buffer
	log := tracer.Log(slog.New(slog.NewTextHandler(&b, nil))).With("part", "test")
	ctx, at, end := tracer.Accept(t.Context(), "registration")
	log.InfoContext(ctx, "inside")
	log.InfoContext(t.Context(), "outside")
	end(onramp.Accepted{}, nil)
	tracer.Close(t.Context())
	inside, outside, _ := strings.Cut(strings.TrimSpace(b.String()), "\n")
	if !strings.HasSuffix(inside, "msg=inside part=test trace_id="+string(at[3:35])) || !strings.HasSuffix(outside, "msg=outside part=test") {
		t.Errorf("the log is %s", b.String())
	}
}

// Whatever a stranger sends as traceparent and tracestate, what is stored can be read
// again, is short, and belongs to the caller's trace or to one of ours.
func FuzzBegin(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "site=a1,rum=b2")
	f.Add("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=\tb")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more", strings.Repeat("a=b,", 200))
	f.Add("00-00000000000000000000000000000000-b7ad6b7169203331-01", "\xff=\x00")
	tracer, err := tracing.New(context.Background(), tracing.Config{Endpoint: "http://127.0.0.1:1", Sample: 1e-9})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		tracer.Close(ctx)
	})
	f.Fuzz(func(t *testing.T, parent, state string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Traceparent"], r.Header["Tracestate"] = []string{parent}, []string{state}
		traced, endRequest := tracer.Begin(r)
		_, at, end := tracer.Accept(traced.Context(), "registration")
		end(onramp.Accepted{}, nil)
		endRequest("", http.StatusAccepted)
		if len(at.Parent()) != 55 || len(at.State()) > 512 || strings.ContainsFunc(string(at), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("stored is %q", at)
		}
		again := httptest.NewRequest(http.MethodPost, "/", nil)
		again.Header["Traceparent"], again.Header["Tracestate"] = []string{at.Parent()}, []string{at.State()}
		traced, _ = tracer.Begin(again)
		if _, next, _ := tracer.Accept(traced.Context(), "registration"); next[:35] != at[:35] || next.State() != at.State() {
			t.Errorf("%q goes on as %q", at, next)
		}
	})
}
