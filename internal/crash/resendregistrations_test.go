package crash_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestResendRegistrationsKilled has 2,000 registrations sent again, 10,000 in its long form, after
// a dry run, and kills the gateway and the command that shows the progress in the middle of it, again and
// again: each row comes once more, none twice more, and no journey is entered again.
func TestResendRegistrationsKilled(t *testing.T) {
	t.Parallel()
	n := rounds(2000, 10_000)
	w := newWorld(t)
	w.route = journeyStep
	path := w.configureDatabase(filepath.Join(t.TempDir(), "onramp.db"))
	g := start(t, path)
	w.fill(g, n)
	before := g.settled()
	all := int(before.Registrations["delivered"])
	if all < n || before.Deliveries["delivered"] != 2*int64(all) {
		t.Fatalf("before: %+v", before)
	}
	w.recorder.forget()

	resend := []string{"registrations", "resend", "--form", "registration"}
	said, err := g.command(path, append(resend, "--dry-run")...).CombinedOutput()
	if err != nil || !strings.Contains(string(said), "  to data_extension:Web_Registrations: ") || strings.Contains(string(said), "to journey") {
		t.Fatalf("the dry run: %v: %s", err, said)
	}
	if after := g.status(); after.Deliveries["delivered"] != before.Deliveries["delivered"] || after.underway() > 0 {
		t.Errorf("the dry run has changed %+v to %+v", before, after)
	}
	resend = append(resend, "--yes")
	for _, goal := range []int{n * 15 / 100, n * 4 / 10, n * 8 / 10} {
		follower := g.command(path, resend...)
		if err := follower.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the middle of the resend", patience, func() bool { return w.recorder.rows() >= goal })
		release := w.recorder.hold() // a call that was carried out, but not recorded, would come again
		eventually(t, "the outcomes", patience, func() bool {
			return g.status().Deliveries["delivered"]-before.Deliveries["delivered"] == int64(w.recorder.rows())
		})
		if err := follower.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = follower.Wait() // it was killed
		g.kill()
		g = start(t, path)
		release() // the calls of the one that was killed are gone
	}
	if said, err := g.command(path, resend...).CombinedOutput(); err != nil && !strings.Contains(string(said), "resend 1 has already sent these again") { // it may have ended before
		t.Fatalf("%v: %s", err, said)
	}
	after := g.settled()
	if got := after.Deliveries["delivered"] - before.Deliveries["delivered"]; got != int64(all) || after.Registrations["delivered"] != int64(all) {
		t.Errorf("%d deliveries were made, of %d registrations: %+v", got, all, after)
	}
	for name := range w.accepted {
		if rows, events := w.recorder.count(row, name), w.recorder.count(event, name); rows != 1 || events != 0 {
			t.Fatalf("%s came %d times, and entered the journey %d times", name, rows, events)
		}
	}
	if odd := w.recorder.misread(); len(odd) > 0 {
		t.Error(odd)
	}
}
