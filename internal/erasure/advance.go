package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"onramp/internal/onramp"
)

// advance takes the parts of a run further that are due, and keeps what has come of it. due
// is when the next one is.
func (d *Desk) advance(ctx context.Context, r *Run) (due time.Duration, err error) {
	var t *targets // read when a part needs it
	now := d.cfg.Now()
	changed := false
	for i := range r.Parts {
		p := &r.Parts[i]
		if p.State == Done || p.NextAt.After(now) {
			continue
		}
		if t == nil && p.What != Stored {
			if t, err = d.targets(ctx, r.ID); err != nil {
				return 0, err
			}
		}
		if err := d.part(ctx, r, p, t); err != nil {
			return 0, err
		}
		changed = true
		if p.What == Stored && p.State != Done {
			break // what is sent to others follows when nothing more is stored
		}
	}
	if !changed {
		return r.due(now), nil
	}
	r.judge(now)
	return r.due(now), d.cfg.Store.SaveErasure(ctx, r)
}

func (d *Desk) targets(ctx context.Context, id string) (*targets, error) {
	raw, err := d.cfg.Store.FindTargets(ctx, id)
	if err != nil {
		return nil, err
	}
	t := new(targets)
	if err := json.Unmarshal(raw, t); err != nil {
		return nil, fmt.Errorf("read what is to be erased: %w", err)
	}
	return t, nil
}

// judge gives a run the state that follows from its parts.
func (r *Run) judge(now time.Time) {
	has := func(state State) bool {
		return slices.ContainsFunc(r.Parts, func(p Part) bool { return p.State == state })
	}
	switch {
	case has(Open):
		r.State = Open
	case has(Running):
		r.State = Running
	case has(Waiting):
		r.State = Waiting
	default:
		r.end(Done, now)
	}
}

// due is when the next part is to be taken further.
func (r *Run) due(now time.Time) time.Duration {
	next := look
	for _, p := range r.Parts {
		if p.State != Done {
			next = min(next, max(p.NextAt.Sub(now), 0))
		}
	}
	return next
}

// part takes one part further. An error is one of the store; what else goes wrong stands in
// the part.
func (d *Desk) part(ctx context.Context, r *Run, p *Part, t *targets) error {
	switch p.What {
	case Stored:
		return d.eraseStored(ctx, r, p)
	case File:
		d.eraseFile(ctx, p, t)
	case Row:
		d.eraseRows(ctx, r, p, t)
	case Contact:
		d.eraseContact(ctx, r, p, t)
	}
	return nil
}

func (d *Desk) eraseStored(ctx context.Context, r *Run, p *Part) error {
	removed, more, err := d.cfg.Store.ErasePortion(ctx, r.ID)
	if err != nil {
		return err
	}
	for _, seq := range removed.Seqs {
		d.cfg.Forget(seq)
	}
	p.Count += removed.Registrations + removed.Deliveries + removed.Attempts + removed.Events
	if !more {
		p.succeed("")
	}
	return nil
}

// succeed ends a part.
func (p *Part) succeed(detail string) {
	p.State, p.Detail, p.Hint, p.Tries, p.NextAt = Done, detail, "", 0, time.Time{}
}

// wait has a part wait until a time, as planned.
func (p *Part) wait(until time.Time, detail string) {
	p.State, p.Detail, p.Hint, p.Tries, p.NextAt = Waiting, detail, "", 0, until
}

const (
	firstRetry = 10 * time.Second
	longRetry  = time.Hour
)

// fail notes why a part could not be taken further. What passes by itself is tried again
// soon, and what somebody has to put right now and then.
func (p *Part) fail(err error, now time.Time) {
	p.Tries++
	wait := min(firstRetry<<min(p.Tries-1, 9), longRetry)
	p.State, p.Detail = Waiting, err.Error()
	if judged, ok := errors.AsType[Judged](err); ok {
		o := judged.Judgement()
		p.Detail, p.Hint = o.Detail, o.Hint
		wait = max(wait, o.RetryAfter)
		if o.Verdict != onramp.Retry && o.Verdict != onramp.Throttled {
			p.State, wait = Open, longRetry
		}
	}
	p.NextAt = now.Add(wait)
}

func (d *Desk) eraseFile(ctx context.Context, p *Part, t *targets) {
	n, err := d.cfg.Files.RemoveLines(ctx, p.Where, About{SubscriberKeys: t.Contacts, Addresses: t.Addresses, Sends: t.Sends})
	if err != nil {
		p.fail(err, d.cfg.Now())
		return
	}
	p.Count += n
	p.succeed("")
}

