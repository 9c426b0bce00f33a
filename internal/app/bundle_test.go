package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/pgtest"
	"onramp/internal/sandbox"
)

// The marks of the attack. None may be in a bundle, in whatever writing.
const (
	markToken    = "zqadmintokenzq-0123456789"
	markSecret   = "zqclientsecretzq" // of the token client, and in what refers to it
	markPassword = "zquserpasswordzq"
	markHook     = "Wnp6cWhvb2t6cTAxMjM0NTY3ODlhYmNkZWY=" // of a webhook, in base64
	markAlert    = "zqalertzq"
	markHeader   = "zqheaderzq"
	markName     = "Zqfirstnamezq"
	markFamily   = "Ünizqfamilyzq"
	markPhone    = "5550199471"
	markAddress  = "zqpersonzq"
	markDomain   = "zqdomainzq"
	markAgent    = "ZqAgentZq"
	markPage     = "zqpagezq"
	markIP       = "203.0.113.77"
	markColumn   = "Zqcolumnzq"
	markForm     = "zqformzq"
	markFolder   = "zqfolderzq"
	markReason   = "zqreasonzq"
	markCode     = 5550199471
)

// attacked is a gateway with the marks in everything that it knows, and a bundle of it.
func attacked(t *testing.T) (bundle map[string][]byte) {
	t.Helper()
	w := newSandboxed(t)
	folder := filepath.Join(t.TempDir(), markFolder+"@"+markDomain+".example")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	w.start(func(cfg string) string {
		for old, new := range map[string]string{
			`admin: { listen: "127.0.0.1:8081" }`:  `admin: { listen: "127.0.0.1:8081", token: "` + markToken + `" }`,
			`public: { listen: "127.0.0.1:8080", `: `public: { listen: "127.0.0.1:8080", trusted_proxies: [127.0.0.1, ` + markIP + `], `,
			"secret: demo-ens-secret":              "secret: " + markSecret,
			"password: demo-password":              "password: " + markPassword,
			"column: FirstName":                    "column: FirstName, label: " + markName,
			"    title: Register":                  "    title: " + markForm,
			`value: Website Registration`:          `value: "` + markPage + ` constant"`,
		} {
			if !strings.Contains(cfg, old) {
				t.Fatalf("the demo's configuration has no %q", old)
			}
			cfg = strings.Replace(cfg, old, new, 1)
		}
		return cfg + "sinks:\n  - { name: " + markForm + ", webhook: { url: \"http://127.0.0.1:1/" + markPage + "?key=" + markSecret +
			"\", secret: whsec_" + markHook + ", headers: { X-Key: " + markHeader + " } } }\n  - { name: file-" + markAddress + ", file: { path: \"" + filepath.Join(folder, markName) + "\" } }\n" +
			"alerts: [ \"generic+http://" + markAlert + ":" + markPassword + "@127.0.0.1:1/" + markPage + "\" ]\n"
	}, filepath.Join(folder, "onramp.db"))
	if err := w.gateway.SetUpEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	person := fmt.Sprintf(`{"email":"%s@%s.example","first_name":%q,"last_name":%q,"opt_in":true}`, markAddress, markDomain, markName, markFamily)
	header := map[string]string{
		"X-Forwarded-For": markIP, "User-Agent": markAgent + "/7.3", "Referer": "https://" + markDomain + ".example/" + markPage + "?phone=" + markPhone, "Prefer": wait,
	}
	w.post(person, header)
	w.until("an event", func() bool {
		var status struct{ Events struct{ Stored int } }
		w.getJSON(w.gateway.AdminURL()+"/api/status", &status)
		return status.Events.Stored > 0
	})
	echo := fmt.Sprintf("Invalid data type for '%s'. %s called from %s (%s@%s.example, %s, +1 555-019-9471) by %s", markName, markFamily, markPhone, markAddress, markDomain, markIP, markAgent)
	for _, code := range []int{markCode, 10001} {
		if err := w.sandbox.SetFaults([]sandbox.Fault{{Match: "/hub/", Status: 400, Errorcode: code, Message: echo}, {Match: "/data/", Status: 400, Errorcode: code, Message: echo}}); err != nil {
			t.Fatal(err)
		}
		w.post(strings.Replace(person, markDomain, fmt.Sprint(markDomain, code), 1), header)
	}
	_, _ = w.tryPost(strings.Replace(person, "{", `{"`+markColumn+`":"`+markPhone+`",`, 1), header) // a field that is unknown: it is refused
	w.until("two dead letters", func() bool {
		var causes struct{ Items []any }
		w.getJSON(w.gateway.AdminURL()+"/api/causes", &causes)
		return len(causes.Items) == 2
	})
	w.do("/api/destinations/"+url.PathEscape("data_extension:Web_Registrations")+"/pause", `{"reason":"`+markReason+` `+markPhone+`"}`, nil)
	var made struct {
		Files []struct {
			Name    string
			Content []byte
		}
	}
	w.do("/api/debug/bundle", `{}`, &made)
	bundle = map[string][]byte{}
	for _, f := range made.Files {
		bundle[f.Name] = f.Content
	}
	return bundle
}

// do has an operator do something.
func (w *world) do(path, body string, into any) {
	w.t.Helper()
	response, err := http.Post(w.gateway.AdminURL()+path, "application/json", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("POST %s: %s %s %v", path, response.Status, answer, err)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			w.t.Fatal(err)
		}
	}
}

