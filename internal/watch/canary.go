package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// Step is a part of a canary's way.
type Step string

// The steps of a canary's way, in their order.
const (
	StepAccept Step = "accept" // the public address takes it
	StepRow    Step = "row"    // its row is in the data extension, as it was sent
	StepEvent  Step = "event"  // an event about it comes back
)

// canary is what is known of the canaries of a form. It is kept over a restart.
type canary struct {
	UnderWay  *flight   // nil: none is
	BegunAt   time.Time // the last one
	ArrivedAt time.Time // when one had last arrived
	Proved    []Step    // by the last one that arrived
	Failed    *Failure  // what the last one failed by; nil: it arrived, or there was none
	Sent      int64     // ever
	Recent    []string  // ids of the newest ones
	Left      []string  // ids of those whose rows may still be there
	Unremoved string    // why; "": they were removed
	Unfit     string    // why the form can have no canary
}

// flight is a canary that is under way.
type flight struct {
	Mark    string
	ID      string // of its registration; "": it may not be accepted yet
	BegunAt time.Time
}

// Failure is why a canary did not arrive.
type Failure struct {
	Step   Step      `json:"step"`
	Since  time.Time `json:"since"` // when the first one was submitted that did not arrive
	Detail string    `json:"detail"`
	Hint   string    `json:"hint,omitempty"`
}

const (
	mostRecent  = 50
	mostLeft    = 20
	firstLook   = 100 * time.Millisecond
	longestLook = 30 * time.Second
	goneWithin  = 5 * time.Second  // after its removal
	idle        = 10 * time.Second // until it is looked again whether a canary may go
)

// canaryForms are the forms that have canaries.
func (c *Config) canaryForms() []*onramp.Form {
	if c.Canary.Every <= 0 {
		return nil
	}
	if c.Canary.Form == "" {
		return c.Forms
	}
	if f := c.form(c.Canary.Form); f != nil {
		return []*onramp.Form{f}
	}
	return nil
}

// trip is one canary of a form with all that it needs.
type trip struct {
	w        *Watch
	cfg      Config
	form     *onramp.Form
	flight   flight
	deadline time.Time
}

// errPaused ends the wait for a canary that an operator's pause holds up: it says nothing.
var errPaused = errors.New("a destination is paused")

// runCanary submits a canary to a form now and then, until ctx ends. After one that did not
// arrive the next one comes sooner, so that it is seen when the mend works.
func (w *Watch) runCanary(ctx context.Context, cfg Config, form *onramp.Form) {
	_, err := fill(form, cfg.Canary.address(markPrefix), newMark(nil))
	if form.DoubleOptIn != nil {
		err = errors.New("its registrations wait until somebody confirms them")
	}
	w.change(ctx, func(s *state) {
		c := s.canary(form.Name)
		c.Unfit = ""
		if err != nil {
			c.Unfit, c.UnderWay, c.Failed = err.Error(), nil, nil
		}
	})
	if err != nil {
		w.log.WarnContext(ctx, "a form gets no canary", "form", form.Name, "reason", err.Error())
		return
	}
	for sleep(ctx, w.untilCanary(cfg, form.Name)) {
		if !w.mayCall(&cfg) || w.anyPaused(form) {
			if !sleep(ctx, min(idle, cfg.Canary.Every)) {
				return
			}
			continue
		}
		t := w.begin(ctx, cfg, form)
		failed, proved := t.fly(ctx)
		if ctx.Err() != nil {
			return
		}
		t.land(ctx, failed, proved)
	}
}

func (s *state) canary(form string) *canary {
	c := s.Canaries[form]
	if c == nil {
		c = &canary{}
		s.Canaries[form] = c
	}
	return c
}

// untilCanary is how long to wait for the next canary of a form.
func (w *Watch) untilCanary(cfg Config, form string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.state.canary(form)
	pause := cfg.Canary.Every
	if c.Failed != nil {
		pause = min(pause, cfg.Canary.Timeout)
	}
	if c.UnderWay != nil || c.BegunAt.IsZero() {
		return 0
	}
	return min(time.Until(c.BegunAt.Add(pause)), pause) // the clock may have been set back
}

