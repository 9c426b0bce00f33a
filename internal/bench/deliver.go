package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The bars of delivering. Throughput and calls are judged with calls that take
// judgedCall; what Marketing Cloud does in 300 ms says more about Marketing Cloud.
const (
	judgedCall    = 50 * time.Millisecond
	slowCall      = 300 * time.Millisecond // asynchronous calls are judged at this, too
	minDelivered  = 0.95
	maxCalls      = 0.03
	maxCallsAsync = 0.002
	maxBacklog    = 96 * megabyte
	maxBeyondP50  = 15 * time.Millisecond
	maxBeyondP99  = 60 * time.Millisecond
)

// asyncMode is the mode of a data extension whose rows are delivered when a
// job's result says so: how long the job takes is not Onramp's affair.
const asyncMode = "async"

// Destination is what registrations were delivered to.
type Destination struct {
	// Mode of the data extension: sync, async or auto.
	Mode string `json:"mode"`
	// Steps are the steps of the route: 1 for the data extension alone, 2 with
	// the journey after it.
	Steps int `json:"steps"`
	// Call is how long the destination takes to answer.
	Call time.Duration `json:"call_ns"`
}

// String says it in a few words: sync, 50 ms a call.
func (d Destination) String() string {
	text := fmt.Sprintf("%s, %v a call", d.Mode, d.Call)
	if d.Steps > 1 {
		text += ", with journey"
	}
	return text
}

// Quiet is what was seen at a rate that leaves the gateway mostly idle. Its latencies run
// from the moment a registration was due to be sent to the answer that it is
// delivered.
type Quiet struct {
	Rate float64 `json:"rate"` // registrations begun a second
	Result
	// BeyondP50 and BeyondP99 are the latencies without the destination's own
	// time: one call for each step of the route. NewDeliverReport fills them.
	BeyondP50 time.Duration `json:"beyond_p50_ns"`
	BeyondP99 time.Duration `json:"beyond_p99_ns"`
}

// Saturation is what was seen while every connection sent as fast as it could.
type Saturation struct {
	// Accept is what the clients saw, the warm-up included.
	Accept Result `json:"accept"`
	// Window is the part after the warm-up and before the end of the load.
	// Accepted and Delivered happened in it, as the gateway counts.
	Window    time.Duration `json:"window_ns"`
	Accepted  int64         `json:"accepted"`
	Delivered int64         `json:"delivered"`
	// Oldest is the age, at the end of the window, of the registration that had
	// waited longest.
	Oldest time.Duration `json:"oldest_ns"`
	// Drained is how long after the end of the load all were settled, or, if Left
	// is not 0, how long that was waited for.
	Drained time.Duration `json:"drained_ns"`

	// From the first registration of the load until Drained, warm-up included.
	TotalAccepted  int64 `json:"total_accepted"`
	TotalDelivered int64 `json:"total_delivered"`
	Failed         int64 `json:"failed"` // dead letters
	Left           int64 `json:"left"`   // neither delivered nor failed
	// Calls to the destination by route, in the same time, and how many of them
	// it refused.
	Calls   map[string]int64 `json:"calls"`
	Refused int64            `json:"refused"`
	// Rows is how many rows more the destination holds than before the load.
	Rows int64 `json:"rows"`
	// ResidentBytes is the most memory that the gateway held; 0: not measured.
	ResidentBytes int64 `json:"resident_bytes,omitempty"`
	// CPU is the gateway's, in the window; 0: not measured.
	CPU time.Duration `json:"cpu_ns,omitempty"`

	// NewDeliverReport fills these: registrations a second in the window, the one
	// rate as a share of the other, and calls for each registration delivered.
	AcceptedRate  float64 `json:"accepted_rate"`
	DeliveredRate float64 `json:"delivered_rate"`
	Ratio         float64 `json:"ratio"`
	CallsEach     float64 `json:"calls_each"`
}

// derive fills what follows from the counts. What is unknown stays 0.
func (s *Saturation) derive() {
	s.AcceptedRate, s.DeliveredRate = perSecond(s.Accepted, s.Window), perSecond(s.Delivered, s.Window)
	if s.Accepted > 0 {
		s.Ratio = float64(s.Delivered) / float64(s.Accepted)
	}
	var calls int64
	for _, n := range s.Calls {
		calls += n
	}
	if s.TotalDelivered > 0 {
		s.CallsEach = float64(calls) / float64(s.TotalDelivered)
	}
}

// errors counts what must not happen: an answer that is none, a dead letter, a
// registration that was answered and is not counted, or one that is counted as
// delivered and whose row the destination does not have.
func (s Saturation) errors() int64 {
	return s.Accept.Errors + s.Failed + max(s.Accept.Requests-s.TotalAccepted, 0) + max(s.TotalDelivered-s.Rows, 0)
}

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// DeliverCase is what was measured with one Destination.
type DeliverCase struct {
	Destination
	Quiet      Quiet      `json:"quiet"`
	Saturation Saturation `json:"saturation"`
}

