package consent

import (
	"context"
	"errors"
	"time"

	"onramp/internal/onramp"
)

const (
	sweepEvery       = time.Minute
	remindedTogether = 50
)

// Run erases what was not confirmed in time, reminds those who were asked, and follows what
// events tell of them, until ctx ends. Of a desk without forms it returns at once.
func (d *Desk) Run(ctx context.Context) {
	if d == nil {
		return
	}
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := d.Sweep(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.ErrorContext(ctx, "registrations that were not confirmed could not be looked through, retrying", "err", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sweep does so once.
func (d *Desk) Sweep(ctx context.Context) error {
	expired, err := d.cfg.Store.ExpireConfirmations(ctx)
	if expired > 0 {
		d.cfg.Log.InfoContext(ctx, "registrations were not confirmed in time and are erased", "registrations", expired)
	}
	if err != nil {
		return err
	}
	if err := d.remind(ctx); err != nil {
		return err
	}
	if err := d.follow(ctx); err != nil {
		return err
	}
	status, err := d.cfg.Store.ListConfirmations(ctx, d.asking())
	if err == nil {
		d.status.Store(&status)
	}
	return err
}

// remind asks once more whoever is to be reminded by now.
func (d *Desk) remind(ctx context.Context) error {
	due, err := d.cfg.Store.ListReminders(ctx, d.asking(), remindedTogether) // a form that no longer asks reminds nobody
	for i := range due {
		if err != nil {
			return err
		}
		r := &due[i]
		form := d.form(r.Form)
		_, err = d.send(ctx, form, r, true)
		if e, known := asError(err); known && (e.Kind == onramp.Conflict || e.Kind == onramp.NotFound) {
			err = nil // it was confirmed meanwhile
		}
	}
	return err
}

func asError(err error) (*onramp.Error, bool) { return errors.AsType[*onramp.Error](err) }
