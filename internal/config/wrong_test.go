package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
)

// wrong is a configuration with mistakes, and all that is to be said about it.
type wrong struct {
	name    string
	file    string
	environ []string
	want    []config.Problem
}

func (w wrong) run(t *testing.T, data string) {
	t.Run(w.name, func(t *testing.T) {
		t.Parallel()
		c, err := config.Parse("onramp.yaml", []byte(data), w.environ)
		if diff := cmp.Diff(w.want, problems(t, err)); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
		if c != nil {
			t.Error("got a configuration beside the error")
		}
	})
}

// Mistakes outside the forms. Each file goes on with a form that is right.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	for _, list := range [][]wrong{wrongSettings(), wrongLookalikes(), wrongValues(), wrongOAuth(), wrongCallbacks(), wrongTypesOfEvents(), wrongSinks(), wrongScreens()} {
		for _, w := range list {
			w.run(t, w.file+"\n"+shortForms)
		}
	}
}

// Mistakes in forms. Line 1 is an account that is right.
func TestWrongForms(t *testing.T) {
	t.Parallel()
	for _, list := range [][]wrong{wrongForms(), wrongFields(), wrongTypes(), wrongRoutes(), wrongRules(), wrongOnce(), wrongFormScreens()} {
		for _, w := range list {
			w.run(t, shortAccount+w.file)
		}
	}
}

// Mistakes after which the rest can't be read.
func TestWrongYAML(t *testing.T) {
	t.Parallel()
	for _, w := range wrongYAML() {
		w.run(t, w.file)
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("dir/o.yaml", []byte(shortForms+"databse: x\n"), []string{
		"ONRAMP_LOG_LEVEL=loud", "ONRAMP_MARKETING_CLOUD_SUBDOMAIN=x",
		"ONRAMP_MARKETING_CLOUD_CLIENT_ID=x", "ONRAMP_MARKETING_CLOUD_CLIENT_SECRET=x",
	})
	want := `ONRAMP_LOG_LEVEL: "loud" is not known; use debug, info, warn or error` + "\n" +
		`dir/o.yaml:2: databse: unknown key; did you mean database?`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	_, err = config.Parse("o.yaml", []byte("a: [\n"), nil)
	if want := "o.yaml:2: is not valid YAML: "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want it to begin with %q", err, want)
	}
}

