package alert_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/alert"
	"onramp/internal/health"
)

// A certificate that comes to its end is told of twice, then daily, until there is a new
// one; so is why there is none.
func TestCertificates(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	left := func(left time.Duration, reason string) func(w *world) {
		return func(w *world) {
			now := time.Now()
			c := health.NewCertificate("public", &x509.Certificate{DNSNames: []string{"a.example.com", "b.example.com"}, NotBefore: now.Add(left - 90*day), NotAfter: now.Add(left)}, now)
			if c.Reason = reason; reason != "" {
				c.Hint = "operator: mend the files"
			}
			w.shown = []health.Certificate{c}
		}
	}
	none := func(state, hint string) func(w *world) {
		return func(w *world) {
			w.shown = []health.Certificate{{Listener: "public", Hosts: []string{"a.example.com"}, State: state, Reason: "it can't be reached", Hint: hint}}
		}
	}
	const of = ": public a.example.com"
	for name, row := range map[string]struct {
		steps []func(w *world)
		want  []string
	}{
		"forgotten": {[]func(*world){left(60*day, ""), left(15*day, ""), left(13*day, ""), left(4*day, ""), left(2*day, ""), left(-time.Minute, ""), left(90*day, "")}, []string{
			"onramp: certificate expires soon" + of, "onramp: certificate expired or about to" + of,
			"onramp: cleared: certificate expires soon" + of + ", after 8h", "onramp: cleared: certificate expired or about to" + of + ", after 4h",
		}},
		"with a new one that is broken": {[]func(*world){left(20*day, "the key does not belong to the certificate"), left(20*day, "")}, []string{
			"onramp: certificate not renewed" + of, "onramp: cleared: certificate not renewed" + of + ", after 2h",
		}},
		"none": {[]func(*world){none("unknown", ""), none("failed", "operator: lead the host here"), left(90*day, "")}, []string{
			"onramp: no certificate" + of, "onramp: still no certificate" + of, "onramp: cleared: no certificate" + of + ", after 2h",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := watching(t, alert.Config{}, func(w *world) {
				for _, step := range row.steps {
					w.change(step)
					pass(2 * time.Hour)
				}
			})
			var got []string
			for _, a := range all {
				got = append(got, a.Title)
			}
			if diff := cmp.Diff(row.want, got, cmpopts.SortSlices(strings.Compare)); diff != "" { // two end at once
				t.Error(diff)
			}
		})
	}
}
