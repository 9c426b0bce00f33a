package erasure

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// Config is what a Desk works with.
type Config struct {
	Store   Store
	Account Account
	Files   Files // nil: there are none
	Forms   map[string]*onramp.Form
	Forget  func(seq int64) // drops a delivery from the memory of what sends
	Now     func() time.Time
	Log     *slog.Logger
}

// Desk is where operators begin erasures and look after them. Its methods are safe for
// concurrent use.
type Desk struct {
	cfg   Config
	begun chan struct{} // yields a value when a run was begun
}

// New makes a Desk.
func New(cfg Config) *Desk { return &Desk{cfg: cfg, begun: make(chan struct{}, 1)} }

// Plan tells what an erasure of a person would do. It changes nothing. The error is of kind
// Invalid when the subject is not one.
func (d *Desk) Plan(ctx context.Context, s Subject) (Plan, error) {
	found, t, err := d.find(ctx, s)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Found: found, Rows: map[string]int64{}, Contacts: int64(len(t.Contacts)), Files: d.files()}
	for _, r := range t.Rows {
		p.Rows[r.To.Name()] = int64(len(r.Keys))
	}
	return p, nil
}

// Begin begins a run; Run carries it out. What is stored of the person is out of reach when
// it returns. The error is of kind Invalid when the subject is not one.
func (d *Desk) Begin(ctx context.Context, kind Kind, s Subject) (Run, error) {
	found, t, err := d.find(ctx, s)
	if err != nil {
		return Run{}, err
	}
	raw, err := json.Marshal(t)
	if err != nil {
		return Run{}, err
	}
	now := d.cfg.Now()
	r := Run{ID: onramp.NewID(now), Kind: kind, State: Running, BeganAt: now, Parts: d.parts(kind, &t)}
	if r.Late, err = d.cfg.Store.BeginErasure(ctx, &r, &found, raw); err != nil {
		return Run{}, err
	}
	d.cfg.Log.InfoContext(ctx, "erasure begun", "erasure", r.ID, "kind", r.Kind)
	select {
	case d.begun <- struct{}{}:
	default:
	}
	return r, nil
}

// List lists runs, the newest first.
func (d *Desk) List(ctx context.Context) ([]Run, error) { return d.cfg.Store.ListErasures(ctx, false) }

// Find returns a run, or an error of kind NotFound.
func (d *Desk) Find(ctx context.Context, id string) (Run, error) {
	return d.cfg.Store.FindErasure(ctx, id)
}

// Close ends a run whose open parts were done by hand, or will never be. The error is of
// kind NotFound, Invalid without a reason, or Conflict when it has ended or its own part, what
// is stored here, is not done.
func (d *Desk) Close(ctx context.Context, id, reason string) (Run, error) {
	r, err := d.cfg.Store.FindErasure(ctx, id)
	switch {
	case err != nil:
		return Run{}, err
	case strings.TrimSpace(reason) == "":
		return Run{}, &onramp.Error{Kind: onramp.Invalid, Message: "a reason is required: how the rest was done, or why it is not", Fields: []onramp.FieldError{{Field: "reason", Message: "is required"}}}
	case r.EndedAt != nil:
		return Run{}, &onramp.Error{Kind: onramp.Conflict, Message: "this run has ended"}
	case slices.ContainsFunc(r.Parts, func(p Part) bool { return p.What == Stored && p.State != Done }):
		return Run{}, &onramp.Error{Kind: onramp.Conflict, Message: "what is stored here is still being removed: try again in a minute"}
	}
	r.end(Closed, d.cfg.Now())
	r.Reason = reason
	return r, d.cfg.Store.SaveErasure(ctx, &r)
}

// Open are the runs that have not ended.
func (d *Desk) Open(ctx context.Context) ([]Run, error) { return d.cfg.Store.ListErasures(ctx, true) }

func (r *Run) end(state State, now time.Time) { r.State, r.EndedAt = state, &now }

func (d *Desk) files() []string {
	if d.cfg.Files == nil {
		return nil
	}
	return d.cfg.Files.Files()
}

// parts are those of a new run.
func (d *Desk) parts(kind Kind, t *targets) []Part {
	if kind == Restrict {
		return []Part{{What: Contact, Where: "Marketing Cloud", State: Running}}
	}
	parts := []Part{{What: Stored, Where: "gateway", State: Running}}
	for _, sink := range d.files() {
		parts = append(parts, Part{What: File, Where: sink, State: Running})
	}
	for _, r := range t.Rows {
		parts = append(parts, Part{What: Row, Where: r.To.Name(), State: Running})
	}
	return append(parts, Part{What: Contact, Where: "Marketing Cloud", State: Running})
}

