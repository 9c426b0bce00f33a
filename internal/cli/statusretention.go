package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"onramp/internal/retention"
)

// retentionRows is the line of the removal of what is kept long enough; none while
// everything is kept for ever.
func retentionRows(s *retention.Status) [][]string {
	if s == nil {
		return nil
	}
	text := "the first run has not ended yet"
	if !s.LastRun.IsZero() {
		text = "everything was looked at by " + moment(s.LastRun)
	}
	if s.Reason != "" {
		text += "; " + s.Reason
	}
	if s.NotReleasable {
		text += fmt.Sprintf("; %.1f MB of the database file are free, and stay its own: stop the gateway once and run onramp vacuum", float64(s.FreeBytes)/1e6)
	}
	return [][]string{{"retention", string(s.State), text}}
}

// printKept prints how long everything is kept.
func (c *command) printKept(s *retention.Status) error {
	if s == nil {
		return nil
	}
	rows := [][]string{{"RETENTION", "KEPT", "OLDEST", "REMOVED", "LAST"}}
	for _, k := range s.Kept {
		rows = append(rows, []string{k.What, k.Keep, momentOrDash(k.Oldest), strconv.FormatInt(k.Removed, 10), momentOrDash(k.LastRemovedAt)})
		for _, form := range slices.Sorted(maps.Keys(k.Forms)) {
			rows = append(rows, []string{"  form " + form, k.Forms[form], "", "", ""})
		}
	}
	fmt.Fprintln(c.Stdout)
	return c.table(rows)
}

func momentOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return moment(t)
}
