package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The bars of taking events.
const (
	minEventRate = 20_000
	maxBatchP99  = 150 * time.Millisecond
)

// StoreRun is what was seen of batches that came as fast as they were answered.
type StoreRun struct {
	Batches BatchResult `json:"batches"`
	// CPU is the gateway's meanwhile, SenderCPU that of the process which makes,
	// signs and sends the batches; zero: not measured.
	CPU       time.Duration `json:"cpu_ns,omitempty"`
	SenderCPU time.Duration `json:"sender_cpu_ns,omitempty"`
	// Fsyncs is how often the gateway flushed to disk.
	Fsyncs int64 `json:"fsyncs,omitempty"`
	// Begin and End are the gateway's memory before its first event and after the
	// last; zero: not measured.
	Begin Memory `json:"begin"`
	End   Memory `json:"end"`
	// DiskBytes is the size of the database when the gateway had stopped, with
	// DiskEvents in it.
	DiskBytes  int64 `json:"disk_bytes"`
	DiskEvents int64 `json:"disk_events"`
}

// BesideRun is what was seen of batches that came at a steady pace while
// registrations were accepted.
type BesideRun struct {
	Batches BatchResult `json:"batches"`
	Accept  Result      `json:"accept"`
	// Memory is the gateway's at the end; zero: not measured.
	Memory Memory `json:"memory"`
}

// EventRound is both, on one database, with a restart of the gateway between
// them.
type EventRound struct {
	Store  StoreRun  `json:"store"`
	Beside BesideRun `json:"beside"`
	// Restart is how long the gateway took from its start on the filled database
	// until it was ready.
	Restart time.Duration `json:"restart_ns"`
	// AnsweredStored and so on are what all answers of the round have counted, the
	// warm-ups' included; CountedStored and so on what the gateway says at the end
	// that it has.
	AnsweredStored   int64 `json:"answered_stored"`
	AnsweredRepeated int64 `json:"answered_repeated"`
	AnsweredAccepted int64 `json:"answered_accepted"`
	CountedStored    int64 `json:"counted_stored"`
	CountedRepeated  int64 `json:"counted_repeated"`
	CountedAccepted  int64 `json:"counted_accepted"`
	// Unsure is how many requests got no proper answer, the warm-ups' included:
	// whether they were stored is unknown.
	Unsure int64 `json:"unsure"`
}

// missing is how much was answered and is not counted; where every request was
// answered, also how much is counted and was not.
func (r EventRound) missing() int64 {
	var n int64
	for _, pair := range [][2]int64{
		{r.AnsweredStored, r.CountedStored}, {r.AnsweredRepeated, r.CountedRepeated}, {r.AnsweredAccepted, r.CountedAccepted},
	} {
		answered, counted := pair[0], pair[1]
		n += max(answered-counted, 0)
		if r.Unsure == 0 {
			n += max(counted-answered, 0)
		}
	}
	return n
}

func (r EventRound) errors() int64 { return r.Unsure + r.missing() }

// EventReport is the judgement over all rounds. NewEventReport fills it.
type EventReport struct {
	Rounds []EventRound `json:"rounds"`
	// EventBytes is the size of an event as it is sent.
	EventBytes int `json:"event_bytes"`

	// StoredRate is the median of the rounds' events stored a second; those that
	// were repeated are not counted.
	StoredRate Bar `json:"stored_rate"`
	// BesideP99 is the p99 of all batches of all rounds beside accepts, in
	// milliseconds.
	BesideP99 Bar `json:"beside_p99_ms"`
	// Errors counts requests without a proper answer, and what is missing.
	Errors Bar `json:"errors"`
}

// NewEventReport judges rounds, which it does not change.
func NewEventReport(rounds []EventRound) *EventReport {
	r := &EventReport{Rounds: slices.Clone(rounds), EventBytes: EventBytes}
	var rates []float64
	var beside Histogram
	var failed int64
	silent := len(rounds) == 0
	for i := range r.Rounds {
		round := &r.Rounds[i]
		rates = append(rates, round.Store.Batches.StoredRate())
		beside.Merge(round.Beside.Batches.Latency)
		silent = silent || round.Beside.Batches.Requests == 0
		failed += round.errors()
		round.Store.Batches.Latency, round.Beside.Batches.Latency, round.Beside.Accept.Latency = nil, nil, nil
	}
	r.StoredRate = atLeast(minEventRate, median(rates), len(rounds) > 0)
	r.BesideP99 = atMost(milliseconds(maxBatchP99), milliseconds(beside.Quantile(0.99)), !silent)
	r.Errors = atMost(0, float64(failed), len(rounds) > 0)
	return r
}