// find finds what there is of a person, and what Marketing Cloud must be told.
func (d *Desk) find(ctx context.Context, s Subject) (Found, targets, error) {
	s, err := s.Checked()
	if err != nil {
		return Found{}, targets{}, err
	}
	c := collection{desk: d, byName: map[string]*rows{}, seen: map[string]bool{}}
	found, err := d.cfg.Store.FindSubject(ctx, s, d.Owns(s), c.add)
	if err != nil {
		return Found{}, targets{}, err
	}
	for _, key := range d.keysOf(s, found) {
		c.addKey(key)
	}
	t := targets{Contacts: d.keysOf(s, found), Addresses: withOne(found.Addresses, s.Email), Sends: found.Sends}
	for _, name := range slices.Sorted(maps.Keys(c.byName)) {
		t.Rows = append(t.Rows, *c.byName[name])
	}
	return found, t, nil
}

// Owns says of registrations whether they are a person's own: by the subscriber key, or by the
// address that the form takes for the person's. Of a form that is gone any address counts.
func (d *Desk) Owns(s Subject) func(*onramp.Registration) bool {
	return func(r *onramp.Registration) bool {
		form := d.cfg.Forms[r.Form]
		switch {
		case onramp.SamePerson(r.SubscriberKey, s.SubscriberKey+s.Email):
			return true
		case s.Email == "":
			return false
		}
		return form == nil || onramp.SamePerson(form.FindAddress(r.Values), s.Email)
	}
}

// keysOf are the subscriber keys that a person has, or would get from the forms.
func (d *Desk) keysOf(s Subject, found Found) []string {
	keys := withOne(found.SubscriberKeys, s.SubscriberKey)
	if s.Email != "" {
		for _, form := range d.cfg.Forms {
			keys = withOne(keys, form.SubscriberKeyOf(s.Email))
		}
	}
	slices.Sort(keys)
	return keys
}

// withOne adds a text to a list, unless it is empty or there.
func withOne(list []string, one string) []string {
	if one == "" || slices.Contains(list, one) {
		return list
	}
	return append(slices.Clip(list), one)
}

// collection collects the rows that a person has in data extensions.
type collection struct {
	desk   *Desk
	byName map[string]*rows
	seen   map[string]bool // rows, as JSON
}

// add takes the row of a delivery. That it can't be told from others, since its form is gone,
// leaves it out: the contact is deleted all the same.
func (c *collection) add(d onramp.Delivery) error {
	to, known := c.desk.destination(d.Form, d.Destination)
	if !known {
		return nil
	}
	if keys, err := c.desk.cfg.Account.RowKeys(to, d); err == nil {
		c.put(to, keys)
	}
	return nil
}

// addKey takes the rows that a subscriber key alone names, in all data extensions that the
// forms fill: what Marketing Cloud has of a person may be older than what is stored here.
func (c *collection) addKey(key string) {
	for _, form := range c.desk.cfg.Forms {
		for _, to := range form.Route {
			if to.Kind == onramp.DataExtension && len(to.KeyColumns) == 1 && !form.Fills(to.KeyColumns[0]) && to.OnExisting != onramp.CreateNew {
				c.put(to, map[string]any{to.KeyColumns[0]: key})
			}
		}
	}
}

func (c *collection) put(to onramp.Destination, keys map[string]any) {
	raw, err := json.Marshal(keys)
	name := to.Name()
	if err != nil || c.seen[name+string(raw)] {
		return
	}
	c.seen[name+string(raw)] = true
	if c.byName[name] == nil {
		c.byName[name] = &rows{To: to}
	}
	c.byName[name].Keys = append(c.byName[name].Keys, keys)
}

// destination finds a data extension in the route of a form, or else in another one's.
func (d *Desk) destination(form, name string) (to onramp.Destination, known bool) {
	if f := d.cfg.Forms[form]; f != nil {
		to, known = inRoute(f, name)
	}
	for _, f := range d.cfg.Forms {
		if known {
			break
		}
		to, known = inRoute(f, name)
	}
	return to, known
}

func inRoute(f *onramp.Form, name string) (to onramp.Destination, found bool) {
	at := slices.IndexFunc(f.Route, func(to onramp.Destination) bool { return to.Kind == onramp.DataExtension && to.Name() == name })
	if at < 0 {
		return to, false
	}
	return f.Route[at], true
}

// Run carries out the runs that are open, those that an earlier process has begun among them,
// until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	for ctx.Err() == nil {
		next := d.step(ctx)
		select {
		case <-time.After(next):
		case <-d.begun:
		case <-ctx.Done():
		}
	}
}

const (
	pause = 20 * time.Millisecond // between portions, so that others get their turn
	look  = time.Minute           // when nothing is due sooner
)

// step takes each open run a little further, and says when to look again.
func (d *Desk) step(ctx context.Context) (next time.Duration) {
	runs, err := d.cfg.Store.ListErasures(ctx, true)
	if err != nil {
		if ctx.Err() == nil {
			d.cfg.Log.WarnContext(ctx, "erasures could not be read, will retry", "err", err)
		}
		return look
	}
	next = look
	for i := range runs {
		if ctx.Err() != nil {
			return next
		}
		due, err := d.advance(ctx, &runs[i])
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.WarnContext(ctx, "an erasure was held up, will retry", "erasure", runs[i].ID, "err", err)
		}
		if err == nil {
			next = min(next, max(due, pause))
		}
	}
	return cmp.Or(next, look)
}
