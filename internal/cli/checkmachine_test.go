package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
	"onramp/internal/web/webtest"
)

// used has a gateway of the configuration accept a registration, and ends it.
func (w *checked) used() {
	w.t.Helper()
	w.edit("${env:SECRET}", "sandbox-secret")
	g := startGateway(w.t, w.write())
	w.register(g)
	g.kill()
}

func (w *checked) register(g *gateway) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://"+w.public+"/v1/forms/registration/registrations", strings.NewReader(`{"email":"ana@example.org"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Prefer", "wait=10")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); answer.StatusCode/100 != 2 {
		w.t.Fatal(answer.Status, string(body))
	}
}

// What is wrong on the gateway's own machine is found.
func TestCheckMachine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		plant func(w *checked)
		want  string
	}{
		{"a database that was used", func(w *checked) { w.used() }, ""},
		{"a configuration with secrets that others can read", func(w *checked) {
			w.edit("${env:SECRET}", "sandbox-secret")
			w.mode = 0o644
		}, "warning files DIR/onramp.yaml: other users of this machine can read it, and it has secrets or personal data\n\toperator: run chmod 600 DIR/onramp.yaml\n"},
		{"a database that others can read", func(w *checked) {
			w.used()
			w.do(os.Chmod(filepath.Join(w.dir, "onramp.db"), 0o644))
		}, "warning files DIR/onramp.db: other users of this machine can read it, and it has secrets or personal data\n\toperator: run chmod 600 DIR/onramp.db\n"},
		{"a file that is no database", func(w *checked) {
			w.do(os.WriteFile(filepath.Join(w.dir, "onramp.db"), []byte(strings.Repeat("no database ", 1000)), 0o600))
		}, "failure database DIR/onramp.db: DIR/onramp.db: the file is damaged or not a SQLite database: file is not a database (26)\n\toperator: correct database in the configuration, or see to the database; what it holds is left alone\n"},
		{"a key that is gone", func(w *checked) {
			w.used()
			w.do(os.Remove(filepath.Join(w.dir, "onramp.db.key")))
		}, "failure encryption-key : the encryption key DIR/onramp.db.key is missing, and the database has secrets that only it can decrypt: restore it from a backup. " +
			"If it is lost, run onramp keys reset: it shows what is lost with it, and what brings it back\n" +
			"\toperator: restore the key from a backup; if it is lost, onramp keys reset shows what is lost with it\n"},
		{"the key of another database", func(w *checked) {
			w.used()
			other := newChecked(w.t)
			other.used()
			key, err := os.ReadFile(filepath.Join(other.dir, "onramp.db.key"))
			w.do(err)
			w.do(os.WriteFile(filepath.Join(w.dir, "onramp.db.key"), key, 0o600))
		}, "failure encryption-key : the encryption key is not the one of this database\n\toperator: restore the key from a backup; if it is lost, onramp keys reset shows what is lost with it\n"},
		{
			"a full disk", func(w *checked) { w.config += "watch: { disk_free: 900TB }\n" },
			"failure disk : SPACE are free where the database is, less than the 900000.0 GB of watch.disk_free\n\toperator: free space: once the disk is full, registrations are answered with 503\n",
		},
		{"a backup of long ago", func(w *checked) {
			w.do(os.WriteFile(filepath.Join(w.dir, "onramp.db.backup"), []byte(`{"made_at":"2020-01-01T00:00:00Z","file":"/backup/onramp.db"}`), 0o600))
		}, "warning backup /backup/onramp.db: the last one was made AGE days ago\n\toperator: run onramp backup regularly, such as once a day; if you save the database in another way, leave this\n"},
		{"sinks that don't answer", func(w *checked) {
			w.config += `sinks:
  - { name: crm, webhook: { url: "http://` + webtest.FreeAddress(w.t) + `/events", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw } }
  - { name: lake, file: { path: DIR/lake.jsonl } }
`
		}, "failure sinks crm: dial tcp 127.0.0.1:PORT: connect: connection refused\n\toperator: check the sink's url, the network, and that the endpoint is running\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newChecked(t)
			c.plant(w)
			got := strings.ReplaceAll(wrong(w.check()), w.dir, "DIR")
			got = replace(got, `[\d.]+ of [\d.]+ GB are`, "SPACE are")
			got = replace(got, `127.0.0.1:\d+`, "127.0.0.1:PORT")
			got = replace(got, `made \d+ days`, "made AGE days")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A backup is known afterwards, and is as old as it is.
func TestCheckBackup(t *testing.T) {
	t.Parallel()
	w := newChecked(t)
	w.used()
	startGateway(t, w.write())
	file := filepath.Join(w.dir, "saved.db")
	if got := onrampSays(t.Context(), "backup", file, "--config", w.write()); got.Status != 0 {
		t.Fatal(got)
	}
	got := w.check("--only", "backup")
	if len(got.Checks) != 1 || got.Checks[0].Object != file || got.Checks[0].Message != "the last one was made just now" {
		t.Errorf("got %+v", got)
	}
}

// A probe row goes the way of all rows, and is removed. One that can't be removed is told.
func TestCheckProbe(t *testing.T) {
	t.Parallel()
	w := newChecked(t)
	text := func(r string) string { return replace(r, `onramp-check-\w+@`, "onramp-check-X@") }
	got := w.says("--write-probe", "--only", "data-extension")
	const well = `ok data-extension Web_Registrations: it exists, and its 10 columns fit
ok data-extension Web_Registrations: a probe row was written and removed again

Everything that was checked is as it should be.
`
	if diff := cmp.Diff(said{0, well, ""}, got); diff != "" {
		t.Error(diff)
	}
	state := w.cloud.State()
	if rows := state.DataExtensions[sandbox.RegistrationsKey].Rows; len(rows) != 0 {
		t.Errorf("there are rows: %v", rows)
	}
	w.control("PUT faults", `[{"match":"/hub/v1/dataevents/key:Web_Registrations/rowset/delete","status":500}]`)
	want := `warning data-extension Web_Registrations: a probe row was written but could not be removed: the row with the subscriber key onramp-check-X@example.com: delete rows: 500 Internal Server Error: code 500: Internal Server Error
	admin: remove it by hand
	Contact Builder → Data Extensions → Web_Registrations → Records
`
	if diff := cmp.Diff(want, text(wrong(w.check("--write-probe")))); diff != "" {
		t.Error(diff)
	}
	w.control("PUT faults", `[]`)
	w.control("PUT account", extension(tableColumns(nil, `{"name":"Country","type":"Text","length":2}`)))
	if got := w.check("--write-probe", "--only", "data-extension"); len(got.Checks) != 1 {
		t.Errorf("a row is written although one would be refused: %+v", got)
	}
}

// Where the row of a probe could be somebody's, none is written, and none removed.
func TestCheckProbeOfNobody(t *testing.T) {
	t.Parallel()
	w := newChecked(t)
	w.edit("    fields:\n", "    subscriber_key: field:phone\n    fields:\n      - { name: phone, column: Phone, type: phone, required: true }\n")
	rows := []map[string]any{{"SubscriberKey": "+14155552671", "Phone": "+14155552671"}, {"SubscriberKey": "+442079460018", "Phone": "+442079460018"}}
	encoded, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	columns := tableColumns(map[string]string{"EmailAddress": `"type":"EmailAddress","length":254,"nullable":true`, "RegistrationTimestamp": `"type":"Date","nullable":true`},
		`{"name":"Phone","type":"Phone"}`)
	w.control("PUT account", extension(columns+`,"rows":`+string(encoded)))
	const want = `ok data-extension Web_Registrations: it exists, and its 11 columns fit
warning data-extension Web_Registrations: no probe row was written by the form registration: its row in Web_Registrations could be somebody's: the key is made of fields that a canary can't mark
    operator: submit the form yourself to see its row arrive

0 failures, 1 warning.
`
	if diff := cmp.Diff(said{1, want, ""}, w.says("--write-probe", "--only", "data-extension")); diff != "" {
		t.Error(diff)
	}
	for i := range rows {
		rows[i]["OptInStatus"] = false
	}
	if diff := cmp.Diff(rows, w.cloud.State().DataExtensions[sandbox.RegistrationsKey].Rows); diff != "" {
		t.Error(diff)
	}
}

// A test alert is sent when that is asked for, and only then.
func TestCheckTestAlert(t *testing.T) {
	t.Parallel()
	alerts := make(chan string, 10)
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		alerts <- string(body)
	}))
	t.Cleanup(chat.Close)
	w := newChecked(t)
	w.config = `alerts: ["generic+` + chat.URL + `/", "generic+http://` + webtest.FreeAddress(t) + `/secret-path"]` + "\n" + w.config
	if got := w.check("--only", "alerts"); got.Checks[0].Message != "the configuration has 2 receivers; --send-test-alert sends one" || len(alerts) > 0 {
		t.Errorf("got %+v, and %d alerts", got, len(alerts))
	}
	got := w.says("--only", "alerts", "--send-test-alert")
	if !strings.HasPrefix(got.Out, "ok alerts alerts[0]: the service has taken a test alert\nfailure alerts alerts[1]: a test alert could not be sent: ") || strings.Contains(got.Out, "secret-path") {
		t.Errorf("got %s", got.Out)
	}
	select {
	case text := <-alerts:
		if !strings.Contains(text, "onramp: test alert") {
			t.Errorf("the alert is %s", text)
		}
	case <-time.After(10 * time.Second):
		t.Error("there is no alert")
	}
}

