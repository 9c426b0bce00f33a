package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Status is what the watch knows. Nothing in it is a value of a registration.
type Status struct {
	Canaries []CanaryStatus `json:"canaries,omitempty"` // by form
	Samples  []SampleStatus `json:"samples,omitempty"`  // by destination
	Quiet    []QuietStatus  `json:"quiet,omitempty"`    // forms that have had no registration for unusually long
	Schemas  []SchemaStatus `json:"schemas,omitempty"`  // by destination
}

// CanaryState is how the last canary of a form came out.
type CanaryState string

// The states of a form's canaries.
const (
	CanaryPending CanaryState = "pending" // none has ended yet
	CanaryArrived CanaryState = "arrived"
	CanaryFailed  CanaryState = "failed"
	CanaryUnfit   CanaryState = "unfit" // the form can have none
)

// CanaryStatus is how the canaries of a form are doing.
type CanaryStatus struct {
	Form      string      `json:"form"`
	State     CanaryState `json:"state"`
	Proved    []Step      `json:"proved,omitempty"`      // by the last one that arrived
	ArrivedAt time.Time   `json:"arrived_at,omitzero"`   // when one had last arrived
	Failed    *Failure    `json:"failed,omitempty"`      // with CanaryFailed
	Reason    string      `json:"reason,omitempty"`      // with CanaryUnfit
	Sent      int64       `json:"sent"`                  // ever: they are among what was accepted
	Unremoved string      `json:"not_removed,omitempty"` // why their rows are still in Marketing Cloud
}

// SampleStatus is the last sample of a data extension.
type SampleStatus struct {
	Destination string `json:"destination"`
	Sample
}

// QuietStatus is a form that has had no registration for unusually long.
type QuietStatus struct {
	Form  string    `json:"form"`
	Last  time.Time `json:"last"`          // registration
	Since time.Time `json:"since"`         // when that became unusual
	Usual int64     `json:"usual_seconds"` // the longest time without one at this hour of the week
}

// SchemaState is whether the columns of a data extension still take what the forms send.
type SchemaState string

// The states of a data extension's columns.
const (
	SchemaFits      SchemaState = "ok"
	SchemaDrifted   SchemaState = "drifted"   // nothing is sent to it
	SchemaUnchecked SchemaState = "unchecked" // they can't be read
)

// SchemaStatus is how the columns of a data extension are.
type SchemaStatus struct {
	Destination string      `json:"destination"`
	State       SchemaState `json:"state"`
	At          time.Time   `json:"at,omitzero"`    // when they were read last
	Since       time.Time   `json:"since,omitzero"` // with SchemaDrifted: when that was found
	Reason      string      `json:"reason,omitempty"`
	Hint        string      `json:"hint,omitempty"`
}

// Status tells what is known, of what is configured.
func (w *Watch) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s Status
	for _, form := range w.cfg.canaryForms() {
		if c := w.state.Canaries[form.Name]; c != nil {
			s.Canaries = append(s.Canaries, c.status(form.Name))
		}
	}
	if w.cfg.Sample > 0 {
		for _, to := range w.cfg.dataExtensions() {
			if one := w.state.Samples[to.Name()]; one != nil {
				s.Samples = append(s.Samples, SampleStatus{to.Name(), *one})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.state.Rates)) {
		if r := w.state.Rates[name]; w.cfg.Usual && !r.Since.IsZero() && w.cfg.form(name) != nil {
			s.Quiet = append(s.Quiet, QuietStatus{name, r.Last, r.Since, int64(r.Usual / time.Second)})
		}
	}
	if w.cfg.Schema > 0 {
		for _, to := range w.cfg.dataExtensions() {
			if one := w.state.Schemas[w.cfg.schemaName(to)]; one != nil && (one.Unread != "" || !one.At.IsZero()) {
				s.Schemas = append(s.Schemas, one.status(to.Name()))
			}
		}
	}
	return s
}

