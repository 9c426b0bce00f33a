package check

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Text writes the report for people: a line for each finding, and under it what to do.
// With marks a line begins with ✓, ! or ✗, otherwise with a word. clean makes what
// came from elsewhere fit for a terminal.
func (r *Report) Text(to io.Writer, marks bool, clean func(string) string) error {
	w := bufio.NewWriter(to)
	for _, f := range r.Checks {
		about := f.Name
		if f.Object != "" {
			about += " " + f.Object
		}
		fmt.Fprintf(w, "%s %s: %s\n", f.Level.mark(marks), clean(about), clean(f.Message))
		if f.Mend != "" {
			fmt.Fprintf(w, "    %s: %s\n", f.Who, clean(f.Mend))
		}
		if f.Menu != "" {
			fmt.Fprintf(w, "    %s\n", clean(f.Menu))
		}
	}
	fmt.Fprintf(w, "\n%s\n", r.summary())
	return w.Flush()
}

// mark is what a line begins with.
func (l Level) mark(marks bool) string {
	if marks {
		return map[Level]string{OK: "✓", Warning: "!", Failure: "✗"}[l]
	}
	return string(l)
}

// summary counts what is wrong, and names what could not be checked.
func (r *Report) summary() string {
	count := map[Level]int{}
	for _, f := range r.Checks {
		count[f.Level]++
	}
	text := fmt.Sprintf("%s, %s.", several(count[Failure], "failure"), several(count[Warning], "warning"))
	if r.Level == OK {
		text = "Everything that was checked is as it should be."
	}
	if len(r.Skipped) > 0 {
		text += " Not checked because of the failures above: " + strings.Join(r.Skipped, ", ") + "."
	}
	return text
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