func (r *EventReport) bars() []judged {
	return []judged{
		{"events stored", r.StoredRate, "/s", 1, false},
		{"p99 of a batch beside accepts", r.BesideP99, " ms", 1, false},
		{"errors", r.Errors, "", 1, false},
	}
}

// Misses says in words each bar that was not reached; none means accepted.
func (r *EventReport) Misses() []string { return misses(r.bars()) }

const (
	storeLegend = "batches of %d as fast as they are answered: %d bytes an event, disk and CPU for each event (the gateway's + the sender's), memory at the begin / at the end / at most\n"
	storeHeader = "round  stored/s  repeated/s  batch p50 / p99 / max ms      CPU µs  fsyncs/s        resident MB  disk bytes  errors"
	storeLine   = "%5d  %8.0f  %10.0f  %24s  %10s  %8s  %17s  %10s  %6d"

	besideLegend = "beside accepts: memory at the end / at most, restart of the gateway before that\n"
	besideHeader = "round  events/s  batch p50 / p99 / max ms  accepts/s  accept p50 / p99 ms  resident MB  restart ms  errors"
	besideLine   = "%5d  %8.0f  %24s  %9.0f  %19s  %11s  %10.0f  %6d"
)

// WriteText prints the report for people: a line a round of each kind, then the
// bars.
func (r *EventReport) WriteText(w io.Writer) error {
	var b strings.Builder
	batch := 0
	for _, round := range r.Rounds {
		batch = round.Store.Batches.Events
	}
	fmt.Fprintf(&b, storeLegend+storeHeader+"\n", batch, r.EventBytes)
	for i, round := range r.Rounds {
		fmt.Fprintln(&b, round.Store.line(i+1))
	}
	fmt.Fprintln(&b, "\n"+besideLegend+besideHeader)
	for i, round := range r.Rounds {
		fmt.Fprintln(&b, round.besideLine(i+1))
	}
	fmt.Fprintln(&b)
	writeVerdicts(&b, r.bars(), r.remarks())
	_, err := io.WriteString(w, b.String())
	return err
}

func (s StoreRun) line(round int) string {
	cpu, fsyncs, disk := "-", "-", "-"
	if sent := s.Batches.Stored + s.Batches.Repeated; sent > 0 && s.CPU > 0 {
		cpu = fmt.Sprintf("%.1f + %.1f", microseconds(s.CPU)/float64(sent), microseconds(s.SenderCPU)/float64(sent))
	}
	if s.Fsyncs > 0 {
		fsyncs = fmt.Sprintf("%.0f", perSecond(s.Fsyncs, s.Batches.Elapsed))
	}
	if s.DiskEvents > 0 {
		disk = fmt.Sprintf("%.0f", float64(s.DiskBytes)/float64(s.DiskEvents))
	}
	memory := whole(s.Begin.Resident) + " / " + whole(s.End.Resident) + " / " + whole(s.End.Peak)
	return fmt.Sprintf(storeLine, round, s.Batches.StoredRate(), perSecond(s.Batches.Repeated, s.Batches.Elapsed),
		spread(s.Batches.Result), cpu, fsyncs, memory, disk, s.Batches.Errors)
}

func (r EventRound) besideLine(round int) string {
	s := r.Beside
	return fmt.Sprintf(besideLine, round, s.Batches.StoredRate(), spread(s.Batches.Result), s.Accept.Rate(), latencies(s.Accept),
		whole(s.Memory.Resident)+" / "+whole(s.Memory.Peak), milliseconds(r.Restart), s.Batches.Errors+s.Accept.Errors)
}

func spread(r Result) string {
	return fmt.Sprintf("%.1f / %.1f / %.1f", milliseconds(r.P50), milliseconds(r.P99), milliseconds(r.Max))
}

// whole is a size in whole megabytes.
func whole(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(bytes)/megabyte)
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// remarks are what the figures do not say: the first failures, and what is missing.
func (r *EventReport) remarks() []string {
	var all []string
	for i, round := range r.Rounds {
		for _, text := range slices.Concat(round.Store.Batches.Failures, round.Beside.Batches.Failures, round.Beside.Accept.Failures) {
			all = append(all, fmt.Sprintf("round %d: %s", i+1, text))
		}
		if round.missing() > 0 {
			all = append(all, fmt.Sprintf(
				"round %d: answered are %d events stored, %d repeated and %d registrations, counted %d, %d and %d",
				i+1, round.AnsweredStored, round.AnsweredRepeated, round.AnsweredAccepted,
				round.CountedStored, round.CountedRepeated, round.CountedAccepted))
		}
	}
	return all
}
