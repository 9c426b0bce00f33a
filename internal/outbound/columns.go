package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"onramp/internal/onramp"
)

// Forms finds a form by its name, as it is configured now; nil: there is none.
type Forms func(name string) *onramp.Form

// Send makes the columns of the deliveries by their forms, in place of what is stored of
// them, and the call, and more calls when that is what it takes to tell a bad delivery
// from its neighbours. A delivery whose form is gone is withheld.
func (s *Sender) Send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	outcomes := make([]onramp.Outcome, len(c.Deliveries))
	var withheld []int
	for i := range c.Deliveries {
		var ready bool
		outcomes[i], ready = s.columns(c.Destination, &c.Deliveries[i])
		if !ready && c.RequestID == "" { // of what was submitted the result is asked for
			withheld = append(withheld, i)
		}
	}
	switch {
	case len(withheld) == len(c.Deliveries):
		return outcomes
	case withheld == nil: // nearly always
		return s.sendReady(ctx, c)
	}
	return s.sendOthers(ctx, c, withheld, outcomes)
}

// sendOthers sends all but those that are withheld, and writes their outcomes over those
// in their places.
func (s *Sender) sendOthers(ctx context.Context, c onramp.Call, withheld []int, outcomes []onramp.Outcome) []onramp.Outcome {
	var others []onramp.Delivery
	var places []int
	for i := range c.Deliveries {
		if len(withheld) > 0 && withheld[0] == i {
			withheld = withheld[1:]
			continue
		}
		others, places = append(others, c.Deliveries[i]), append(places, i)
	}
	c.Deliveries = others
	for i, o := range s.sendReady(ctx, c) {
		outcomes[places[i]] = o
	}
	return outcomes
}

func (s *Sender) sendReady(ctx context.Context, c onramp.Call) []onramp.Outcome {
	s.readback.sending(&c)
	outcomes := s.send(ctx, c)
	s.readback.offer(c, outcomes)
	s.renewal.after(ctx, outcomes)
	withoutEchoes(c, outcomes)
	return outcomes
}

// columns makes what is sent of a delivery in place of what is stored. What an event
// brought is made already, but for the row's key. If it can't be sent, unsent says why.
func (s *Sender) columns(to onramp.Destination, d *onramp.Delivery) (unsent onramp.Outcome, ready bool) {
	if s.forms == nil {
		return takeKeys(to, d, inValues(d))
	}
	form := s.forms(d.Form)
	switch {
	case d.Event != nil:
		return rowOfEvent(to, d, form)
	case d.Confirmation != nil:
		return s.confirmation(to, d, form)
	case form == nil:
		columns, ok := onramp.ColumnsAsStored(d.Values) // by an older version, which could send it without its form
		if !ok {
			return withhold(fmt.Sprintf("the form %q is no longer in the configuration", d.Form)), false
		}
		d.Values = columns
		return takeKeys(to, d, inValues(d))
	}
	columns, gone, err := form.Columns(&onramp.Registration{ID: d.RegistrationID, Form: d.Form, ReceivedAt: d.ReceivedAt, Values: d.Values})
	if err != nil {
		return withhold("the stored values can't be read"), false
	}
	d.Values = columns
	s.gone.note(d.Form, gone)
	return takeKeys(to, d, form.Fills)
}

// confirmation makes what asks a person to confirm their registration. A journey takes the
// address among its data, a message beside them.
func (s *Sender) confirmation(to onramp.Destination, d *onramp.Delivery, form *onramp.Form) (unsent onramp.Outcome, ready bool) {
	if form == nil || s.confirm == nil {
		return withhold(fmt.Sprintf("the form %q is no longer in the configuration", d.Form)), false
	}
	data, address, ok := s.confirm(form, d)
	if !ok {
		return withhold(fmt.Sprintf("the form %q has no double opt-in any more", d.Form)), false
	}
	d.Values, d.Address = data, address
	if to.Kind != onramp.Journey {
		return unsent, true
	}
	for _, column := range to.KeyColumns {
		if strings.EqualFold(column, to.ToColumn) {
			quoted, _ := json.Marshal(address) // a text can always be written
			d.Keys = map[string]json.RawMessage{column: quoted}
			return unsent, true
		}
	}
	to.KeyColumns = []string{to.ToColumn}
	d.Values = withKeys(to, d, address)
	return unsent, true
}

// rowOfEvent finds the key of the row that an event changes among what its registration
// holds.
func rowOfEvent(to onramp.Destination, d *onramp.Delivery, form *onramp.Form) (unsent onramp.Outcome, ready bool) {
	if d.Of != nil && form == nil && len(to.KeyColumns) > 1 {
		return withhold(fmt.Sprintf("the form %q is no longer in the configuration", d.Form)), false
	}
	if d.Of == nil || form == nil || !slices.ContainsFunc(to.KeyColumns, form.Fills) {
		return unsent, true
	}
	columns, _, err := form.Columns(d.Of)
	if err != nil {
		return withhold("the stored values can't be read"), false
	}
	row := onramp.Delivery{Values: columns}
	unsent, ready = takeKeys(to, &row, form.Fills)
	d.Keys = row.Keys
	return unsent, ready
}

// inValues says of columns whether a delivery has them, where no form tells.
func inValues(d *onramp.Delivery) func(column string) bool {
	return func(column string) bool {
		taken, _ := onramp.TakeColumns(d.Values, []string{column})
		return len(taken) > 0
	}
}

func withhold(why string) onramp.Outcome {
	return onramp.Outcome{Verdict: onramp.Withheld, Detail: why, Hint: "add it again and reload the configuration, or discard the delivery"}
}

// goneFields are the fields that a form no longer has, and for how many deliveries
// they were left out.
type goneFields struct {
	mu    sync.Mutex
	count map[[2]string]int64 // by form and field
}

// LeftOut says, for people, which fields deliveries were sent without, since their forms
// no longer have them. It begins anew with ReadBack.
func (s *Sender) LeftOut() []string {
	s.gone.mu.Lock()
	defer s.gone.mu.Unlock()
	var lines []string
	for at, n := range s.gone.count {
		lines = append(lines, fmt.Sprintf("form %s: what was submitted as %s was left out of %d deliveries, since the form no longer has this field", at[0], at[1], n))
	}
	slices.Sort(lines)
	return lines
}

func (g *goneFields) note(form string, fields []string) {
	if len(fields) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count == nil {
		g.count = map[[2]string]int64{}
	}
	for _, field := range fields {
		g.count[[2]string{form, field}]++
	}
}

func (g *goneFields) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.count)
}
