package figures

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"onramp/internal/bench"
)

const notice = "<!-- Made by make figures out of docs/figures.json; a test fails after an edit by hand. -->\n\n"

// page is docs/figures.md: what the benchmarks print.
func (f *Figures) page() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(notice + "# Figures\n\n" + f.machine())
	accepted := func(w io.Writer) error {
		for i := range f.Accept {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if err := f.Accept[i].WriteText(w); err != nil {
				return err
			}
		}
		return nil
	}
	for _, section := range []struct {
		title, command string
		write          func(io.Writer) error
	}{
		{"Footprint", "make footprint", f.Footprint.WriteText},
		{"Accepting registrations", "onramp bench accept", accepted},
		{"Delivering", "onramp bench deliver", f.Deliver.WriteText},
		{"Receiving events", "onramp bench events", f.Events.WriteText},
		{"Issuing tokens", "onramp bench token", f.Token.WriteText},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n`%s`:\n\n```text\n", section.title, section.command)
		if err := section.write(&b); err != nil {
			return nil, err
		}
		b.WriteString("```\n")
	}
	return b.Bytes(), nil
}

// machine says what was measured, when and where.
func (f *Figures) machine() string {
	m := f.Machine
	changed := ""
	if f.Changed {
		changed = ", with changes"
	}
	text := fmt.Sprintf("Measured on %s, commit %.12s%s: %s, %d cores, %s GB of memory, %s %s, %s, %s.\n", f.Date, f.Commit, changed,
		cmp.Or(m.Processor, "unknown processor"), m.Cores, strconv.FormatFloat(float64(m.Memory)/1e9, 'f', 1, 64), m.OS, m.Kernel, cmp.Or(m.FileSystem, "unknown file system"), m.Go)
	if f.Short {
		text += "\n**A short run: it shows that the figures can be made, and says nothing of the speed.**\n"
	}
	return text
}

// crashPage is docs/crash-matrix.md.
func (f *Figures) crashPage() []byte {
	var b bytes.Buffer
	b.WriteString(notice + "# Crash matrix\n\n" + f.machine() + `
What became of each registration and event that was answered, when the real program met these faults. See
[Crash tests](reliability.md#crash-tests) for what the columns mean.

| fault | rounds | accepted | delivered once | delivered more than once | dead | lost | stranded | old over new |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
`)
	for _, r := range f.Crash {
		old := "–"
		if r.People > 0 {
			old = thousands(r.Old)
		}
		switch {
		case r.Skipped:
			fmt.Fprintf(&b, "| %s | not run on this machine | | | | | | | |\n", r.Fault)
		case r.Failed:
			fmt.Fprintf(&b, "| %s, **FAILED** | %d | %s | %s | %s | %s | %s | %s | %s |\n", r.Fault, r.Rounds, thousands(r.Accepted), thousands(r.Once),
				thousands(r.More), thousands(r.Dead), thousands(r.Lost), thousands(r.Stranded), old)
		default:
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Fault, thousands(r.Rounds), thousands(r.Accepted), thousands(r.Once),
				thousands(r.More), thousands(r.Dead), thousands(r.Lost), thousands(r.Stranded), old)
		}
	}
	return b.Bytes()
}

// blocks are what other pages quote, by name.
func (f *Figures) blocks() map[string]string {
	return map[string]string{
		"machine": f.machine(), "footprint": f.footprintBlock(), "accept": f.acceptBlock(), "saturation": f.saturationBlock(), "quiet": f.quietBlock(),
		"token": f.tokenBlock(), "events": f.eventsBlock(),
	}
}

func (f *Figures) footprintBlock() string {
	return table([]string{"stripped binary", "resident memory when idle", "start to ready"},
		[]string{megabytes(f.Footprint.Binary.Value), megabytes(f.Footprint.Idle.Value), fmt.Sprintf("%.0f ms", f.Footprint.Ready.Value)})
}

func (f *Figures) acceptBlock() string {
	var rows [][]string
	for _, r := range f.Accept {
		keys := "without idempotency keys"
		if r.IdempotencyKeys {
			keys = "a fresh `Idempotency-Key` on every request"
		}
		rows = append(rows, []string{
			keys, rate(r.BareRate), rate(r.OnrampRate), ratio(r.MedianRatio.Value), fmt.Sprintf("%.1f", r.P99Ratio.Value),
			ratio(r.FsyncsPerRequest), megabytes(r.Resident.Value), fmt.Sprintf("%.0f ms", r.StartToReady.Value),
		})
	}
	return table([]string{"", "bare handler", "Onramp", "ratio", "p99, as a multiple", "fsyncs per request", "resident memory", "start to ready"}, rows...)
}

func (f *Figures) saturationBlock() string {
	var rows [][]string
	for _, c := range f.Deliver.Cases {
		s := c.Saturation
		rows = append(rows, []string{
			fmt.Sprint(c.Destination), perSecond(s.Accepted, s.Window), perSecond(s.Delivered, s.Window), fmt.Sprintf("%.4f", s.CallsEach), megabytes(float64(s.ResidentBytes)),
		})
	}
	return table([]string{"destination", "accepted", "delivered", "calls per registration", "resident memory"}, rows...)
}

func (f *Figures) quietBlock() string {
	var rows [][]string
	for _, c := range f.Deliver.Cases {
		rows = append(rows, []string{fmt.Sprint(c.Destination), milliseconds(c.Quiet.P50), milliseconds(c.Quiet.P99), milliseconds(c.Quiet.BeyondP50), milliseconds(c.Quiet.BeyondP99)})
	}
	return table([]string{"destination", "p50", "p99", "p50 beyond the calls", "p99 beyond the calls"}, rows...)
}

func (f *Figures) tokenBlock() string {
	r := f.Token
	return table([]string{"bare handler", "Onramp", "ratio", "p99, as a multiple", "resident memory"},
		[]string{rate(r.BareRate), rate(r.OnrampRate), ratio(r.MedianRatio.Value), ratio(r.P99Ratio.Value), megabytes(float64(r.End.Resident))})
}

func (f *Figures) eventsBlock() string {
	var rows [][]string
	for i, r := range f.Events.Rounds {
		for _, part := range []struct {
			name    string
			batches bench.BatchResult
			memory  bench.Memory
		}{{"as fast as they are answered", r.Store.Batches, r.Store.End}, {"alongside " + rate(r.Beside.Accept.Rate()) + " accepts", r.Beside.Batches, r.Beside.Memory}} {
			rows = append(rows, []string{
				fmt.Sprintf("round %d, %s", i+1, part.name), rate(part.batches.StoredRate()),
				milliseconds(part.batches.P50), milliseconds(part.batches.P99), megabytes(float64(part.memory.Peak)),
			})
		}
	}
	return table([]string{"", "events on disk", "a batch, p50", "a batch, p99", "resident memory"}, rows...)
}

// table makes one in Markdown: a first column of text and numbers behind it.
func table(heading []string, rows ...[]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(heading)
	b.WriteString("|---" + strings.Repeat("|--:", len(heading)-1) + "|\n")
	for _, row := range rows {
		line(row)
	}
	return b.String()
}

func rate(v float64) string { return thousands(int(math.Round(v))) + "/s" }

func perSecond(n int64, d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return rate(float64(n) / d.Seconds())
}

func ratio(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

func megabytes(bytes float64) string { return fmt.Sprintf("%.0f MB", bytes/1e6) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

// thousands writes 12345 as 12,345.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
