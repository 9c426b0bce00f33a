package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/keyset"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/store"
	"onramp/internal/web/webtest"
)

// lodge is an admin listener with the token client "fixed" of the configuration,
// which like "used" a callback uses. Its secrets are secret-1, secret-2 and so on.
type lodge struct {
	http.Handler
	store   *store.Store
	log     *bytes.Buffer
	mu      sync.Mutex
	secrets int
	changes int
	broken  bool // the token endpoint can't read its clients
}

func newLodge(t *testing.T) *lodge {
	t.Helper()
	text, err := keyset.New()
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := keyset.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	l := &lodge{log: &bytes.Buffer{}}
	if l.store, err = store.Open(t.Context(), store.Config{URL: filepath.Join(t.TempDir(), "onramp.db"), Cipher: cipher}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.store.Close(); err != nil {
			t.Error(err)
		}
	})
	l.Handler = adminHandler(l.store, &fakePump{}, func(a *admin.Admin) {
		a.Server.Log, a.Desk.Log = slog.New(slog.NewTextHandler(l.log, nil)), slog.New(slog.NewTextHandler(l.log, nil))
		a.Desk.Clients = &operator.Clients{
			Keep: l.store, Configured: []onramp.TokenClient{{ID: "fixed", Secrets: []onramp.Secret{"a", "b"}}},
			UsedBy: func(id string) []string {
				if id == "fixed" || id == "used" {
					return []string{"events", "other"}
				}
				return nil
			},
			ClientsChanged: func(context.Context) error {
				l.mu.Lock()
				defer l.mu.Unlock()
				if l.broken {
					return errors.New("disk full")
				}
				l.changes++
				return nil
			},
			NewSecret: func() onramp.Secret {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.secrets++
				return onramp.Secret(fmt.Sprint("secret-", l.secrets))
			},
			NewClientID: func() string { return "made-up" },
		}
	})
	return l
}

// kept are the secrets of the clients in the database, by id.
func (l *lodge) kept(t *testing.T) map[string]string {
	t.Helper()
	all, err := l.store.ListTokenClients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	for _, c := range all {
		var each []string
		for _, s := range c.Secrets {
			each = append(each, s.Reveal())
		}
		secrets[c.ID] = strings.Join(each, " ")
	}
	return secrets
}

// The life of a client: made, given a second secret and a third, and removed.
func TestClients(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	const fixed = `{"id":"fixed","secrets":2,"from":"configuration","used_by":["events","other"]}`
	made := func(id string, secret, n int) string {
		return fmt.Sprintf(`{"id":%q,"secret":"secret-%d","secrets":%d}`, id, secret, n)
	}
	created := func(body string) answer { a := told(body); a.Status = 201; return a }
	for i, step := range []struct {
		request string
		want    answer
		kept    map[string]string
	}{
		{"GET ", told(`{"items":[` + fixed + `],"next":""}`), map[string]string{}},
		{"POST ", created(made("made-up", 1, 1)), map[string]string{"made-up": "secret-1"}},
		{`POST  {"id":"used"}`, created(made("used", 2, 1)), map[string]string{"made-up": "secret-1", "used": "secret-2"}},
		{`POST  {"id":"used"}`, told(made("used", 3, 2)), map[string]string{"made-up": "secret-1", "used": "secret-3 secret-2"}},
		{"GET ", told(`{"items":[` + fixed + `,{"id":"made-up","secrets":1,"from":"database","used_by":[]},` +
			`{"id":"used","secrets":2,"from":"database","used_by":["events","other"]}],"next":""}`), nil},
		{`POST  {"id":"used"}`, told(made("used", 4, 2)), map[string]string{"made-up": "secret-1", "used": "secret-4 secret-3"}},
		{"POST /used/retire", told(`{"id":"used","secrets":1,"from":"database","used_by":["events","other"]}`), map[string]string{"made-up": "secret-1", "used": "secret-4"}},
		{"POST /used/retire", webtest.Problem(409, "this client has no older secret", ""), nil},
		{"DELETE /made-up", told(`{"id":"made-up","secrets":1,"from":"database","used_by":[]}`), map[string]string{"used": "secret-4"}},
		{"DELETE /made-up", webtest.Problem(404, "there is no such client", ""), nil},
		{"DELETE /used", told(`{"id":"used","secrets":1,"from":"database","used_by":["events","other"]}`), map[string]string{}},
		{`POST  {"id":"used"}`, created(made("used", 5, 1)), map[string]string{"used": "secret-5"}},
	} {
		method, rest, _ := strings.Cut(step.request, " ")
		path, body, _ := strings.Cut(rest, " ")
		got := do(l, method, "/api/clients"+path, body, bearer)
		if step.want.Status < 300 {
			step.want.Body += "\n"
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%d, %s (-want +got):\n%s", i, step.request, diff)
		}
		if diff := cmp.Diff(step.kept, l.kept(t)); step.kept != nil && diff != "" {
			t.Errorf("%d, %s: kept (-want +got):\n%s", i, step.request, diff)
		}
	}
	if l.changes != 8 {
		t.Errorf("the token endpoint was told of %d changes, want 8", l.changes)
	}
	if strings.Contains(l.log.String(), "secret-") {
		t.Errorf("a secret is in the log: %s", l.log)
	}
}