func (w *Watch) anyPaused(form *onramp.Form) bool {
	return slices.ContainsFunc(form.Route, func(d onramp.Destination) bool {
		p := w.from.Deliveries.Pause(d.ID)
		return p.Lasts()
	})
}

// begin makes a canary, or takes up the one that was under way. Its mark is on disk before
// anything is submitted.
func (w *Watch) begin(ctx context.Context, cfg Config, form *onramp.Form) *trip {
	now := time.Now()
	t := &trip{w: w, cfg: cfg, form: form, deadline: now.Add(cfg.Canary.Timeout)}
	w.change(ctx, func(s *state) {
		c := s.canary(form.Name)
		if c.UnderWay == nil {
			c.UnderWay, c.BegunAt = &flight{Mark: newMark(s.Secret), BegunAt: now}, now
			c.Sent++
		}
		t.flight = *c.UnderWay
	})
	return t
}

// fly goes the canary's way, step by step. It returns the failure, nil if there was none,
// and what was proved. When ctx ends, or a destination is paused, it is neither.
func (t *trip) fly(ctx context.Context) (failed *Failure, proved []Step) {
	limited, stop := context.WithDeadline(ctx, t.deadline)
	defer stop()
	for _, step := range []struct {
		name Step
		do   func(ctx context.Context) (proved bool, err error)
	}{{StepAccept, t.accept}, {StepRow, t.rows}, {StepEvent, t.event}} {
		ok, err := step.do(limited)
		switch {
		case ctx.Err() != nil || errors.Is(err, errPaused):
			return nil, nil
		case err != nil:
			f := &Failure{Step: step.name, Since: t.flight.BegunAt, Detail: err.Error()}
			if e, ok := errors.AsType[*stepError](err); ok {
				f.Hint = e.hint
			}
			return f, nil
		case ok:
			proved = append(proved, step.name)
		}
	}
	return nil, proved
}

// stepError is why a step failed, for operators.
type stepError struct{ detail, hint string }

// Error is the detail.
func (e *stepError) Error() string { return e.detail }

// accept submits the canary, until it is accepted or refused for good.
func (t *trip) accept(ctx context.Context) (bool, error) {
	if t.flight.ID != "" {
		return true, nil
	}
	values, err := fill(t.form, t.cfg.Canary.address(t.flight.Mark), t.flight.Mark)
	if err != nil {
		return false, err
	}
	err = look(ctx, func(ctx context.Context) error {
		id, err := submit(ctx, t.cfg.URL, t.form.Name, t.flight.Mark, values)
		t.flight.ID = id
		return err
	})
	if err != nil {
		return false, err
	}
	t.w.change(ctx, func(s *state) {
		c := s.canary(t.form.Name)
		c.UnderWay.ID = t.flight.ID
		c.Recent = newest(append(c.Recent, t.flight.ID), mostRecent)
	})
	return true, nil
}

// rows waits until the canary's rows are in their data extensions, as they were sent.
func (t *trip) rows(ctx context.Context) (proved bool, err error) {
	for step, to := range t.form.Route {
		if to.Kind != onramp.DataExtension {
			continue
		}
		found := false
		err := look(ctx, func(ctx context.Context) (err error) {
			found, err = t.row(ctx, to, step)
			return err
		})
		if errors.Is(err, outbound.ErrUnreadable) {
			continue // that it was delivered is all that can be known
		}
		if err != nil {
			return false, err
		}
		proved = proved || found
	}
	return proved, nil
}

