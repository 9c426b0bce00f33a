package app_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v4"

	"onramp/internal/sandbox"
	"onramp/internal/tooltest"
	"onramp/internal/tracing/tracetest"
	"onramp/internal/watch"
)

// newMeasured is a gateway of which there is something to be told in every metric: it has
// canaries, a year's calls, traces, an event and a dead letter.
func newMeasured(t *testing.T) *world {
	t.Helper()
	w := newSandboxed(t)
	w.start(watching("canary: 1h, canary_timeout: 30s", func(cfg string) string {
		return "tracing: { endpoint: " + tracetest.New(t).URL + " }\n" + strings.Replace(cfg, "marketing_cloud:\n", "marketing_cloud:\n  calls_per_year: 100000\n", 1)
	}), filepath.Join(t.TempDir(), "onramp.db"))
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"ana@example.org", "bob@example.org"} {
		if a := w.post(`{"email":"`+email+`"}`, map[string]string{"Prefer": "wait=20"}); a.Code != http.StatusCreated {
			t.Fatalf("%+v", a)
		}
	}
	w.awaitCanary("arrived", func(c watch.CanaryStatus) bool { return c.State == watch.CanaryArrived })
	if err := w.sandbox.Fault(sandbox.Fault{Match: "/hub/v1/dataevents/", Status: 400, Errorcode: 10000, Message: "F: The value is bad"}); err != nil {
		t.Fatal(err)
	}
	w.post(`{"email":"carl@example.org"}`, nil)
	await(t, "a dead letter", func() bool { return w.status().Deliveries["dead"] == 1 })
	if err := w.sandbox.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	if a, _ := w.tryPost(`{"email":"nobody"}`, nil); a.Code != http.StatusUnprocessableEntity {
		t.Fatalf("%+v", a)
	}
	await(t, "events", func() bool { return w.status().Events.Stored >= 2 })
	return w
}

// scrape reads the metrics as Prometheus does.
func (w *world) scrape() (families map[string]*dto.MetricFamily, text string) {
	w.t.Helper()
	answer, err := http.Get(w.gateway.AdminURL() + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		w.t.Fatal(answer.Status, err, string(body))
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err = parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	return families, string(body)
}

// series are the values of a metric by its labels' values, without those that are 0.
func series(f *dto.MetricFamily) map[string]float64 {
	all := map[string]float64{}
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetValue())
		}
		value := cmp.Or(m.GetGauge().GetValue(), m.GetCounter().GetValue(), float64(m.GetHistogram().GetSampleCount()))
		if value != 0 {
			all[strings.Join(labels, " ")] = value
		}
	}
	return all
}

// What the metrics tell is what onramp status tells, and what has happened.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newMeasured(t)
	var causes struct{ Items []struct{ Cause string } }
	w.getJSON(w.gateway.AdminURL()+"/api/causes", &causes)
	var before, got map[string]map[string]float64
	const rows, journey = "data_extension:Web_Registrations", "journey:APIEvent-sandbox-welcome"
	names := []string{
		"registrations_accepted_total", "registrations", "deliveries", "deliveries_in_flight", "destination_state", "failed_deliveries",
		"outcomes_total", "batch_deliveries", "form_requests_total", "refused_requests_total", "status_up", "database_writable", "year_calls_limit",
		"canary_state", "columns_drifted", "configuration_reload_failed", "token_failed", "quiet_forms",
	}
	await(t, "the same twice", func() bool { // the canary's row is removed meanwhile
		families, _ := w.scrape()
		before, got = got, map[string]map[string]float64{}
		for _, n := range names {
			got[n] = series(families["onramp_"+n])
		}
		return gocmp.Equal(before, got)
	})
	want := map[string]map[string]float64{
		"registrations_accepted_total": {"": 4}, "registrations": {"delivered": 3, "failed": 1},
		"deliveries":           {rows + " delivered": 3, rows + " dead": 1, journey + " delivered": 2, journey + " waiting": 1, journey + " skipped": 1},
		"deliveries_in_flight": {}, "destination_state": {rows + " running": 1, journey + " running": 1},
		"failed_deliveries":      {causes.Items[0].Cause + " " + rows + " dead": 1},
		"outcomes_total":         {rows + " delivered": 3, rows + " rejected": 1, journey + " delivered": 2},
		"batch_deliveries":       {rows: 4, journey: 2},
		"form_requests_total":    {"201 registration": 2, "202 registration": 2, "422 registration": 1},
		"refused_requests_total": {"public unprocessable_entity": 1},
		"status_up":              {"": 1}, "database_writable": {"": 1}, "year_calls_limit": {"": 100000},
		"canary_state": {"registration arrived": 1}, "columns_drifted": {}, "configuration_reload_failed": {}, "token_failed": {}, "quiet_forms": {},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	families, _ := w.scrape()
	year := map[string]float64{}
	for kind, n := range w.status().Calls.Year {
		year[string(kind)] = float64(n)
	}
	if diff := gocmp.Diff(year, series(families["onramp_year_calls"])); diff != "" {
		t.Errorf("calls (-status +metrics):\n%s", diff)
	}
	w.until("as many commits as times that they took", func() bool { // one may be counted between the two
		families, _ := w.scrape()
		commits, took := families["onramp_commit_writes"].GetMetric()[0].GetHistogram(), families["onramp_commit_seconds"].GetMetric()[0].GetHistogram()
		return commits.GetSampleCount() == took.GetSampleCount() && took.GetSampleSum() > 0
	})
	in := series(families["onramp_ens_answers_total"])
	if in["true events"] < 1 || in["true token"] < 1 || len(in) != 2 {
		t.Errorf("answers to the Event Notification Service: %v", in)
	}
}

