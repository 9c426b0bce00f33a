// Package metrics tells Prometheus how the gateway is doing.
//
// What the gateway is like at the moment comes from the operator's Status, as onramp
// status and the alerts show it; see gauges.go. What happens is counted here, by those
// who do it: a [Metrics] is their meter. No label holds what a stranger has sent.
package metrics

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"onramp/internal/budget"
	"onramp/internal/onramp"
	"onramp/internal/screen"
	"onramp/internal/web"
)

const (
	// tokenBudget is how long Marketing Cloud waits for a token (vendor page
	// ens-callback-oauth), callbackBudget how long for the answer to a batch of events
	// (vendor page ens-retries-suspensions).
	tokenBudget    = 2 * time.Second
	callbackBudget = 3 * time.Second
)

// Metrics counts what happens, and serves it together with the state of the gateway. Its
// methods are safe for concurrent use and return at once.
type Metrics struct {
	registry *prometheus.Registry
	state    state

	requests    *prometheus.CounterVec
	requestTook *prometheus.HistogramVec
	forms       *prometheus.CounterVec
	refused     *prometheus.CounterVec
	inTime      *prometheus.CounterVec

	commitWrites prometheus.Histogram
	commitTook   prometheus.Histogram

	calls    *prometheus.CounterVec
	callTook *prometheus.HistogramVec
	batches  *prometheus.HistogramVec
	sendTook *prometheus.HistogramVec
	outcomes *prometheus.CounterVec

	screened *prometheus.CounterVec
}

// New makes the metrics of a gateway. desk tells how the gateway is; it is asked
// with each scrape, and not before.
func New(version string, desk Desk) *Metrics {
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 3, 5, 10, 30}
	sizes := []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000}
	m := &Metrics{
		registry: prometheus.NewRegistry(), state: state{desk: desk},
		requests:    counters("http_requests_total", "Requests that a handler has answered, by listener, route and HTTP status; 499: the client did not wait.", "listener", "route", "code"),
		requestTook: histograms("http_request_seconds", "Time from a request's header to the end of its answer, waits for an outcome (Prefer: wait) included.", seconds, "listener", "route"),
		forms:       counters("form_requests_total", "Requests about a form, by the form and HTTP status.", "form", "code"),
		refused:     counters("refused_requests_total", "Requests that did not get what they asked for, and connections that were closed, by the reason.", "listener", "reason"),
		inTime:      counters("ens_answers_total", "Answers to the Event Notification Service that were a success: a token within 2 s, a batch of events within 3 s, or later.", "request", "in_time"),

		commitWrites: histogram("commit_writes", "Writes that shared a commit of the database.", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}),
		commitTook:   histogram("commit_seconds", "Time that a commit took. With SQLite nearly all of it is the disk's fsync, with PostgreSQL the server's and the network.", []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}),

		calls:    counters("calls_total", "Calls to Marketing Cloud, by what they are for and the HTTP status of the answer; 0: the answer was lost.", "route", "code"),
		callTook: histograms("call_seconds", "Time until Marketing Cloud began to answer a call.", seconds, "route"),
		batches:  histograms("batch_deliveries", "Deliveries that went out together, in one call or one batch of events.", sizes, "destination"),
		sendTook: histograms("send_seconds", "Time that sending a batch took, with the polls for the result of an asynchronous call.", []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}, "destination"),
		outcomes: counters("outcomes_total", "Attempts to make a delivery, by how they came out.", "destination", "outcome"),

		screened: counters("screened_total", "Submissions that were screened for abuse, by the form, what became of them (passed, held, refused) and why.", "form", "decision", "reason"),
	}
	for _, part := range []string{"token", "events"} { // so that the share can be computed before the first is late
		m.inTime.WithLabelValues(part, "true")
		m.inTime.WithLabelValues(part, "false")
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(version), &m.state,
		m.requests, m.requestTook, m.forms, m.refused, m.inTime, m.commitWrites, m.commitTook, m.calls, m.callTook, m.batches, m.sendTook, m.outcomes, m.screened,
	)
	return m
}

// Handler serves the metrics in the formats of Prometheus (OpenMetrics 1.0 too).
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4})
}

// Write writes what the handler serves, in the text format.
func (m *Metrics) Write(w io.Writer) error {
	families, err := m.registry.Gather()
	for _, f := range families { // with an error, what can be had
		if _, failed := expfmt.MetricFamilyToText(w, f); failed != nil {
			return failed
		}
	}
	return err
}

// Answered counts a request.
func (m *Metrics) Answered(a web.Answer) {
	code := strconv.Itoa(a.Status)
	m.requests.WithLabelValues(a.Part, a.Route, code).Inc()
	m.requestTook.WithLabelValues(a.Part, a.Route).Observe(a.Took.Seconds())
	if a.Form != "" {
		m.forms.WithLabelValues(a.Form, code).Inc()
	}
	if a.Reason != "" {
		m.refused.WithLabelValues(a.Part, a.Reason).Inc()
	}
	if a.Status >= 300 {
		return
	}
	switch a.Route {
	case "POST " + onramp.TokenPath:
		m.inTime.WithLabelValues("token", strconv.FormatBool(a.Took <= tokenBudget)).Inc()
	case "POST " + onramp.CallbackPath + "{callback}":
		m.inTime.WithLabelValues("events", strconv.FormatBool(a.Took <= callbackBudget)).Inc()
	}
}

// Refused counts what a listener refuses before a handler sees it.
func (m *Metrics) Refused(part, reason string) { m.refused.WithLabelValues(part, reason).Inc() }

// Committed counts a commit of the database.
func (m *Metrics) Committed(writes int, took time.Duration) {
	m.commitWrites.Observe(float64(writes))
	m.commitTook.Observe(took.Seconds())
}

// Called counts a call to Marketing Cloud; a status of 0 says that the answer was lost.
func (m *Metrics) Called(kind budget.Kind, status int, took time.Duration) {
	m.calls.WithLabelValues(string(kind), strconv.Itoa(status)).Inc()
	m.callTook.WithLabelValues(string(kind)).Observe(took.Seconds())
}

// Sent counts what was sent to a destination together.
func (m *Metrics) Sent(destination string, outcomes []onramp.Outcome, took time.Duration) {
	m.batches.WithLabelValues(destination).Observe(float64(len(outcomes)))
	m.sendTook.WithLabelValues(destination).Observe(took.Seconds())
	for i := range outcomes {
		m.outcomes.WithLabelValues(destination, outcomes[i].Verdict.String()).Inc()
	}
}

// Screened counts a decision about a submission.
func (m *Metrics) Screened(form string, decision screen.Decision, reason string) {
	m.screened.WithLabelValues(form, string(decision), reason).Inc()
}

const namespace = "onramp"

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
}

func buildInfo(version string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the label is the version of Onramp.", ConstLabels: prometheus.Labels{"version": version},
	})
	g.Set(1)
	return g
}