// Backlog is what was seen of registrations that could not be delivered because
// the destination had blocked its caller.
type Backlog struct {
	Destination
	Accept  Result `json:"accept"`
	Waiting int64  `json:"waiting"` // when Accept had ended
	// Memory is the gateway's with all of them waiting; its Peak is the most
	// until then. Zero: not measured.
	Memory Memory `json:"memory"`

	// Restart is how long the gateway took from its start, on the same database,
	// until it was ready.
	Restart time.Duration `json:"restart_ns"`
	// Found is how many of the waiting it knew of then.
	Found int64 `json:"found"`
	// MemoryAfter is the new process's, when it had tried the destination again.
	MemoryAfter Memory `json:"memory_after"`

	// Resumed is how long after the destination had recovered the first
	// registration was delivered.
	Resumed time.Duration `json:"resumed_ns"`
	// Delivered happened in the time Draining after that. NewDeliverReport fills
	// DeliveredRate, a second.
	Delivered     int64         `json:"delivered"`
	Draining      time.Duration `json:"draining_ns"`
	DeliveredRate float64       `json:"delivered_rate"`
	Failed        int64         `json:"failed"` // dead letters
}

// errors counts what must not happen: an answer that is none, a dead letter, a
// registration that is lost, and a gateway that never delivers again.
func (b Backlog) errors() int64 {
	n := b.Accept.Errors + b.Failed + max(b.Accept.Requests-b.Waiting, 0) + max(b.Waiting-b.Found, 0)
	if b.Found > 0 && b.Delivered == 0 {
		n++
	}
	return n
}

// NamedBar is a Bar with what it is about.
type NamedBar struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"` // of value and limit
	Bar
}

// DeliverReport is the judgement over all cases. NewDeliverReport fills it.
type DeliverReport struct {
	Cases    []DeliverCase `json:"cases"`
	Backlogs []Backlog     `json:"backlogs,omitempty"`
	Bars     []NamedBar    `json:"bars"`
}

// NewDeliverReport judges what was measured, which it does not change.
func NewDeliverReport(cases []DeliverCase, backlogs []Backlog) *DeliverReport {
	r := &DeliverReport{Cases: slices.Clone(cases), Backlogs: slices.Clone(backlogs)}
	for i := range r.Cases {
		c := &r.Cases[i]
		if calls := time.Duration(c.Steps) * c.Call; c.Quiet.Requests > 0 {
			c.Quiet.BeyondP50, c.Quiet.BeyondP99 = c.Quiet.P50-calls, c.Quiet.P99-calls
		}
		c.Saturation.derive()
		c.Quiet.Latency, c.Saturation.Accept.Latency = nil, nil
	}
	for i := range r.Backlogs {
		b := &r.Backlogs[i]
		b.DeliveredRate = perSecond(b.Delivered, b.Draining)
		b.Accept.Latency = nil
	}
	for _, j := range r.judge() {
		r.Bars = append(r.Bars, NamedBar{j.name, strings.TrimSpace(j.unit), j.Bar})
	}
	return r
}

// judge holds everything against its bar, in the units that are printed.
func (r *DeliverReport) judge() []judged {
	var all []judged
	var failed int64
	for _, c := range r.Cases {
		all = append(all, c.judge()...)
		failed += c.Quiet.Errors + c.Saturation.errors()
	}
	for _, b := range r.Backlogs {
		peak := max(b.Memory.Peak, b.MemoryAfter.Peak)
		all = append(all, judged{
			fmt.Sprintf("%v: resident memory with %d waiting", b.Destination, b.Waiting),
			atMost(maxBacklog/megabyte, float64(peak)/megabyte, peak > 0), " MB", 1, true,
		})
		failed += b.errors()
	}
	measured := len(r.Cases)+len(r.Backlogs) > 0
	return append(all, judged{"errors", atMost(0, float64(failed), measured), "", 1, false})
}

func (c DeliverCase) judge() []judged {
	var all []judged
	add := func(name string, b Bar, unit string) {
		all = append(all, judged{fmt.Sprintf("%v: %s", c.Destination, name), b, unit, 1, false})
	}
	s := c.Saturation
	if c.Call == judgedCall {
		add("delivered/accepted", atLeast(minDelivered, s.Ratio, s.Accepted > 0), "")
	}
	if limit, judged := c.maxCalls(); judged {
		add("calls per registration", atMost(limit, s.CallsEach, s.TotalDelivered > 0), "")
	}
	if c.Mode != asyncMode {
		measured := c.Quiet.Requests > 0
		add("quiet p50 beyond the calls", atMost(milliseconds(maxBeyondP50), milliseconds(c.Quiet.BeyondP50), measured), " ms")
		add("quiet p99 beyond the calls", atMost(milliseconds(maxBeyondP99), milliseconds(c.Quiet.BeyondP99), measured), " ms")
	}
	return all
}