// Whatever strangers send makes no more series, and stands in none.
func TestMetricsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const mark = "zz9mark"
	attack := func(n int) {
		for i := range n {
			word := fmt.Sprintf("%s%d", mark, i)
			for _, r := range []struct{ method, path, body string }{
				{"POST", "/v1/forms/" + word + "/registrations", `{}`},
				{"POST", "/v1/forms/registration/registrations?" + word + "=1", `{"` + word + `":"` + word + `","email":"` + word + `"}`},
				{"GET", "/" + word, ""},
				{"GET", "/f/" + word, ""},
				{"GET", "/embed/" + word + ".js", ""},
				{"GET", "/v1/registrations/" + word, ""},
				{"POST", "/ens/" + word, `[{}]`},
				{"POST", "/ens/events", `{"` + word + `":1}`},
				{"POST", "/oauth2/token", "grant_type=" + word + "&client_id=" + word},
				{word[:min(len(word), 15)], "/v1/forms/registration", ""},
				{"OPTIONS", "/" + word, ""},
				{"GET", "//" + word + "/../x", ""},
			} {
				request, err := http.NewRequestWithContext(t.Context(), r.method, w.gateway.PublicURL()+r.path, strings.NewReader(r.body))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Content-Type", []string{"application/json", "x/" + word, "application/x-www-form-urlencoded"}[i%3])
				request.Header.Set("User-Agent", word)
				if i%2 == 0 {
					request.Header.Set("Origin", "https://"+word+".example")
				}
				request.Header.Set("Authorization", "Bearer "+word)
				request.Host = word + ".example"
				answer, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
			}
		}
	}
	count := func() (lines int) {
		_, text := w.scrape()
		if strings.Contains(strings.ToLower(text), mark) {
			t.Errorf("what a stranger has sent is in the metrics")
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "onramp_") {
				lines++
			}
		}
		return lines
	}
	attack(100)
	count() // which is a request itself
	first := count()
	attack(100)
	if more := count() - first; more != 0 {
		t.Errorf("%d more series of %d", more, first)
	}
}

