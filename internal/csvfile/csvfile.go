// Package csvfile writes CSV (RFC 4180) that spreadsheets can open: a cell that they would
// take for a formula gets an apostrophe in front, and Unquote takes it off again. All CSV
// that the program writes or reads goes through it, since cells hold what strangers typed.
package csvfile

import (
	"encoding/csv"
	"io"
	"strings"
)

// Writer writes rows. They end with a newline, since encoding/csv drops a carriage return
// from cells when it ends rows with one.
type Writer struct{ csv *csv.Writer }

// NewWriter makes a writer. Flush it in the end.
func NewWriter(out io.Writer) *Writer {
	return &Writer{csv.NewWriter(out)}
}

// Write writes one row, each of its cells as Quote makes it.
func (w *Writer) Write(cells []string) error {
	quoted := make([]string, len(cells))
	for i, cell := range cells {
		quoted[i] = Quote(cell)
	}
	return w.csv.Write(quoted)
}

// Flush writes what is still in memory, and tells whether all of it could be written.
func (w *Writer) Flush() error {
	w.csv.Flush()
	return w.csv.Error()
}

// Quote puts an apostrophe before a cell that a spreadsheet would take for a formula, as
// OWASP advises, and before one that begins with apostrophes and goes on like that: so
// Unquote always gives back what was quoted.
func Quote(cell string) string {
	if isFormula(cell) {
		return "'" + cell
	}
	return cell
}

// Unquote takes off the apostrophe that Quote has put before a cell.
func Unquote(cell string) string {
	if rest, quoted := strings.CutPrefix(cell, "'"); quoted && isFormula(rest) {
		return rest
	}
	return cell
}

// isFormula says that a cell begins, behind any apostrophes, with what begins a formula:
// also in full width, which some spreadsheets take for the same, and behind white space.
func isFormula(cell string) bool {
	cell = strings.TrimLeft(cell, "'")
	if cell == "" {
		return false
	}
	if strings.ContainsAny(cell[:1], "\t\r\n") {
		return true
	}
	cell = strings.TrimLeft(cell, " \u00a0\u3000")
	for _, begin := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%"} {
		if strings.HasPrefix(cell, begin) {
			return true
		}
	}
	return false
}