// row looks for the row of one step; found is false, without an error, of one that is
// skipped, since its condition doesn't hold for a canary.
func (t *trip) row(ctx context.Context, to onramp.Destination, step int) (found bool, err error) {
	if t.w.anyPaused(t.form) {
		return false, final(errPaused)
	}
	r, err := t.w.from.Registrations.FindRegistration(ctx, t.flight.ID)
	if err != nil {
		return false, errors.New("the registration can't be read from the database")
	}
	if step >= len(r.Deliveries) {
		return false, nil // the route was another one
	}
	d := r.Deliveries[step]
	switch d.State {
	case onramp.DeliveryDelivered:
	case onramp.DeliverySkipped, onramp.DeliveryErased:
		return false, nil
	case onramp.DeliveryDead, onramp.DeliveryDiscarded, onramp.DeliveryUnknown:
		return false, final(&stepError{"its delivery to " + to.Key + " is " + d.State.String(), "onramp deliveries show " + d.ID()})
	default:
		return false, &stepError{"its delivery to " + to.Key + " is still " + d.State.String(), "onramp status tells how " + to.Name() + " is doing"}
	}
	found, different, err := t.cfg.Rows.CompareRow(ctx, to, d)
	switch {
	case errors.Is(err, outbound.ErrUnreadable):
		return false, final(err)
	case err != nil:
		return false, fmt.Errorf("its row in %s can't be read: %w", to.Key, err)
	case !found:
		return false, &stepError{
			"Marketing Cloud has taken its row, and it is not in " + to.Key,
			"Marketing Cloud admin: see whether something removes rows from the data extension, or ask the vendor's support; until then nobody's row may be there",
		}
	case len(different) > 0:
		return false, &stepError{"its row in " + to.Key + " is not as it was sent: " + different[0], "onramp status shows the columns"}
	}
	return true, nil
}

// event waits for an event about the canary, where one must come.
func (t *trip) event(ctx context.Context) (proved bool, err error) {
	mailed := func(d onramp.Destination) bool { return d.Kind == onramp.Journey || d.Kind == onramp.Message }
	if !t.cfg.mails() || !slices.ContainsFunc(t.form.Route, mailed) {
		return false, nil
	}
	err = look(ctx, func(ctx context.Context) error {
		if t.w.anyPaused(t.form) {
			return final(errPaused)
		}
		items, err := t.w.from.Registrations.Timeline(ctx, t.flight.ID)
		if err != nil {
			return errors.New("its timeline can't be read from the database")
		}
		if !slices.ContainsFunc(items, func(i onramp.TimelineItem) bool { return i.What == "event" }) {
			return &stepError{"no event about it has come back", "onramp ens status tells whether events come; see that the journey or message mails at once"}
		}
		return nil
	})
	return err == nil, err
}

// land notes how a canary has ended, and removes its rows.
func (t *trip) land(ctx context.Context, failed *Failure, proved []Step) {
	now := time.Now()
	t.w.change(ctx, func(s *state) {
		c := s.canary(t.form.Name)
		c.UnderWay = nil
		if t.flight.ID != "" {
			c.Left = newest(append(c.Left, t.flight.ID), mostLeft)
		}
		switch {
		case failed != nil:
			if c.Failed != nil {
				failed.Since = c.Failed.Since
			}
			c.Failed = failed
		case proved != nil:
			c.ArrivedAt, c.Proved, c.Failed = now, proved, nil
		}
	})
	t.removeRows(ctx)
}

// removeRows removes the rows of the canaries that have ended, those of earlier ones, too,
// which may have been written late. That it fails is in the log once.
func (t *trip) removeRows(ctx context.Context) {
	t.w.mu.Lock()
	c := t.w.state.canary(t.form.Name)
	ids, before := slices.Clone(c.Left), c.Unremoved
	t.w.mu.Unlock()
	var left []string
	why := ""
	for i, id := range ids {
		gone, err := t.removeRow(ctx, id)
		if err != nil {
			why = err.Error()
		}
		// a rule of the form may write into the row of one that was mailed when its event comes
		if !gone || i == len(ids)-1 && t.cfg.mails() {
			left = append(left, id)
		}
	}
	if ctx.Err() != nil {
		return // the next one goes on
	}
	if why != "" && before == "" {
		t.w.log.WarnContext(ctx, "the rows of canaries could not be removed from Marketing Cloud; this is logged once", "form", t.form.Name, "err", why)
	}
	t.w.change(ctx, func(s *state) {
		c := s.canary(t.form.Name)
		c.Left, c.Unremoved = left, why
	})
}

