package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"onramp/internal/certificate/certtest"
	"onramp/internal/config"
	"onramp/internal/sandbox"
	"onramp/internal/web/webtest"
)

// elsewhere are languages whose blocks other tests run, and where.
var elsewhere = map[string][]string{
	"docs/forms.md":   {"html", "js", "jsx", "php", "python", "go"}, // TestCookbook… in internal/hosted
	"docs/sandbox.md": {"js", "python", "java", "php", "go"},        // TestSandboxDocument in internal/app
	"README.md":       {"go"},                                       // TestModule in sfmc
	"docs/figures.md": {"text"},                                     // made from a run, by internal/figures
}

// unrun is how many blocks nobody tries: commands that need what a test doesn't have, marked by a
// comment with the reason, and what is only to be looked at.
const unrun = 46

// Whoever does what the documents say sees what they show. The commands of a page are run in their
// order, each page in a folder of its own; those of the runbook, and others that are marked so, with
// a gateway in trouble.
func TestDocuments(t *testing.T) {
	t.Parallel()
	troubled := trouble(t)
	var pages []string
	for _, pattern := range []string{"../../docs/runbook/*.md", "../../README.md", "../../docs/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	var untried atomic.Int64
	t.Run("pages", func(t *testing.T) {
		for _, page := range pages {
			d := document{name: strings.TrimPrefix(page, "../../"), troubled: troubled}
			if d.name == "docs/real-account.md" || d.name == "docs/figures.md" {
				continue // see TestRealAccount, and TestPagesAreMade in internal/figures
			}
			t.Run(d.name, func(t *testing.T) {
				blocks := blocksOf(t, page)
				if !slices.ContainsFunc(blocks, d.isInTrouble) {
					t.Parallel() // the others share a gateway
				}
				d.t = t
				d.do(blocks)
				untried.Add(d.unrun)
			})
		}
	})
	troubled.t = t
	if n := untried.Load(); n != unrun {
		t.Errorf("%d blocks are not tried, want %d: run the new ones, or say here that there are more", n, unrun)
	}
}

// document is a page that is being done.
type document struct {
	t        *testing.T
	name     string
	troubled *reader
	reader   *reader // in the page's own folder; nil until it is needed
	unrun    int64
}

const inTrouble = "with the gateway of the runbook"

func (d *document) do(blocks []block) {
	d.t.Helper()
	for _, b := range blocks {
		switch {
		case slices.Contains(elsewhere[d.name], b.language):
		case strings.HasPrefix(b.note, "not run: "), b.language == "text":
			d.unrun++
		case strings.HasPrefix(b.note, "quoted from "):
			d.quoted(b)
		case b.language == "sh":
			d.at(b).run(b.text)
		case b.language == "console":
			d.console(d.at(b), b.text)
		case b.language == "json":
			d.json(b.text)
		case b.language == "yaml":
			d.yaml(b)
		default:
			d.t.Errorf("%s: a block of %s, which nobody tries:\n%s", d.name, b.language, b.text)
		}
	}
}

func (d *document) isInTrouble(b block) bool {
	return b.note == inTrouble || strings.HasPrefix(d.name, "docs/runbook/")
}

// at is the reader who does a block.
func (d *document) at(b block) *reader {
	if d.isInTrouble(b) {
		d.troubled.t = d.t
		return d.troubled
	}
	if d.reader == nil {
		d.reader = newReader(d.t, webtest.FreeAddress(d.t), webtest.FreeAddress(d.t), webtest.FreeAddress(d.t))
	}
	return d.reader
}

// console runs the commands of a session and compares what they print with what stands below each.
func (d *document) console(r *reader, session string) {
	d.t.Helper()
	for _, one := range strings.Split("\n"+session, "\n$ ")[1:] {
		command, shown := one, ""
		for i := 0; ; { // a command goes on after a backslash, and within quotes
			end := strings.IndexByte(one[i:], '\n')
			if end < 0 {
				break
			}
			i += end
			command, shown = one[:i], one[i+1:]
			if !strings.HasSuffix(command, `\`) && strings.Count(command, "'")%2 == 0 {
				break
			}
			i++
		}
		if shown != "" {
			command += " || true" // what it prints tells
		}
		said := r.run(command)
		if missing := unseen(shown, said); missing != "" {
			d.t.Errorf("%s: %s\ndoes not print %s\nbut\n%s", d.name, command, missing, said)
		}
	}
}

// varying is what is another one each time: ids, times, how long something took, sizes of disks.
var varying = []struct {
	shape *regexp.Regexp
	as    string
}{
	{regexp.MustCompile(`\b[0-9a-v]{36}\b`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`[-+]\d+\.\d+ ms`), "N ms"},
	{regexp.MustCompile(`\d+\.\d+ of \d+\.\d+ [TGM]B`), "SPACE"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{8}-…`), "GUID"},
	{regexp.MustCompile(`\bm?ms\b`), "ms"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

func general(text string) string {
	for _, v := range varying {
		text = v.shape.ReplaceAllString(text, v.as)
	}
	return strings.TrimSpace(text)
}

// unseen gives the first line that is shown and does not come, in this order, in what was said; …
// stands for any text.
func unseen(shown, said string) string {
	rest := strings.Split(general(strings.ReplaceAll(said, "\n", "\r")), "\r")
	for line := range strings.Lines(shown) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(general(line)), "…", ".*") + "$")
		at := slices.IndexFunc(rest, func(l string) bool { return pattern.MatchString(general(l)) })
		if at < 0 {
			return line
		}
		rest = rest[at+1:]
	}
	return ""
}

func (d *document) json(text string) {
	d.t.Helper()
	decoder := json.NewDecoder(strings.NewReader(strings.ReplaceAll(text, "…", "")))
	for {
		var value any
		if err := decoder.Decode(&value); err == io.EOF {
			return
		} else if err != nil {
			d.t.Errorf("%s: %v in\n%s", d.name, err, text)
			return
		}
	}
}

// quoted compares a block with the function that it says it is taken from, which tests run.
func (d *document) quoted(b block) {
	d.t.Helper()
	file, function, _ := strings.Cut(strings.TrimPrefix(b.note, "quoted from "), ", ")
	source, err := os.ReadFile("../../" + file)
	if err != nil {
		d.t.Fatal(err)
	}
	_, body, found := strings.Cut(string(source), "\nfunc "+function+"() {\n")
	body, _, closed := strings.Cut(body, "\n}\n")
	unindented := regexp.MustCompile(`(?m)^\t+`)
	if !found || !closed || !strings.Contains(unindented.ReplaceAllString(body, "")+"\n", unindented.ReplaceAllString(b.text, "")) {
		d.t.Errorf("%s: %s of %s does not have\n%s", d.name, function, file, b.text)
	}
}

var reference = regexp.MustCompile(`\$\{env:([A-Z_]+)\}`)

// yaml has the real loader read a configuration, or a part of one within a whole.
func (d *document) yaml(b block) {
	d.t.Helper()
	var part any
	if err := yaml.Unmarshal([]byte(b.text), &part); err != nil {
		d.t.Errorf("%s: %v in\n%s", d.name, err, b.text)
		return
	}
	if top, ok := part.(map[string]any); ok && (top["services"] != nil || top["apiVersion"] != nil || top["scrape_configs"] != nil) {
		return // of Docker, Kubernetes, Prometheus
	}
	text := []byte(b.text)
	if name, isFile := strings.CutPrefix(b.note, "file: "); isFile {
		r := d.at(b)
		if err := os.WriteFile(filepath.Join(r.folder, name), []byte(r.spoken.Replace(b.text)), 0o600); err != nil {
			d.t.Fatal(err)
		}
	} else {
		var whole map[string]any
		if err := yaml.Unmarshal([]byte(wholeConfig), &whole); err != nil {
			d.t.Fatal(err)
		}
		var err error
		if text, err = yaml.Marshal(with(whole, within(part))); err != nil {
			d.t.Fatal(err)
		}
	}
	var environ []string
	for _, found := range reference.FindAllSubmatch(text, -1) {
		value := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		if strings.Contains(string(found[1]), "URL") {
			value = "generic+https://ops.example.com/" + string(found[1])
		}
		environ = append(environ, string(found[1])+"="+value)
	}
	if _, err := config.Parse("onramp.yaml", d.certified(text), environ); err != nil {
		d.t.Errorf("%s: %v in\n%s", d.name, err, text)
	}
}

// certified puts files into the place of the certificates that a configuration names.
func (d *document) certified(text []byte) []byte {
	const named = "/etc/onramp/"
	if !bytes.Contains(text, []byte(named)) {
		return text
	}
	folder := d.t.TempDir()
	pair := certtest.New(d.t).Issue(90*certtest.Day, "signup.example.com")
	for file, content := range map[string][]byte{"fullchain.pem": pair.Cert, "privkey.pem": pair.Key, "admin.pem": pair.Cert, "admin.key": pair.Key} {
		if err := os.WriteFile(filepath.Join(folder, file), content, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	return bytes.ReplaceAll(text, []byte(named), []byte(folder+"/"))
}

// wholeConfig is what parts of configurations stand in.
const wholeConfig = `
public: { url: https://signup.example.com }
marketing_cloud: { auth_url: "http://127.0.0.1:8090", client_id: sandbox-client, client_secret: sandbox-secret }
oauth: { clients: [{ id: mc-ens, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }] }
forms:
  registration:
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: opt_in, column: OptInStatus, type: boolean, default: false }
      - { name: country, column: Country, type: choice, choices: [DE, AT, CH] }
      - { name: phone, column: Phone, type: phone }
      - { name: valid, column: EmailValid, type: boolean, default: true }
    route:
      - data_extension: { key: Web_Registrations }
`

// within puts fields, rules or steps, and keys of a form, where they belong.
func within(part any) map[string]any {
	keys, isMap := part.(map[string]any)
	if !isMap {
		keys = map[string]any{"fields": part}
	}
	for key := range keys {
		if slices.Contains([]string{"fields", "route", "on_event", "page", "title", "origins"}, key) {
			return map[string]any{"forms": map[string]any{"registration": keys}}
		}
	}
	return keys
}

// with is a configuration with other parts: maps are merged, fields added where they have no
// namesake, and all else replaced.
func with(whole, part map[string]any) map[string]any {
	for key, value := range part {
		before, isMap := whole[key].(map[string]any)
		inner, both := value.(map[string]any)
		switch {
		case isMap && both:
			whole[key] = with(before, inner)
		case key == "fields":
			whole[key] = fields(whole[key].([]any), value.([]any))
		default:
			whole[key] = value
		}
	}
	return whole
}

func fields(before, more []any) []any {
	same := func(a any) func(any) bool {
		return func(b any) bool {
			one, other := a.(map[string]any), b.(map[string]any)
			return one["column"] == other["column"] || one["name"] != nil && one["name"] == other["name"]
		}
	}
	return append(slices.DeleteFunc(before, func(f any) bool { return slices.ContainsFunc(more, same(f)) }), more...)
}

// trouble starts a gateway that has what the runbook is about: a blocked and a paused destination, a
// dead letter, and a delivery whose answer was lost.
func trouble(t *testing.T) *reader {
	t.Helper()
	public, admin := webtest.FreeAddress(t), webtest.FreeAddress(t)
	cloud := httptest.NewServer(sandbox.New(sandbox.Config{Activation: -1, Transport: toGateway{public}}))
	t.Cleanup(cloud.Close)
	r := newReader(t, public, admin, strings.TrimPrefix(cloud.URL, "http://"))
	if err := os.WriteFile(filepath.Join(r.folder, "onramp.yaml"), []byte(r.spoken.Replace(troubledConfig)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run("onramp serve")
	fault := func(what string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, cloud.URL+"/_sandbox/faults", bytes.NewBufferString(what))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		_ = answer.Body.Close()
	}
	until := func(command, says string) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(r.run(command), says); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not say %s", command, says)
			}
		}
	}
	register := func(form, email, status string) {
		said := r.run("curl -s -H 'Prefer: wait=20' -d email=" + email + " http://127.0.0.1:8080/v1/forms/" + form + "/registrations")
		if !strings.Contains(said, `"status":"`+status+`"`) {
			t.Fatalf("%s: %s", email, said)
		}
	}
	r.run("onramp ens setup")
	register("registration", "ana@example.org", "delivered")
	until("onramp events list", "EmailSent")
	fault(`[{"match":"/hub/v1/","status":400,"errorcode":10001,"count":1}]`)
	register("registration", "bo@example.org", "failed")
	fault(`[{"match":"/interaction/","name":"drop_answer","count":1}]`)
	r.run("curl -s -d email=cy@example.org http://127.0.0.1:8080/v1/forms/registration/registrations")
	until("onramp deliveries list --state unknown", "journey:")
	fault(`[]`)
	r.run(`onramp destinations pause journey:APIEvent-sandbox-welcome --reason "content is being replaced"`)
	r.run("curl -s -d email=di@example.org http://127.0.0.1:8080/v1/forms/registration/registrations")
	r.run("curl -s -d email=eve@example.org http://127.0.0.1:8080/v1/forms/newsletter/registrations")
	until("onramp destinations list", "blocked")
	return r
}

const troubledConfig = `
admin: { token: only-for-a-trial-of-docs }
marketing_cloud: { auth_url: "http://127.0.0.1:8090", client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
public: { url: https://signup.example.com }
oauth: { clients: [{ id: mc-ens, secret: only-for-a-trial-of-docs }] }
ens: { callbacks: { events: { subscribe: [TransactionalSendEvents.EmailSent] } } }
sinks: [{ name: crm, file: { path: crm.jsonl } }]
forms:
  registration:
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName, type: text, max: 100 }
      - { name: opt_in, column: OptInStatus, type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
    route:
      - data_extension: { key: Web_Registrations }
      - journey: { event_definition_key: APIEvent-sandbox-welcome }
  newsletter:
    fields: [{ name: email, column: EmailAddress, type: email, required: true }]
    route: [{ data_extension: { key: Newsletter } }]
`