// maxCalls is the bar for calls per registration, and whether there is one. A
// journey has none: its calls are not batched as rows are.
func (c DeliverCase) maxCalls() (limit float64, judged bool) {
	switch {
	case c.Steps > 1:
		return 0, false
	case c.Mode == asyncMode:
		return maxCallsAsync, c.Call == judgedCall || c.Call == slowCall
	}
	return maxCalls, c.Call == judgedCall
}

// Misses says in words each bar that was not reached; none means accepted.
// Memory that was not measured is no miss.
func (r *DeliverReport) Misses() []string { return misses(r.judge()) }

const (
	saturationHeader = "destination                     accepted/s  delivered/s  ratio  calls each  oldest s  drained s  resident MB  errors"
	saturationLine   = "%-30v  %10.0f  %11.0f  %5.3f  %10.4f  %8.2f  %9s  %11s  %6d"
	quietHeader      = "destination                     rate/s  p50 / p99 / max ms  beyond the calls ms  errors"
	quietLine        = "%-30v  %6.4g  %18s  %19s  %6d"
)

// WriteText prints the report for people: a line a case, then the bars.
func (r *DeliverReport) WriteText(w io.Writer) error {
	var b strings.Builder
	if len(r.Cases) > 0 {
		fmt.Fprintf(&b, "saturation\n%s\n", saturationHeader)
		for _, c := range r.Cases {
			fmt.Fprintln(&b, c.saturationLine())
		}
		fmt.Fprintf(&b, "\nquiet\n%s\n", quietHeader)
		for _, c := range r.Cases {
			q := c.Quiet
			fmt.Fprintf(&b, quietLine+"\n", c.Destination, q.Rate,
				fmt.Sprintf("%.1f / %.1f / %.1f", milliseconds(q.P50), milliseconds(q.P99), milliseconds(q.Max)),
				fmt.Sprintf("%.1f / %.1f", milliseconds(q.BeyondP50), milliseconds(q.BeyondP99)), q.Errors)
		}
		fmt.Fprintln(&b)
	}
	for _, backlog := range r.Backlogs {
		backlog.writeText(&b)
	}
	writeVerdicts(&b, r.judge(), r.remarks())
	_, err := io.WriteString(w, b.String())
	return err
}

func (c DeliverCase) saturationLine() string {
	s := c.Saturation
	drained := fmt.Sprintf("%.1f", s.Drained.Seconds())
	if s.Left > 0 {
		drained = "-"
	}
	return fmt.Sprintf(saturationLine, c.Destination, s.AcceptedRate, s.DeliveredRate, s.Ratio, s.CallsEach,
		s.Oldest.Seconds(), drained, megabytes(s.ResidentBytes), s.errors())
}

func (b Backlog) writeText(w io.Writer) {
	fmt.Fprintf(w, "backlog, %v\n", b.Destination)
	fmt.Fprintf(w, "accepted        %d, %.0f/s\n", b.Accept.Requests, b.Accept.Rate())
	fmt.Fprintf(w, "waiting         %d, resident %s MB, at most %s MB\n", b.Waiting, megabytes(b.Memory.Resident), megabytes(b.Memory.Peak))
	fmt.Fprintf(w, "after restart   ready in %.0f ms, resident %s MB, at most %s MB\n",
		milliseconds(b.Restart), megabytes(b.MemoryAfter.Resident), megabytes(b.MemoryAfter.Peak))
	if b.Delivered > 0 {
		fmt.Fprintf(w, "draining        began after %.1f s, %.0f delivered/s for %.1f s\n",
			b.Resumed.Seconds(), b.DeliveredRate, b.Draining.Seconds())
	} else {
		fmt.Fprintf(w, "draining        nothing in %.1f s\n", b.Resumed.Seconds())
	}
	fmt.Fprintln(w)
}

// remarks are what the figures do not say: the first failures, and what was left.
func (r *DeliverReport) remarks() []string {
	var all []string
	remark := func(d Destination, format string, args ...any) {
		all = append(all, fmt.Sprintf("%v: "+format, append([]any{d}, args...)...))
	}
	for _, c := range r.Cases {
		s := c.Saturation
		for _, text := range slices.Concat(c.Quiet.Failures, s.Accept.Failures) {
			remark(c.Destination, "%s", text)
		}
		if s.Left > 0 {
			remark(c.Destination, "%d were still to be delivered %.0f s after the load", s.Left, s.Drained.Seconds())
		}
		if s.Failed > 0 {
			remark(c.Destination, "%d became dead letters", s.Failed)
		}
		if missing := s.TotalDelivered - s.Rows; missing > 0 {
			remark(c.Destination, "%d count as delivered and have no row", missing)
		}
		if s.Refused > 0 {
			remark(c.Destination, "%d calls were refused", s.Refused)
		}
	}
	for _, b := range r.Backlogs {
		for _, text := range b.Accept.Failures {
			remark(b.Destination, "%s", text)
		}
		if b.Found < b.Waiting {
			remark(b.Destination, "%d were gone after the restart", b.Waiting-b.Found)
		}
	}
	return all
}

func megabytes(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(bytes)/megabyte)
}