func TestClientRefusals(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	const there = "this client is defined in the configuration, under oauth.clients: "
	badID := webtest.Problem(422, "the client id is not valid",
		`,"errors":[{"field":"id","message":"must start with a letter or digit and contain only letters, digits, dots, _ and -, at most 100 characters"}]`)
	badBody := webtest.Problem(400, `the body must be JSON such as {"id":"mc-events"}, or {}`, "")
	for request, want := range map[string]answer{
		`POST  {"id":"fixed"}`: webtest.Problem(409, there+"set a new secret there, and move the current one to previous_secret", ""),
		`POST /fixed/retire`:   webtest.Problem(409, there+"remove previous_secret there", ""),
		`DELETE /fixed`:        webtest.Problem(409, there+"remove it there", ""),
		`POST /nobody/retire`:  webtest.Problem(404, "there is no such client", ""),
		`DELETE /a%2Fb`:        webtest.Problem(404, "there is no such client", ""),
		`POST  {"id":"a:b"}`:   badID,
		`POST  {"id":"a b"}`:   badID,
		`POST  {"id":".."}`:    badID,
		`POST  {"id":"é"}`:     badID,
		`POST  {"id":"a\n"}`:   badID,
		`POST  {"name":"a"}`:   badBody,
		`POST  {"id":1}`:       badBody,
		`GET /fixed`:           webtest.Problem(405, "this address accepts DELETE", "", "Allow: DELETE"),
		`DELETE `:              webtest.Problem(405, "this address accepts GET, HEAD, POST", "", "Allow: GET, HEAD, POST"),
		`DELETE /fixed/retire`: webtest.Problem(405, "this address accepts POST", "", "Allow: POST"),
		`POST  {"id":"` + strings.Repeat("x", 101) + `"}`: badID,
	} {
		method, rest, _ := strings.Cut(request, " ")
		path, body, _ := strings.Cut(rest, " ")
		if got := do(l, method, "/api/clients"+path, body, bearer); !cmp.Equal(want, got) {
			t.Errorf("%.60s (-want +got):\n%s", request, cmp.Diff(want, got))
		}
	}
	if n := len(l.kept(t)); n != 0 || l.changes != 0 {
		t.Errorf("%d clients were made, %d changes told", n, l.changes)
	}
	none := webtest.Problem(409, "this gateway has no token endpoint: configure a callback under ens.callbacks", "")
	webtest.Check(t, none, get(adminHandler(l.store, &fakePump{}, nil), "/api/clients"))
	webtest.Check(t, none, post(adminHandler(l.store, &fakePump{}, nil), "/api/clients/fixed/retire", ""))
}

// One that the configuration has, too, can be removed: it would come back to life
// when the configuration no longer has it.
func TestClientInBoth(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	if err := l.store.SaveTokenClient(t.Context(), onramp.TokenClient{ID: "fixed", Secrets: []onramp.Secret{"old"}}); err != nil {
		t.Fatal(err)
	}
	const kept = `{"id":"fixed","secrets":1,"from":"database","used_by":[]}`
	webtest.Check(t, told(`{"items":[{"id":"fixed","secrets":2,"from":"configuration","used_by":["events","other"]},`+kept+`],"next":""}`+"\n"), get(l, "/api/clients"))
	webtest.Check(t, told(kept+"\n"), do(l, "DELETE", "/api/clients/fixed", "", bearer))
	if diff := cmp.Diff(map[string]string{}, l.kept(t)); diff != "" {
		t.Error(diff)
	}
}

// A secret is shown once: the answer must not get lost over what comes after.
func TestClientsNotReloaded(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	l.broken = true
	want := told(`{"id":"made-up","secret":"secret-1","secrets":1}` + "\n")
	want.Status = 201
	webtest.Check(t, want, post(l, "/api/clients", ""))
	if !strings.Contains(l.log.String(), `msg="token clients could not be reloaded immediately" err="disk full"`) {
		t.Errorf("the log is %s", l.log)
	}
}

// Of secrets that are asked for at once each but the last is the one before
// another.
func TestClientsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 8 {
		all.Go(func() {
			if got := post(l, "/api/clients", `{"id":"one"}`); got.Status == 201 {
				mu.Lock()
				created++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if n := len(strings.Fields(l.kept(t)["one"])); created != 1 || n != 2 {
		t.Errorf("created %d times, with %d secrets in the end", created, n)
	}
}