// Listeners that share only a part of their addresses, and what begins with $ and is
// no reference.
func TestAlmostWrong(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"public: { listen: '127.0.0.1:1' }\nadmin: { listen: '127.0.0.2:1' }",
		"public: { listen: '0.0.0.0:1' }\nadmin: { listen: '[::1]:1' }",
		"public: { listen: ':0' }\nadmin: { listen: '127.0.0.1:0' }",
		"public: { listen: 'a.example.com:1' }\nadmin: { listen: 'b.example.com:1', token: token-of-the-operator }",
		"encryption_key: $1x$AbC",
		"encryption_key: $uperSecret",
		"encryption_key: '${env:DOLLAR}'",
	} {
		if _, err := config.Parse("onramp.yaml", []byte(shortAccount+shortForms+file), []string{"DOLLAR=$SECRET"}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// A small file with aliases of aliases must not take long.
func TestAliasesAreBounded(t *testing.T) {
	t.Parallel()
	file := shortAccount + "forms:\n  a: &form\n    fields:\n      - &f { name: a }\n" +
		strings.Repeat("      - *f\n", 1000) + "    route: [ { journey: { event_definition_key: e } } ]\n"
	for i := range 1000 {
		file += fmt.Sprintf("  b%d: *form\n", i)
	}
	_, err := config.Parse("onramp.yaml", []byte(file), nil)
	list := problems(t, err)
	want := config.Problem{Line: 1, Message: "has more than 20000 keys and values, including those that aliases repeat"}
	if len(list) == 0 || len(list) > 20_000 || list[0] != want {
		t.Errorf("got %d problems, want the first to be %+v", len(list), want)
	}
}

// What talks to a running gateway minds only what is said of the admin API.
func TestLoadAdmin(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, w := range []struct {
		name, file string
		environ    []string
		want       config.Admin
		problems   []config.Problem
	}{
		{
			"mistakes elsewhere", "admin: { listen: '127.0.0.1:1', token: token-of-the-operator }\nlog: x\ndatabse: y\nforms: { F: }\nens: { callbacks: { a: } }\nencryption_key: []\nsinks: x",
			[]string{"ONRAMP_LOG_LEVEL=x"},
			config.Admin{Listen: "127.0.0.1:1", Token: "token-of-the-operator"},
			nil,
		},
		{"nothing", "", []string{"ONRAMP_ADMIN_TOKEN=token-of-the-operator"}, config.Admin{Listen: "127.0.0.1:8081", Token: "token-of-the-operator"}, nil},
		{"mistakes", "admin:\n  listn: x\n  token: ['']\nadministrator: x", []string{"ONRAMP_ADMIN_LISTEN=y"}, config.Admin{}, []config.Problem{
			{0, "ONRAMP_ADMIN_LISTEN", listenHint},
			{2, "admin.listn", "unknown key; did you mean listen?"},
			{3, "admin.token", "must be a single value, not a list"},
		}},
		{"not a map", "[]", nil, config.Admin{}, []config.Problem{{1, "", "must be a map of keys and values, not a list"}}},
		{"not YAML", "\n[}", nil, config.Admin{}, []config.Problem{
			{2, "", "is not valid YAML: did not find expected node content (while parsing a flow node that starts on line 2)"},
		}},
	} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(folder, w.name)
			if err := os.WriteFile(path, []byte(w.file), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := config.LoadAdmin(path, false, w.environ)
			if diff := cmp.Diff(w.problems, problems(t, err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(w.want, got); diff != "" {
				t.Errorf("admin (-want +got):\n%s", diff)
			}
		})
	}
	if got, err := config.LoadAdmin(filepath.Join(folder, "none"), true, []string{"ONRAMP_ADMIN_TOKEN=token-of-the-operator"}); err != nil ||
		!reflect.DeepEqual(got, config.Admin{Listen: "127.0.0.1:8081", Token: "token-of-the-operator"}) {
		t.Errorf("without a file that may be missing: %+v, %v", got, err)
	}
	if _, err := config.LoadAdmin(filepath.Join(folder, "none"), false, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v, want fs.ErrNotExist", err)
	}
}

// However a secret is misplaced or misspelt, no message has it.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, file := range []string{
		secret,
		"marketing_cloud: " + secret,
		"marketing_cloud: { client_secret: [" + secret + "] }",
		"marketing_cloud: { client_secret: { " + secret + ": } }",
		"marketing_cloud: { client_secret:" + secret + " }",
		"marketing_cloud: { client_secret " + secret + " }",
		"marketing_cloud: { client_secret " + secret + ", client_secret " + secret + " }",
		"marketing_cloud:\n  client_secret:" + secret + "\n",
		"marketing_cloud:\n  client_secret:" + secret + "\n  client_id: x\n",
		"marketing_cloud: { client_secret: *" + secret + " }",
		"marketing_cloud: { client_secret: !" + secret + " }",
		"marketing_cloud: { client_secret: !!int " + secret + " }",
		"marketing_cloud:\n  client_secret: @" + secret,
		"marketing_cloud:\n  client_secret: %" + secret,
		"marketing_cloud:\n  client_secret: `" + secret,
		"marketing_cloud:\n  client_secret: |" + secret,
		"marketing_cloud:\n  client_secret: '" + secret,
		"marketing_cloud:\n  client_secret: a: " + secret,
		"marketing_cloud: { client_secret: x${env:" + secret + "}y }",
		"marketing_cloud: { account_id: " + secret + ", auth_url: " + secret + ", subdomain: _" + secret + " }",
		"database: mysql://u:" + secret + "@h/d",
		"marketing_cloud: { client_secret: $" + secret + ", client_id: \"${" + secret + "}\" }",
		"admin: { listen: \"${env:SECRET}\" }\nlog: { level: \"${env:SECRET}\" }\npublic: { trusted_proxies: [\"${env:SECRET}\"] }",
		"forms: { f: { subscriber_key: \"${env:SECRET}\", origins: [\"${env:SECRET}\"], fields: [ { name: a, column: A, type: \"${env:SECRET}\" } ] } }",
		"forms: { f: { fields: [ { name: a, column: A, pattern: \"${env:SECRET}\" }, { column: B, from: \"${env:SECRET}\" } ] } }",
		"forms: { f: { fields: [ { name: a, column: A, type: boolean, default: \"${env:SECRET}\" } ], route: [ { data_extension: { mode: \"${env:SECRET}\" } } ] } }",
		"alerts: " + secret,
		"alerts: [" + secret + "]",
		"alerts: { " + secret + ": x }",
		"alerts: [{ slack://" + secret + ": x }]",
		"alerts: [\"" + secret + "://x\", \"" + secret + " ://x\", \"slack:" + secret + "\", \"slack://" + secret + ":%zz@h\"]",
		"alerts: [\"slack://h\", \"${env:SECRET}\", \"${env:DOUBLE}\", \"${env:DOUBLE}\"]",
		"encryption_key: [" + secret + "]",
		"encryption_key: { " + secret + ": x }",
		"oauth: { token_lifetime: " + secret + ", clients: [ { id: 'a:" + secret + "', secret: (" + secret + ", previous_secret: (" + secret + " } ], users: [ { name: a, password: (" + secret + ", previous_password: (" + secret + " } ] }",
		"oauth: { clients: [ { id: x, secret: '(" + secret + "\u00e9' } ], users: [ { name: a, password: \"" + secret + "\\t\", previous_password: [" + secret + "] } ] }",
		"oauth: { clients: [ { id: x, secret:" + secret + " } ], users: [ { password " + secret + ": x } ] }",
		"sinks: [ { name: a, webhook: { url: \"https://u:" + secret + "@h\", secret: whsec_" + secret + ", previous_secret: " + secret + " } } ]",
		"sinks: [ { name: a, webhook: { url: \"" + secret + "\", headers: { X-Key:" + secret + " } } } ]",
		"sinks: [ { name: a, webhook: { headers: { X-Key " + secret + ": x, Authorization: \"" + secret + "\\n\", Host: " + secret + ", X-A: [" + secret + "] } } } ]",
		"sinks: [ { name: a, kafka: { brokers: [\"${env:SECRET}\"], user: u, password: " + secret + " } } ]",
		"sinks: [ { name: \"${env:SECRET}\", kafka: { topic: \"${env:SECRET}\", sasl: \"${env:SECRET}\", password: [" + secret + "] } } ]",
		"sinks: [ { name: a, nats: { url: \"nats://u:" + secret + "@h\", subject: x, password: " + secret + ", token: " + secret + " } } ]",
		"sinks: [ { name: a, types: [\"${env:SECRET}\", \"${env:TYPE}\"], nats: { urls: [\"" + secret + "\"], subject: \"${env:SECRET}\" } } ]",
		"sinks: [ { name: a, file: { path: [" + secret + "] } }, { name: b, file: " + secret + " } ]",
		"ens: { callbacks: { events: { auth: \"${env:SECRET}\", client: 'a:" + secret + "', max_batch: " + secret + ", subscribe: [\"${env:SECRET}\", \"${env:TYPE}\"], filters: [\"${env:SECRET}\"] } } }",
		"ens: { callbacks: { events: { subscribe: [EngagementEvents.EmailOpen], filters: [\"${env:FILTER}\"], user: \"${env:SECRET}\" } } }",
		"forms: { f: { fields: [ { name: a, column: A, type: boolean } ], on_event: [ { type: \"${env:TYPE}\", where: { A:" + secret + " }, column: A, value: \"${env:SECRET}\" } ] } }",
		"watch: { disk_free: " + secret + ", oldest: " + secret + " }",
		"forms: { f: { on_existing: \"${env:SECRET}\", fields: [ { name: a, column: A } ], route: [ { message: { to: \"${env:SECRET}\", batch: \"${env:SECRET}\" } } ] } }",
	} {
		_, err := config.Parse("onramp.yaml", []byte(file), []string{
			"SECRET=(" + secret, "DOUBLE=slack://" + secret, "TYPE=SendEvent." + secret, "FILTER=" + secret + "=" + secret,
		})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: got %v, want an error without the secret", file, err)
		}
	}
}
