package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onramp/internal/chain"
	"onramp/internal/operator"
)

// What was done is anchored at the next start, in the file that the configuration names; the log agrees
// with that, and not with one that has signed something else.
func TestAnchors(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file, database := filepath.Join(folder, "anchors.jsonl"), filepath.Join(folder, "onramp.db")
	edit := func(cfg string) string { return cfg + "\nconsent: { anchor_file: " + file + " }\n" }
	if err := os.WriteFile(file, []byte(`{"log":"consent"`), 0o600); err != nil { // a line that a crash has cut
		t.Fatal(err)
	}
	w := newSandboxed(t)
	w.start(edit, database)
	w.admin("/api/destinations/data_extension:Web_Registrations/pause", map[string]string{"reason": "a test"}, 200, new(operator.DestinationStatus))
	w.end()
	w.start(edit, database)
	var anchors []chain.Anchor
	w.until("an anchor is in the file", func() bool {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, whole, _ := strings.Cut(string(data), "\n")
		anchors, err = chain.ReadAnchors([]byte(whole))
		return err == nil && len(anchors) == 1
	})
	if anchors[0].Log != chain.Audit || anchors[0].Number != 2 {
		t.Errorf("%+v", anchors)
	}
	var report chain.Report
	w.admin("/api/audit/verify", operator.Anchors{Anchors: anchors}, 200, &report)
	if report.Anchors == 0 || len(report.Problems) != 0 || report.Unsigned {
		t.Errorf("%+v", report)
	}
	anchors[0].Number = 1
	w.admin("/api/audit/verify", operator.Anchors{Anchors: anchors}, 200, &report)
	if len(report.Problems) != 1 || report.Problems[0].Number != 1 {
		t.Errorf("%+v", report)
	}
}
