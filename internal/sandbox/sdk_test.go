package sandbox_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"onramp/internal/sandbox"
	"onramp/internal/sandbox/authority"
	"onramp/internal/tooltest"
)

// Programs of others, unchanged, with Marketing Cloud's own host names: the vendor's
// fuel-rest and fuel-soap, and sfmc-sdk, on which others are built. .ci/run fetches them
// and names the folder in ONRAMP_TEST_SDKS; without it they are fetched here if
// ONRAMP_TEST_REQUIRE has npm in its list.
func TestSDKs(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		tooltest.Missing(t, "npm", err)
	}
	packages := sdks(t)
	for _, script := range []string{"sfmc-sdk.mjs", "fuel.cjs"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{script, "redirect.cjs"} {
				copyFile(t, filepath.Join("testdata", "sdk", name), filepath.Join(folder, name))
			}
			port, certificates := serveTLS(t, folder)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, node, "--require", "./redirect.cjs", script)
			c.Dir = folder
			c.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_EXTRA_CA_CERTS=" + certificates, "SANDBOX_PORT=" + port, "NODE_NO_WARNINGS=1"}
			if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// sdks is the folder with the programs, in the versions and with the checksums of
// package-lock.json.
func sdks(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv("ONRAMP_TEST_SDKS"); folder != "" {
		return folder
	}
	if !tooltest.Required("npm") {
		tooltest.Missing(t, "npm", errors.New("set ONRAMP_TEST_SDKS, or have npm in ONRAMP_TEST_REQUIRE, to run the programs of others"))
	}
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		copyFile(t, filepath.Join("testdata", "sdk", name), filepath.Join(folder, name))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	c.Dir = folder
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return folder
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveTLS serves a sandbox under the host names of a tenant, and returns the port and
// the file with the certificate to trust.
func serveTLS(t *testing.T, folder string) (port, certificates string) {
	t.Helper()
	a, err := authority.Open(filepath.Join(folder, "authority"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, api := range []string{"auth", "rest", "soap"} {
		hosts = append(hosts, "mc0123456789abcdefghijklmn-z."+api+".marketingcloudapis.com")
	}
	server := httptest.NewUnstartedServer(sandbox.New(sandbox.Config{Hosts: hosts}))
	server.TLS = a.TLS()
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err = net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, a.CertificateFile()
}