// docs/metrics.md lists every metric with its type, labels and help text.
func TestMetricsDocument(t *testing.T) {
	t.Parallel()
	families, _ := newMeasured(t).scrape()
	secure, _ := newSecured(t).scrape()
	maps.Copy(secure, families)
	families = secure
	want := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if f := families[name]; strings.HasPrefix(name, "onramp_") {
			var labels []string
			for _, l := range f.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			if f.GetHelp() == "" {
				t.Errorf("%s has no help text", name)
			}
			want[fmt.Sprintf("| `%s` | %s | %s | %s |", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())] = true
		}
	}
	document, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `onramp_.*$").FindAllString(string(document), -1) {
		got[row] = true
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("docs/metrics.md (-want +got):\n%s", diff)
	}
}

// query is one of the dashboard's or the rules'.
type query struct{ of, expression string }

// queries are all of them.
func queries(t *testing.T, rules, dashboard string) (all []query) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Runbook string }
			}
		}
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	for path, decode := range map[string]func([]byte) error{
		rules:     func(b []byte) error { return yaml.Unmarshal(b, &file) },
		dashboard: func(b []byte) error { return json.Unmarshal(b, &board) },
	} {
		content, err := os.ReadFile(path)
		if err == nil {
			err = decode(content)
		}
		if err != nil {
			t.Fatal(path, err)
		}
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			all = append(all, query{"rule " + r.Alert, r.Expr})
			if page, _, _ := strings.Cut(r.Annotations.Runbook, " "); page != "" {
				if _, err := os.Stat("../../" + page); err != nil {
					t.Errorf("rule %s: %v", r.Alert, err)
				}
			}
		}
	}
	variables := strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m")
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, query{"panel " + p.Title, variables.Replace(target.Expr)})
		}
	}
	return all
}

// selector is a metric with its labels in a query.
var selector = regexp.MustCompile(`\b((?:onramp|process|go)_\w+)(\{[^"}]*(?:"[^"]*"[^"}]*)*\})?`)

// A real Prometheus scrapes a running gateway by the example in docs/metrics.md. Every query
// of the dashboard and of the rules can be evaluated, and asks for metrics and labels that
// there are; the rules find the dead letter.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			tooltest.Missing(t, "prometheus", err)
		}
	}
	rules, err := filepath.Abs("../../packaging/prometheus/onramp.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", "--lint-fatal", rules).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	w := newMeasured(t)
	_, text := w.scrape()
	lint := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	lint.Stdin = strings.NewReader(text)
	if said, err := lint.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v: %s", err, said)
	}
	p := startPrometheus(t, w, newSecured(t), rules)
	await(t, "two scrapes of both", func() bool { return len(p.query(t, `count_over_time(onramp_status_up[1m]) >= 2`)) == 2 })
	checked := map[string]bool{}
	for _, q := range queries(t, rules, "../../packaging/grafana/onramp.json") {
		found := p.query(t, q.expression)
		if strings.HasPrefix(q.of, "panel ") && len(found) == 0 {
			t.Errorf("%s shows nothing: %s", q.of, q.expression)
		}
		for _, s := range selector.FindAllStringSubmatch(q.expression, -1) {
			if checked[s[0]] = true; len(p.query(t, s[1])) == 0 {
				t.Errorf("%s: there is no metric %s", q.of, s[1])
			}
			for _, label := range regexp.MustCompile(`(\w+)[=!]~?"`).FindAllStringSubmatch(s[2], -1) {
				if len(p.query(t, s[1]+`{`+label[1]+`!=""}`)) == 0 {
					t.Errorf("%s: %s has no label %s", q.of, s[1], label[1])
				}
			}
		}
	}
	if len(checked) < 40 {
		t.Errorf("only %d selectors were checked", len(checked))
	}
	await(t, "the alert about the dead letter", func() bool {
		return len(p.query(t, `ALERTS{alertname="OnrampDeadLetters",alertstate="firing",destination="data_extension:`+sandbox.RegistrationsKey+`"}`)) == 1
	})
}

// prometheus is a server that runs.
type prometheus struct{ url string }

// startPrometheus has a Prometheus scrape two gateways every two seconds: within that time a
// gateway answers also on a machine that does much else.
func startPrometheus(t *testing.T, w, other *world, rules string) prometheus {
	t.Helper()
	document, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(document), "```yaml\n# prometheus.yml\n")
	configuration, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("docs/metrics.md has no prometheus.yml")
	}
	folder := t.TempDir()
	token := filepath.Join(folder, "token")
	configuration = strings.NewReplacer(
		"127.0.0.1:8081", strings.TrimPrefix(w.gateway.AdminURL(), "http://")+`", "`+strings.TrimPrefix(other.gateway.AdminURL(), "http://"), "/etc/prometheus/onramp.rules.yaml", rules,
		"/etc/prometheus/onramp.admin-token", token, "15s", "2s",
	).Replace(configuration)
	for path, content := range map[string]string{filepath.Join(folder, "prometheus.yml"): configuration, token: "none is asked for"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	server := exec.CommandContext(t.Context(), "prometheus", "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address, "--log.level=warn")
	var said strings.Builder
	server.Stderr = &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	p := prometheus{"http://" + address}
	await(t, "Prometheus", func() bool {
		answer, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

// query evaluates an expression, and returns the labels of what it finds.
func (p prometheus) query(t *testing.T, expression string) []map[string]string {
	t.Helper()
	answer, err := http.PostForm(p.url+"/api/v1/query", url.Values{"query": {expression}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var result struct {
		Status, Error string
		Data          struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&result); err != nil || result.Status != "success" {
		t.Fatalf("%s: %v %s", expression, err, result.Error)
	}
	var all []map[string]string
	for _, r := range result.Data.Result {
		all = append(all, r.Metric)
	}
	return all
}
