package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/cli"
	"onramp/internal/sandbox"
	"onramp/internal/web/webtest"
)

// said is how a command ended, and what it wrote.
type said struct {
	Status      int
	Out, Errors string
}

func onrampSays(ctx context.Context, args ...string) said { return onrampSaysIn(ctx, nil, args...) }

func onrampSaysIn(ctx context.Context, environ []string, args ...string) said {
	var out, errors bytes.Buffer
	status := cli.Main(ctx, args, cli.System{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errors, Environ: environ})
	return said{status, out.String(), errors.String()}
}

// readyz tells whether a gateway is there and ready; with --wait it waits for one.
// The status has a line for each part of the gateway, and for what the configuration
// names.
func TestReadyzAndStatus(t *testing.T) {
	t.Parallel()
	cloud := httptest.NewServer(sandbox.New(sandbox.Config{}))
	t.Cleanup(cloud.Close)
	admin := webtest.FreeAddress(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "onramp.yaml")
	text := fmt.Sprintf(killConfig, filepath.Join(dir, "onramp.db"), cloud.URL)
	text = strings.Replace(text, `admin: { listen: "127.0.0.1:0"`, `admin: { listen: "`+admin+`"`, 1)
	text = strings.Replace(text, "key: Web_Registrations", "key: Nowhere", 1)
	text = strings.Replace(text, "client_id:", "calls_per_year: 1000000, client_id:", 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := said{1, "", "onramp: not ready: no gateway answers at http://" + admin + ": dial tcp " + admin + ": connect: connection refused\n"}
	for _, args := range [][]string{{"readyz"}, {"readyz", "--wait", "300ms"}} {
		if diff := cmp.Diff(refused, onrampSays(t.Context(), append(args, "--config", config)...)); diff != "" {
			t.Errorf("%v without a gateway: %s", args, diff)
		}
	}
	refused.Out = "{\n  \"ready\": false,\n  \"reason\": \"" + strings.TrimSuffix(strings.TrimPrefix(refused.Errors, "onramp: not ready: "), "\n") + "\"\n}\n"
	if diff := cmp.Diff(refused, onrampSays(t.Context(), "readyz", "--output", "json", "--config", config)); diff != "" {
		t.Error(diff)
	}

	waiting := make(chan said, 1)
	go func() { waiting <- onrampSays(t.Context(), "readyz", "--wait", "30s", "--config", config) }()
	startGateway(t, config)
	if diff := cmp.Diff(said{0, "ready\n", ""}, <-waiting); diff != "" {
		t.Errorf("waiting for the gateway: %s", diff)
	}
	if diff := cmp.Diff(said{0, "{\n  \"ready\": true\n}\n", ""}, onrampSays(t.Context(), "readyz", "--output", "json", "--config", config)); diff != "" {
		t.Error(diff)
	}

	var status said
	for !regexp.MustCompile(`journey:APIEvent-sandbox-welcome +ok`).MatchString(status.Out) {
		if status = onrampSays(t.Context(), "status", "--config", config); t.Context().Err() != nil {
			t.Fatal(status)
		}
	}
	const moment = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}`
	for _, line := range []string{
		`GATEWAY +STATE`, `calls +ok +0% of 1000000 used until \d{4}-01-01; at the pace of the last seven days the calls last until the contract's year ends`,
		`CALLS +TODAY +YEAR`, `token +1 +1`, `read +\d+ +\d+`, `total +\d+ +\d+`, `store +ok`, `disk +ok +[\d.]+ of [\d.]+ GB free`,
		`token +ok +since ` + moment + `, renewed before ` + moment, `clock +ok +Marketing Cloud's is [01]s (ahead of|behind) this machine's`,
		`account +ok +the business unit is 510000001`, `data_extension:Nowhere +failed +404 30003: custom object data cannot be retrieved for key: Nowhere; operator: set data_extension.key .*`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(status.Out) {
			t.Errorf("the status has no line %q:\n%s", line, status.Out)
		}
	}
}