func (s *schema) status(destination string) SchemaStatus {
	status := SchemaStatus{Destination: destination, State: SchemaFits, At: s.At, Since: s.Since}
	switch {
	case len(s.Drifts) > 0:
		status.State, status.Reason, status.Hint = SchemaDrifted, s.explain(), driftHint
	case s.Unread != "":
		status.State, status.Reason = SchemaUnchecked, s.Unread
	}
	return status
}

func (c *canary) status(form string) CanaryStatus {
	s := CanaryStatus{
		Form: form, State: CanaryPending, Proved: slices.Clone(c.Proved), ArrivedAt: c.ArrivedAt, Failed: c.Failed, Reason: c.Unfit, Sent: c.Sent, Unremoved: c.Unremoved,
	}
	switch {
	case c.Unfit != "":
		s.State = CanaryUnfit
	case c.Failed != nil:
		s.State = CanaryFailed
	case !c.ArrivedAt.IsZero():
		s.State = CanaryArrived
	}
	return s
}

// Rows are the lines of a table with name, state and text.
func (s *Status) Rows() [][]string {
	var rows [][]string
	for _, c := range s.Canaries {
		text := c.Explain() + "; " + c.Last()
		if c.Unremoved != "" {
			text += "; its rows could not be removed: " + c.Unremoved
		}
		rows = append(rows, []string{"canary " + c.Form, string(c.State), text})
	}
	for _, one := range s.Samples {
		rows = append(rows, []string{"sample " + one.Destination, one.State(), "at " + stamp(one.At) + " " + one.Explain()})
	}
	for _, one := range s.Schemas {
		text := one.Reason
		if one.Hint != "" {
			text += "; " + one.Hint
		}
		rows = append(rows, []string{"columns " + one.Destination, string(one.State), text})
	}
	for _, q := range s.Quiet {
		rows = append(rows, []string{"form " + q.Form, "quiet", q.Explain()})
	}
	return rows
}

// Explain tells it in one line, without the time of a failure.
func (s *CanaryStatus) Explain() string {
	switch {
	case s.State == CanaryUnfit:
		return s.Reason
	case s.State == CanaryFailed:
		return "step " + string(s.Failed.Step) + ": " + s.Failed.Detail
	case s.State == CanaryPending:
		return "none has ended yet"
	}
	proved := make([]string, len(s.Proved))
	for i, step := range s.Proved {
		proved[i] = string(step)
	}
	return "proved: " + strings.Join(proved, ", ")
}

// Last says when a canary had last arrived.
func (s *CanaryStatus) Last() string {
	if s.ArrivedAt.IsZero() {
		return "none has arrived yet"
	}
	return "the last one arrived at " + stamp(s.ArrivedAt)
}

// State is ok, differs, or unchecked when rows can't be read.
func (s *SampleStatus) State() string {
	switch {
	case s.Reason != "":
		return "unchecked"
	case s.Missing+s.Different > 0:
		return "differs"
	}
	return "ok"
}

// Explain tells it in one line.
func (s *SampleStatus) Explain() string {
	switch {
	case s.Reason != "":
		return s.Reason
	case s.State() == "ok":
		return fmt.Sprintf("%d rows read back, all as they were sent", s.Rows)
	}
	text := fmt.Sprintf("of %d rows read back, %d are missing and %d differ", s.Rows, s.Missing, s.Different)
	if len(s.Columns) > 0 {
		text += ": " + strings.Join(s.Columns, "; ")
	}
	return text
}

// Explain tells it in one line.
func (s *QuietStatus) Explain() string {
	usual := time.Duration(s.Usual) * time.Second
	return fmt.Sprintf("no registration since %s; usually at most %s at this time of the week", stamp(s.Last), span(usual))
}

// stamp is a time as operators read it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// span is a duration as operators read it, in minutes or hours.
func span(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%.3g h", d.Hours())
}