// rowsInCall is how many rows are removed by one call.
const rowsInCall = 50

// eraseRows removes rows at once, and once more when nothing that was on its way can have
// written them again.
func (d *Desk) eraseRows(ctx context.Context, r *Run, p *Part, t *targets) {
	at := slices.IndexFunc(t.Rows, func(rows rows) bool { return rows.To.Name() == p.Where })
	if at < 0 {
		p.succeed("")
		return
	}
	now, mine := d.cfg.Now(), t.Rows[at]
	for part := range slices.Chunk(mine.Keys, rowsInCall) {
		if err := d.cfg.Account.RemoveRows(ctx, mine.To, part); err != nil {
			p.fail(err, now)
			return
		}
	}
	if now.Before(r.Late) {
		p.wait(r.Late, "removed; once more when calls that were under way can't be carried out any more")
		return
	}
	d.checkRows(ctx, p, mine)
}

// maxChecked is how many rows are read back at most: each costs a call.
const maxChecked = 20

// checkRows reads back whether rows are gone.
func (d *Desk) checkRows(ctx context.Context, p *Part, mine rows) {
	for _, keys := range mine.Keys[:min(len(mine.Keys), maxChecked)] {
		has, err := d.cfg.Account.HasRow(ctx, mine.To, keys)
		switch {
		case errors.Is(err, ErrUnreadable):
			p.Count = int64(len(mine.Keys))
			p.succeed("Marketing Cloud has taken the deletion; it could not be read back, since the scope data_extensions_read is missing")
			return
		case err != nil:
			p.fail(err, d.cfg.Now())
			return
		case has:
			p.fail(errors.New("the row is still there, though Marketing Cloud has taken the deletion"), d.cfg.Now())
			return
		}
	}
	p.Count = int64(len(mine.Keys))
	p.succeed("")
}

// The distance of two looks at an operation that Marketing Cloud works on: it can take hours.
const (
	firstLook = 10 * time.Second
	longLook  = 15 * time.Minute
)

// eraseContact begins the deletion of the contacts, and follows it to its end.
func (d *Desk) eraseContact(ctx context.Context, r *Run, p *Part, t *targets) {
	now := d.cfg.Now()
	if p.Operation == 0 {
		d.beginDeletion(ctx, r, p, t)
		return
	}
	o, err := d.cfg.Account.FindDeletion(ctx, p.Operation, r.Kind == Restrict)
	switch {
	case err != nil:
		p.fail(err, now)
	case o.Completed():
		detail := ""
		if o.RestorableDays > 0 {
			detail = fmt.Sprintf("Marketing Cloud can restore the contact for %d days", o.RestorableDays)
		}
		p.succeed(detail)
	case !o.Ended():
		waited := now.Sub(r.BeganAt)
		p.wait(now.Add(min(max(waited/4, firstLook), longLook)), fmt.Sprintf("Marketing Cloud works on operation %d: %s", o.ID, o.Status))
	case o.Status == "Invalid":
		p.Count = 0
		p.succeed("Marketing Cloud has no such contact")
	default:
		p.fail(fmt.Errorf("operation %d of Marketing Cloud has ended as %s; it is begun again", o.ID, o.Status), now)
		p.Operation = 0
	}
}

// contactsInCall is how many contacts one call names.
const contactsInCall = 1000

func (d *Desk) beginDeletion(ctx context.Context, r *Run, p *Part, t *targets) {
	now, keys := d.cfg.Now(), t.Contacts
	for _, address := range t.Addresses {
		found, err := d.cfg.Account.FindContacts(ctx, address)
		if err != nil {
			p.fail(err, now)
			return
		}
		for _, key := range found {
			keys = withOne(keys, key)
		}
	}
	if len(keys) == 0 {
		p.succeed("Marketing Cloud has no such contact")
		return
	}
	keys = keys[:min(len(keys), contactsInCall)]
	operation, err := d.cfg.Account.BeginDeletion(ctx, keys, r.Kind == Restrict)
	if err != nil {
		p.fail(err, now)
		return
	}
	p.Operation, p.Count = operation, int64(len(keys))
	p.wait(now.Add(firstLook), fmt.Sprintf("Marketing Cloud works on operation %d", operation))
}
