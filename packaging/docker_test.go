package packaging_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"onramp/internal/cli"
)

// instructions are those of a Dockerfile's last stage: all with one name, joined lines as one.
func instructions(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || name == "#" {
			continue
		}
		if name == "FROM" {
			clear(all)
		}
		all[name] = append(all[name], strings.Join(strings.Fields(value), " "))
	}
	return all
}

// words reads an instruction in its exec form.
func words(t *testing.T, text string) (all []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%s is not in exec form, which needs no shell: %v", text, err)
	}
	return all
}

// runs says whether words are a command of onramp with flags that it has.
func runs(t *testing.T, words []string) {
	t.Helper()
	c, rest, err := cli.Root(cli.System{}).Find(words)
	if err != nil || !c.Runnable() || c.HasSubCommands() {
		t.Errorf("onramp %q is no command: %v", words, err)
	} else if err := c.ParseFlags(rest); err != nil {
		t.Errorf("onramp %q: %v", words, err)
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	got := instructions(t, "docker/Dockerfile")
	health := got["HEALTHCHECK"][0]
	_, check, _ := strings.Cut(health, "CMD ")
	checked, entry := words(t, check), words(t, got["ENTRYPOINT"][0])
	if !slices.Equal(entry, []string{"/usr/bin/onramp"}) || checked[0] != entry[0] {
		t.Errorf("ENTRYPOINT %q and HEALTHCHECK %q", entry, checked)
	}
	runs(t, checked[1:])
	runs(t, words(t, got["CMD"][0]))
	delete(got, "HEALTHCHECK")
	delete(got, "LABEL")
	want := map[string][]string{
		"FROM": {"${BASE}"},
		"COPY": {
			"--from=build /image/usr/bin/onramp /usr/bin/onramp", "--from=build --chown=65532:65532 /image/etc/onramp /etc/onramp",
			"--from=build --chown=65532:65532 /image/data /data",
		},
		"ENV": {"ONRAMP_CONFIG=/etc/onramp/onramp.yaml"}, "WORKDIR": {"/data"}, "VOLUME": {"/data"}, "USER": {"65532:65532"},
		"EXPOSE": {"8080 8081"}, "STOPSIGNAL": {"SIGTERM"}, "ENTRYPOINT": {`["/usr/bin/onramp"]`}, "CMD": {`["serve"]`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the last stage, -wanted +got:\n%s", diff)
	}
}

// service is what a compose file says of one.
type service struct {
	Image       string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Profiles    []string
	Command     []string
	Ports       []string
	Environment map[string]string
	Volumes     []string
	Grace       string `yaml:"stop_grace_period"`
	Healthcheck struct {
		Test    []string
		Disable bool
	}
}

func readCompose(t *testing.T) map[string]service {
	t.Helper()
	text, err := os.ReadFile("docker/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Services map[string]service }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Services
}

func TestCompose(t *testing.T) {
	t.Parallel()
	services := readCompose(t)
	for name, s := range services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s is not hardened: %+v", name, s)
		}
		if len(s.Command) > 0 {
			runs(t, s.Command)
		}
	}
	onramp, sandbox := services["onramp"], services["sandbox"]
	runs(t, onramp.Healthcheck.Test[2:])
	if want := []string{"./config:/etc/onramp:ro", "data:/data"}; !slices.Equal(onramp.Volumes, want) || onramp.Grace != "40s" {
		t.Errorf("volumes %q, stopped after %q", onramp.Volumes, onramp.Grace)
	}
	if !slices.Equal(sandbox.Profiles, []string{"sandbox"}) || !sandbox.Healthcheck.Disable || onramp.Profiles != nil {
		t.Errorf("the sandbox is %+v", sandbox)
	}
}

// What init writes runs with the variables that the compose file gives the gateway: with an
// account, and with the sandbox.
func TestComposeConfig(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, id, wantURL, wantSubdomain string }{
		{"", "the-id", "", "mc0123456789abcdefghijklmnoq"},
		{"http://sandbox:8090", "sandbox-client", "http://sandbox:8090", ""},
	} {
		var environ []string
		for name, value := range readCompose(t)["onramp"].Environment {
			given := map[string]string{"ONRAMP_MARKETING_CLOUD_AUTH_URL": test.url, "SFMC_CLIENT_ID": test.id, "SFMC_CLIENT_SECRET": "secret"}
			environ = append(environ, name+"="+strings.ReplaceAll(value, "${"+name+":-}", given[name]))
		}
		cfg := loaded(t, filledIn(), environ...)
		got := []string{cfg.MarketingCloud.AuthURL, cfg.MarketingCloud.Subdomain, cfg.MarketingCloud.ClientID}
		if diff := cmp.Diff([]string{test.wantURL, test.wantSubdomain, test.id}, got); diff != "" {
			t.Errorf("-wanted +got:\n%s", diff)
		}
	}
}