// Wrong use is told, with the checks that there are. A file that can't be read is a failure,
// with what helps, and no reason to read the help.
func TestCheckWrongUse(t *testing.T) {
	t.Parallel()
	w := newChecked(t)
	file := w.write()
	mistaken := filepath.Join(w.dir, "mistaken.yaml")
	w.do(os.WriteFile(mistaken, []byte("forms: [\n"), 0o600))
	const names = `onramp: there is no check "scope"; the checks are configuration, gateway, files, disk, database, encryption-key, backup, ` +
		"subdomain, credentials, clock, account, scopes, data-extension, event-definition, message, smtp, ens, certificates, public-url, quiet, sinks, alerts\n"
	const see = "See onramp --help, or onramp COMMAND --help.\n"
	const nowhere = "onramp: there is no configuration at /nowhere.yaml: file does not exist; to write one, run onramp init --config /nowhere.yaml\n"
	folder := "onramp: read configuration: read " + w.dir + ": is a directory\n"
	for _, c := range []struct {
		args []string
		want said
	}{
		{[]string{"check", "--only", "scope", "--config", file}, said{2, "", names + see}},
		{[]string{"check", "--only", "scope", "--config", "/nowhere.yaml"}, said{2, "", names + see}},
		{[]string{"check", "--config", "/nowhere.yaml"}, said{2, "", nowhere}},
		{[]string{"check", "--config", "/nowhere.yaml", "--output", "json"}, said{2, "", nowhere}},
		{[]string{"check", "--config", w.dir}, said{2, "", folder}},
		{[]string{"check", "--frequently", "--config", file}, said{2, "", "onramp: unknown flag: --frequently\n" + see}},
		{[]string{"provision", "--config", "/nowhere.yaml"}, said{1, "", nowhere}},
		{[]string{"provision", "--config", w.dir}, said{1, "", folder}},
		{[]string{"provision", "--config", mistaken}, said{1, "", "onramp: " + mistaken + ":2: is not valid YAML: did not find expected node content (while parsing a flow node that starts on line 2)\n"}},
		{[]string{"provision", "everything", "--config", file}, said{2, "", "onramp: unknown command \"everything\" for \"onramp provision\"\n" + see}},
	} {
		if diff := cmp.Diff(c.want, onrampSaysIn(t.Context(), w.environ, c.args...)); diff != "" {
			t.Errorf("%v: %s", c.args, diff)
		}
	}
}
