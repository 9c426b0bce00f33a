package watch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// Sample is what came of reading some of the delivered rows of a data extension back.
type Sample struct {
	At        time.Time `json:"at"`
	Rows      int       `json:"rows"`                // that were read
	Missing   int       `json:"missing,omitempty"`   // of these, those that are not there
	Different int       `json:"different,omitempty"` // of these, those that don't hold what was sent
	Columns   []string  `json:"columns,omitempty"`   // in which they differ, each with what to do; no values
	Reason    string    `json:"reason,omitempty"`    // why none could be read
}

const (
	sampleSize   = 20             // rows of a data extension
	sampleOf     = 24 * time.Hour // what was received in this time
	afterFailure = time.Hour      // until a sample is tried again
)

// runSamples takes a sample of each data extension now and then, until ctx ends.
func (w *Watch) runSamples(ctx context.Context, cfg Config) {
	w.mu.Lock()
	if w.state.SampledAt.IsZero() {
		w.state.SampledAt = time.Now()
	}
	next := w.state.SampledAt.Add(cfg.Sample)
	w.mu.Unlock()
	for sleep(ctx, min(max(time.Until(next), 0), cfg.Sample)) {
		if !w.mayCall(&cfg) {
			next = time.Now().Add(idle)
			continue
		}
		all := true
		for _, to := range cfg.dataExtensions() {
			all = w.sample(ctx, cfg, to) && all
		}
		now := time.Now()
		if next = now.Add(cfg.Sample); !all {
			next = now.Add(min(cfg.Sample, afterFailure))
			continue
		}
		w.change(ctx, func(s *state) { s.SampledAt = now })
	}
}

// sample takes one of a data extension, and says whether it could.
func (w *Watch) sample(ctx context.Context, cfg Config, to onramp.Destination) bool {
	now := time.Now()
	w.mu.Lock()
	since := w.since // what was sent before was made by another configuration
	w.mu.Unlock()
	if from := now.Add(-sampleOf); from.After(since) {
		since = from
	}
	deliveries, err := w.from.Deliveries.SampleDelivered(ctx, to.Name(), since, sampleSize)
	if err != nil {
		w.log.DebugContext(ctx, "a sample could not be taken", "destination", to.Name(), "err", err)
		return false
	}
	result := &Sample{At: now}
	for i := range deliveries {
		if err = w.compare(ctx, cfg, to, &deliveries[i], result); err != nil {
			break
		}
	}
	slices.Sort(result.Columns)
	result.Columns = slices.Compact(result.Columns)
	switch {
	case errors.Is(err, outbound.ErrUnreadable):
		result = &Sample{At: now, Reason: err.Error()}
	case err != nil:
		w.log.DebugContext(ctx, "a sample could not be read back", "destination", to.Name(), "err", err)
		return false
	}
	if result.Rows > 0 || result.Reason != "" { // else what was found before stands
		w.change(ctx, func(s *state) { s.Samples[to.Name()] = result })
	}
	return true
}

// compare reads one row back, and adds what it finds to the result. What something newer
// may have been written over says nothing, and is not counted.
func (w *Watch) compare(ctx context.Context, cfg Config, to onramp.Destination, d *onramp.Delivery, result *Sample) error {
	form := cfg.form(d.Form)
	if form == nil || shared(form, to) || w.isCanary(d) {
		return nil
	}
	found, different, err := cfg.Rows.CompareRow(ctx, to, *d)
	if err != nil {
		return err
	}
	if !found || len(different) > 0 {
		if newer, err := w.from.Deliveries.HasNewer(ctx, d); newer || err != nil {
			return err
		}
	}
	result.Rows++
	switch {
	case !found:
		result.Missing++
	case len(different) > 0:
		result.Different++
	}
	result.Columns = append(result.Columns, different...)
	return nil
}

// shared says whether people with different subscriber keys may share a row: what it holds
// is then no one's.
func shared(form *onramp.Form, to onramp.Destination) bool {
	if len(to.KeyColumns) == 0 || to.OnExisting == onramp.CreateNew {
		return false
	}
	return !slices.ContainsFunc(to.KeyColumns, func(column string) bool {
		if !form.Fills(column) {
			return true // it holds the subscriber key
		}
		return slices.ContainsFunc(form.Fields, func(f onramp.Field) bool {
			if !strings.EqualFold(f.Column, column) {
				return false
			}
			key := form.SubscriberKey
			return key.From == onramp.KeyUUID && f.Type == onramp.Email || key.From != onramp.KeyUUID && form.Fields[key.Field].Column == f.Column
		})
	})
}
