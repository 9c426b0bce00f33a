package certificate_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/certificate"
	"onramp/internal/certificate/certtest"
	"onramp/internal/health"
)

// shown is the host of the certificate that a source shows.
func shown(t *testing.T, from certificate.Source) string {
	t.Helper()
	c, err := from.Config().GetCertificate(&tls.ClientHelloInfo{ServerName: "any.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.DNSNames[0]
}

// Files are loaded again however they are replaced, a few seconds later; what does not
// belong together changes nothing, and is told of.
func TestFiles(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	before, after := authority.Issue(90*certtest.Day, "before.example.com"), authority.Issue(90*certtest.Day, "after.example.com")
	write := func(file string, text []byte) func(string) error {
		return func(folder string) error { return os.WriteFile(filepath.Join(folder, file), text, 0o600) }
	}
	const mismatch = "the key does not belong to the certificate"
	today := time.Now()
	for name, row := range map[string]struct {
		change func(folder string) error
		host   string
		reason string
	}{
		"renamed into place": {func(folder string) error { after.Write(t, folder); return nil }, "after.example.com", ""},
		"written into": {func(folder string) error {
			if err := write("cert.pem", after.Cert)(folder); err != nil {
				return err
			}
			return write("key.pem", after.Key)(folder)
		}, "after.example.com", ""},
		"a link to another folder": {func(folder string) error { // as Kubernetes does
			after.Write(t, folder+"-after")
			if err := os.Symlink(folder+"-after", folder+".new"); err != nil {
				return err
			}
			if err := os.Rename(folder, folder+"-old"); err != nil {
				return err
			}
			return os.Rename(folder+".new", folder)
		}, "after.example.com", ""},
		"only the certificate": {write("cert.pem", after.Cert), "before.example.com", mismatch},
		"only the key":         {write("key.pem", after.Key), "before.example.com", mismatch},
		"half of it":           {write("cert.pem", after.Cert[:200]), "before.example.com", "it has no certificate in PEM format (-----BEGIN CERTIFICATE-----)"},
		"empty":                {write("key.pem", nil), "before.example.com", "it has no private key in PEM format (-----BEGIN PRIVATE KEY-----)"},
		"away":                 {func(folder string) error { return os.Remove(filepath.Join(folder, "key.pem")) }, "before.example.com", "FOLDER/key.pem can't be read: no such file or directory"},
		"the same":             {func(folder string) error { before.Write(t, folder); return nil }, "before.example.com", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "tls")
			synctest.Test(t, func(t *testing.T) {
				<-time.After(time.Until(today)) // the bubble's clock begins in 2000
				var log bytes.Buffer
				files := run(t, folder, before, &log)
				if err := row.change(folder); err != nil {
					t.Fatal(err)
				}
				<-time.After(4*time.Second + time.Millisecond)
				if got := shown(t, files); got != row.host {
					t.Errorf("shows %s, want %s", got, row.host)
				}
				reason := strings.ReplaceAll(row.reason, "FOLDER", folder)
				status := files.Status()[0]
				if got := []any{status.Listener, status.Hosts, status.State, status.Reason, status.Hint != ""}; !cmp.Equal(got, []any{"public", []string{row.host}, "ok", reason, reason != ""}) {
					t.Errorf("the status is %v", got)
				}
				if told := strings.Count(log.String(), `"certificate not loaded, the previous one stays in use"`); told > 0 != (reason != "") || told > 1 {
					t.Errorf("the log says %s", log.String())
				}
				// and it is mended by the next pair that is right
				after.Write(t, folder)
				files.Look()
				if got := files.Status()[0]; shown(t, files) != "after.example.com" || got.Reason != "" {
					t.Errorf("then it shows %s, %s", shown(t, files), got.Reason)
				}
			})
		})
	}
}

// run opens a pair and looks after it until the test ends.
func run(t *testing.T, folder string, pair certtest.Pair, log *bytes.Buffer) *certificate.Files {
	t.Helper()
	cert, key := pair.Write(t, folder)
	files, err := certificate.OpenFiles("public", cert, key, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		files.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return files
}

// A pair that is only half written when it is looked at is no reason to say anything.
func TestFilesHalfWritten(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	before, after := authority.Issue(90*certtest.Day, "before.example.com"), authority.Issue(90*certtest.Day, "after.example.com")
	folder, today := t.TempDir(), time.Now()
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(today))
		var log bytes.Buffer
		files := run(t, folder, before, &log)
		for _, step := range []struct {
			file string
			text []byte
			host string
		}{{"cert.pem", after.Cert, "before.example.com"}, {"key.pem", after.Key, "after.example.com"}} {
			if err := os.WriteFile(filepath.Join(folder, step.file), step.text, 0o600); err != nil {
				t.Fatal(err)
			}
			<-time.After(2*time.Second + time.Millisecond)
			if got := files.Status()[0]; shown(t, files) != step.host || got.Reason != "" {
				t.Errorf("with the new %s it shows %s, %q; want %s", step.file, shown(t, files), got.Reason, step.host)
			}
		}
		if strings.Contains(log.String(), "not loaded") {
			t.Errorf("the log says %s", log.String())
		}
	})
}

// How near its end is decides what is said of a certificate.
func TestExpiry(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	for _, row := range []struct {
		left   time.Duration
		state  string
		urgent bool
		log    string
	}{
		{90 * certtest.Day, "ok", false, "level=INFO msg=\"certificate loaded\""},
		{15 * certtest.Day, "ok", false, "level=INFO msg=\"certificate loaded\""},
		{13 * certtest.Day, "expiring", false, "level=WARN msg=\"certificate loaded, but it expires soon\""},
		{2 * certtest.Day, "expiring", true, "level=WARN msg=\"certificate loaded, but it expires soon\""},
		{-time.Hour, "failed", true, "level=ERROR msg=\"certificate loaded, but it has expired or is not valid yet\""},
	} {
		var log bytes.Buffer
		cert, key := authority.Issue(row.left, "a.example.com").Write(t, t.TempDir())
		files, err := certificate.OpenFiles("admin", cert, key, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		got := files.Status()
		want := []health.Certificate{{Listener: "admin", Hosts: []string{"a.example.com"}, State: row.state, Urgent: row.urgent, ExpiresAt: got[0].ExpiresAt, Hint: got[0].Hint}}
		if diff := cmp.Diff(want, got); diff != "" || (got[0].Hint != "") != (row.state != "ok") {
			t.Errorf("%s before the end (-want +got):\n%s", row.left, diff)
		}
		if !strings.Contains(log.String(), row.log+" listener=admin hosts=[a.example.com] expires_at=") {
			t.Errorf("%s before the end, the log says %s", row.left, log.String())
		}
	}
}