// removeRow removes the rows of one canary. gone is false when there is something left
// to be removed later: one that is still on its way is no error.
func (t *trip) removeRow(ctx context.Context, id string) (gone bool, err error) {
	r, err := t.w.from.Registrations.FindRegistration(ctx, id)
	if err != nil {
		return false, errors.New("the registration can't be read from the database")
	}
	gone = true
	for step, to := range t.form.Route {
		if to.Kind != onramp.DataExtension || step >= len(r.Deliveries) {
			continue
		}
		switch d := r.Deliveries[step]; d.State {
		case onramp.DeliverySkipped, onramp.DeliveryErased, onramp.DeliveryDiscarded, onramp.DeliveryDead:
		case onramp.DeliveryDelivered, onramp.DeliveryUnknown:
			if e := t.remove(ctx, to, d); e != nil {
				gone, err = false, e
			}
		default:
			gone = false
		}
	}
	return gone, err
}

// remove removes one row, and reads it back: Marketing Cloud has answered OK to changes
// that it ignored.
func (t *trip) remove(ctx context.Context, to onramp.Destination, d onramp.Delivery) error {
	if err := t.cfg.Rows.RemoveRow(ctx, to, d); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, goneWithin)
	defer stop()
	return look(ctx, func(ctx context.Context) error {
		found, _, err := t.cfg.Rows.CompareRow(ctx, to, d)
		switch {
		case errors.Is(err, outbound.ErrUnreadable):
			return nil
		case err == nil && found:
			return errors.New("its removal was answered with success, and it is still there")
		}
		return err
	})
}

// dropCanaries forgets the canaries of the forms that have none any more, but for the rows
// that are still to be removed, and returns the forms of those.
func (w *Watch) dropCanaries(cfg *Config) []*onramp.Form {
	w.mu.Lock()
	defer w.mu.Unlock()
	var left []*onramp.Form
	for name, c := range w.state.Canaries {
		form := cfg.form(name)
		if slices.Contains(cfg.canaryForms(), form) {
			continue
		}
		if c.UnderWay != nil && c.UnderWay.ID != "" {
			c.Left = append(c.Left, c.UnderWay.ID)
		}
		c.UnderWay, c.Failed = nil, nil
		if form != nil && len(c.Left) > 0 {
			left = append(left, form)
		}
	}
	return left
}

var errLeft = errors.New("rows of canaries are left")

// cleanUp removes what the last canaries of a form have left.
func (w *Watch) cleanUp(ctx context.Context, cfg Config, form *onramp.Form) {
	ctx, stop := context.WithTimeout(ctx, max(cfg.Canary.Timeout, time.Minute))
	defer stop()
	cfg.Canary.Email = "" // the last one's goes, too
	t := &trip{w: w, cfg: cfg, form: form}
	_ = look(ctx, func(ctx context.Context) error { // what stays is in the status
		t.removeRows(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.state.canary(form.Name).Left) > 0 {
			return errLeft
		}
		return nil
	})
}

// newest keeps the last n.
func newest(ids []string, n int) []string { return ids[max(len(ids)-n, 0):] }

// finalError ends a look: to look again would find the same.
type finalError struct{ error }

// Unwrap gives the error itself.
func (e finalError) Unwrap() error { return e.error }

func final(err error) error { return finalError{err} }

// look does something again and again, at growing distances, until it succeeds, fails for
// good, or ctx ends; the error is then the last one that it gave.
func look(ctx context.Context, once func(ctx context.Context) error) error {
	var last error
	for pause := firstLook; ; pause = min(pause*3/2, longestLook) {
		err := once(ctx)
		if f, ok := errors.AsType[finalError](err); ok {
			return f.error
		}
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // not that the time was up
		}
		if !sleep(ctx, pause) {
			return last
		}
	}
}
