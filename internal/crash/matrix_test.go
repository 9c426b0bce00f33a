package crash_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"onramp/internal/figures"
)

// tally is a row of the table: what became of the registrations, or the events,
// that were answered 2xx.
type tally struct {
	fault      string // comes after the row's name
	rounds     int
	accepted   int
	once, more int // delivered
	dead       int // or unknown: kept for an operator
	lost       int
	stranded   int // nothing will happen to them any more, though nobody gave them up
	people     int // who register again and again; 0: everybody registers once
	old        int // of whom an older registration stands where a newer one was answered
}

func (t *tally) add(other tally) {
	t.rounds += other.rounds
	t.accepted += other.accepted
	t.once += other.once
	t.more += other.more
	t.dead += other.dead
	t.lost += other.lost
	t.stranded += other.stranded
	t.people += other.people
	t.old += other.old
}

// matrix is the rows of the table. Each breaks one thing, and returns what became
// of the registrations.
var matrix = []struct {
	fault string
	run   func(t *testing.T) []tally
}{
	{"kill -9 at a random moment", killGateway},
	{"kill -9 at a random moment", killReceiver},
	{"Marketing Cloud killed meanwhile", killSandbox},
	{"late vendor: calls carried out long after they failed", callLate},
	{"calls hang, or their answers are lost", loseAnswers},
	{"token endpoint down for a while", breakTokens},
	{"power cut", cutPower},
	{"database file replaced or deleted (SQLite)", replaceFile},
	{"process frozen beyond its lease (PostgreSQL)", freezeProcess},
	{"network cut in the middle of a statement (PostgreSQL)", cutNetwork},
	{"connection lost at COMMIT (PostgreSQL)", loseCommits},
	{"disk full", fillDisk},
	{"disk read-only for a while", lockDisk},
	{"write-ahead log cut short", cutLog},
	{"database damaged in one page", damagePages},
	{"clock set back by an hour or a day", turnClock},
	{"SIGTERM with many waiting", terminate},
}

// TestCrashMatrix breaks what a gateway stands on: whatever was answered is
// delivered, or kept for an operator.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	results := make([][]tally, len(matrix))
	t.Run("faults", func(t *testing.T) {
		for i, fault := range matrix {
			t.Run(fault.fault, func(t *testing.T) {
				t.Parallel()
				defer func() {
					if results[i] == nil {
						results[i] = make([]tally, 1)
					}
					for j := range results[i] {
						if t.Skipped() {
							results[i][j].fault += skippedMark
						} else if t.Failed() {
							results[i][j].fault += failedMark
						}
					}
				}()
				results[i] = fault.run(t)
				for _, r := range results[i] {
					if r.lost != 0 || r.accepted != r.once+r.more+r.dead {
						t.Errorf("%d of %d were answered and are lost: %+v", r.lost, r.accepted, r)
					}
					if r.stranded != 0 || r.old != 0 {
						t.Errorf("%d are stranded, and of %d of %d people something old stands", r.stranded, r.old, r.people)
					}
				}
			})
		}
	})
	table := draw(results)
	t.Log("\n" + table)
	if path := os.Getenv("ONRAMP_TEST_CRASH_TABLE"); path != "" {
		if err := os.WriteFile(path, []byte(table), 0o600); err != nil {
			t.Error(err)
		}
	}
	if path := os.Getenv("ONRAMP_TEST_CRASH_REPORT"); path != "" {
		if err := writeReport(path, results); err != nil {
			t.Error(err)
		}
	}
}

// writeReport writes the rows as JSON, for docs/crash-matrix.md.
func writeReport(path string, results [][]tally) error {
	var rows []figures.CrashRow
	for i, of := range results {
		for _, r := range of {
			fault, skipped := strings.CutSuffix(r.fault, skippedMark)
			fault, failed := strings.CutSuffix(fault, failedMark)
			rows = append(rows, figures.CrashRow{
				Fault: matrix[i].fault + fault, Skipped: skipped, Failed: failed, Rounds: r.rounds, Accepted: r.accepted, Once: r.once, More: r.more, Dead: r.dead,
				Lost: r.lost, Stranded: r.stranded, People: r.people, Old: r.old,
			})
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// What draw shows of a row that was not run, or went wrong.
const (
	skippedMark = " (skipped)"
	failedMark  = " (FAILED)"
)

// draw makes a table in Markdown.
func draw(results [][]tally) string {
	var b strings.Builder
	line := func(cells ...any) {
		fmt.Fprintf(&b, "| %-56v | %6v | %8v | %14v | %24v | %4v | %4v | %8v | %12v |\n", cells...)
	}
	line("fault", "rounds", "accepted", "delivered once", "delivered more than once", "dead", "lost", "stranded", "old over new")
	b.WriteString("|" + strings.Repeat("-", 58))
	for _, width := range []int{6, 8, 14, 24, 4, 4, 8, 12} {
		b.WriteString("|" + strings.Repeat("-", width+1) + ":")
	}
	b.WriteString("|\n")
	for i, rows := range results {
		for _, r := range rows {
			var old any = r.old
			if r.people == 0 {
				old = "–"
			}
			if fault := matrix[i].fault + r.fault; r.rounds > 0 {
				line(fault, r.rounds, r.accepted, r.once, r.more, r.dead, r.lost, r.stranded, old)
			} else {
				line(fault, "", "", "", "", "", "", "", "")
			}
		}
	}
	return b.String()
}

// rounds is how often a row repeats its fault: seconds in all, or many.
func rounds(few, many int) int {
	if os.Getenv("ONRAMP_TEST_CRASH") == "long" {
		return many
	}
	return few
}