// writings are the ways in which a text may stand in a file.
func writings(mark string) []string {
	quoted, _ := json.Marshal(mark)
	var escaped strings.Builder
	for _, r := range mark {
		fmt.Fprintf(&escaped, `\u%04x`, r)
	}
	all := []string{
		mark, strings.ToLower(mark), strings.ToUpper(mark), strings.Trim(string(quoted), `"`), escaped.String(), url.QueryEscape(mark), url.PathEscape(mark),
		hex.EncodeToString([]byte(mark)), strings.ToUpper(hex.EncodeToString([]byte(mark))),
	}
	for shift := range 3 { // base64 of a text that has the mark somewhere
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + mark))
		text = text[(shift*8+5)/6 : len(text)-2]
		all = append(all, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
	}
	return all
}

// A bundle for strangers has no secret and nothing about a person, in whatever writing,
// though all that the gateway was given and was answered holds them; and it has what a
// helper needs.
func TestBundleOfMarkedGateway(t *testing.T) {
	t.Parallel()
	files := attacked(t)
	for name, content := range files {
		if strings.HasSuffix(name, ".gz") {
			unpacked, err := gzip.NewReader(bytes.NewReader(content))
			if err != nil {
				t.Fatal(name, err)
			}
			if content, err = io.ReadAll(unpacked); err != nil {
				t.Fatal(name, err)
			}
		}
		for _, mark := range []string{
			markToken, markSecret, markPassword, markHook, markAlert, markHeader, markName, markFamily, markPhone, "555-019", "019-9471", markAddress, markDomain, markAgent,
			markPage, markIP, "203.0.113", markColumn, markForm, markFolder, markReason, "sandbox-secret", sandbox.AccountID,
		} {
			for _, writing := range writings(mark) {
				if at := bytes.Index(content, []byte(writing)); at >= 0 {
					t.Errorf("%s has %q as %q: …%s…", name, mark, writing, content[max(at-60, 0):min(at+60, len(content))])
					break
				}
			}
		}
	}
	checkUseful(t, files)
}

// checkUseful says what somebody who helps must find.
func checkUseful(t *testing.T, files map[string][]byte) {
	t.Helper()
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{
		"README.txt", "check.json", "configuration.json", "database.json", "failures.json", "goroutine.pb.gz", "heap.pb.gz", "log.jsonl", "metrics.txt", "platform.json", "program.json", "status.json",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("files (-want +got):\n%s\n%s", diff, files["README.txt"])
	}
	for name, texts := range map[string][]string{
		"README.txt":         {"database.json        counts by table", "metrics.txt"},
		"program.json":       {`"version": "test"`, `"go": "go1.`, `"GOOS": `},
		"platform.json":      {`"open_files_limit": `, `"cores": `, `"disk_free_bytes": `, `"heap_bytes": `},
		"configuration.json": {`"give_up_after": "72h0m0s"`, `"senders": 16`, `"client_secret": "redacted"`, `"token": "redacted"`, `"required": true`, `"max": 254`},
		"status.json":        {`"accepted": 3`, `"delivered": 1`, `"failed": 2`, `"state": "paused"`, `"state": "running"`},
		"failures.json":      {`"route": "data_extension"`, `"state": "dead"`, `"count": 1`, `"outcome": "rejected"`, `"status": 400`, `"code": "10001"`, "Invalid data type for "},
		"database.json":      {`"integrity": "ok"`, `"registration": 3`, `"journal_mode": "wal"`, `"version": `, `"supported": `},
		"metrics.txt":        {"\nonramp_", "\ngo_goroutines ", `state="dead"`},
		"check.json":         {`"name": "database"`, `"level": "ok"`, `"name": "credentials"`},
		"log.jsonl":          {`"level":"INFO"`, `"message":"request"`, `"status":202`, `"route":"POST /v1/forms/{form}/registrations"`, `"message":"delivery attempted"`},
	} {
		for _, text := range texts {
			if !bytes.Contains(files[name], []byte(text)) {
				t.Errorf("%s has no %s:\n%s", name, text, files[name])
			}
		}
	}
}

// The database on a server is told by the server's own figures, and its URL is not.
func TestBundleOfServer(t *testing.T) {
	t.Parallel()
	w := newSandboxed(t)
	database := pgtest.URL(t)
	w.start(withoutEvents, database)
	w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait})
	var made struct {
		Files []struct {
			Name    string
			Content []byte
		}
	}
	w.do("/api/debug/bundle", `{"offline":true}`, &made)
	parsed, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range made.Files {
		if f.Name == "database.json" {
			found = true
			var is struct {
				Server  string `json:"server_version"`
				Version int
				Rows    map[string]int64
				Size    int64
			}
			if err := json.Unmarshal(f.Content, &is); err != nil || is.Server == "" || is.Version == 0 || is.Size == 0 || len(is.Rows) < 10 {
				t.Errorf("%v: %s", err, f.Content)
			}
			if _, ok := is.Rows["registration"]; !ok {
				t.Errorf("no table registration: %s", f.Content)
			}
		}
		if name := strings.TrimPrefix(parsed.Path, "/"); bytes.Contains(f.Content, []byte(name)) || bytes.Contains(f.Content, []byte("ana@")) {
			t.Errorf("%s has the name of the database %q, or somebody's address:\n%s", f.Name, name, f.Content)
		}
	}
	if !found {
		t.Errorf("there is no database.json:\n%s", made.Files[0].Content)
	}
}
