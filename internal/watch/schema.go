package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"onramp/internal/columns"
	"onramp/internal/onramp"
	"onramp/sfmc/metadata"
)

// Schemas reads what a data extension is like. A metadata.Client does.
type Schemas interface {
	DataExtension(ctx context.Context, key string) (*metadata.DataExtension, error)
}

// schema is what a data extension was like when the rows of the forms fitted it. It is kept
// over a restart.
type schema struct {
	At      time.Time         // when it was read last
	Columns map[string]column // by name in lower case
	Drifts  []drift           // the columns that no longer fit
	Since   time.Time         // since when there are such; zero: there are none
	Unread  string            // why it can't be read at all
}

// column is a column as it was when it last fitted.
type column struct {
	Name, Type    string
	Length, Scale int
}

// drift is a column that no longer takes what is sent, and what has become of it.
type drift struct{ Column, What string }

const (
	driftedEvery = time.Minute     // how often a data extension is read that has drifted
	confirmAfter = 5 * time.Second // a drift must be seen twice: what it does is not small
	schemaFailed = 5 * time.Minute // until one is read again that could not be
	schemaWithin = time.Minute
)

// runSchemas reads the columns of the data extensions at once, and now and then, until ctx
// ends.
func (w *Watch) runSchemas(ctx context.Context, cfg Config) {
	w.forgetSchemas(cfg)
	for pause := time.Duration(0); sleep(ctx, pause); {
		pause = cfg.Schema
		if !w.mayCall(&cfg) {
			pause = min(pause, idle)
			continue
		}
		for _, to := range cfg.dataExtensions() {
			pause = min(pause, w.readSchema(ctx, cfg, to))
		}
	}
}

// forgetSchemas forgets what no form sends to any more, or what is another account's.
func (w *Watch) forgetSchemas(cfg Config) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := map[string]bool{}
	for _, to := range cfg.dataExtensions() {
		known[cfg.schemaName(to)] = true
	}
	maps.DeleteFunc(w.state.Schemas, func(name string, _ *schema) bool { return !known[name] })
}

// schemaName tells the data extensions of several accounts apart.
func (c *Config) schemaName(to onramp.Destination) string { return to.Name() + " of " + c.Account }

// readSchema reads one data extension, and returns when it should be read again at the
// latest.
func (w *Watch) readSchema(ctx context.Context, cfg Config, to onramp.Destination) time.Duration {
	extension, err := cfg.columnsOf(ctx, to)
	w.mu.Lock()
	s := w.state.schema(cfg.schemaName(to))
	isNew := err == nil && s.Since.IsZero() && len(s.drifts(cfg.needs(to), extension)) > 0
	w.mu.Unlock()
	if isNew {
		if !sleep(ctx, min(confirmAfter, cfg.Schema)) {
			return cfg.Schema
		}
		extension, err = cfg.columnsOf(ctx, to)
	}
	if _, lacksScope := errors.AsType[*metadata.ScopeError](err); lacksScope {
		w.unreadable(ctx, to, s, "the columns can't be read: the scope data_extensions_read is missing")
		return cfg.Schema
	}
	if err != nil {
		w.log.DebugContext(ctx, "the columns of a data extension could not be read", "destination", to.Name(), "err", err)
		return schemaFailed
	}
	now, before := time.Now(), 0
	w.change(ctx, func(*state) {
		before = len(s.Drifts)
		s.take(cfg.needs(to), extension, now)
	})
	switch {
	case len(s.Drifts) > 0 && before == 0:
		w.log.ErrorContext(ctx, "the columns of a data extension have changed, and nothing more is sent to it", "destination", to.Name(), "reason", s.explain())
	case len(s.Drifts) == 0 && before > 0:
		w.log.InfoContext(ctx, "the columns of a data extension fit again", "destination", to.Name())
	}
	if len(s.Drifts) > 0 {
		return driftedEvery
	}
	return cfg.Schema
}

// unreadable notes why a data extension can't be read. It is in the log once.
func (w *Watch) unreadable(ctx context.Context, to onramp.Destination, s *schema, why string) {
	w.mu.Lock()
	isNew := s.Unread != why
	s.Unread = why
	w.mu.Unlock()
	if isNew {
		w.log.InfoContext(ctx, "it is not noticed when a data extension loses columns", "destination", to.Name(), "reason", why)
	}
}

var errNoColumns = errors.New("the answer has no columns")

// columnsOf reads a data extension.
func (c *Config) columnsOf(ctx context.Context, to onramp.Destination) (*metadata.DataExtension, error) {
	ctx, stop := context.WithTimeout(ctx, schemaWithin)
	defer stop()
	extension, err := c.Schemas.DataExtension(ctx, to.Key)
	if err == nil && len(extension.Fields) == 0 {
		err = errNoColumns // there is no data extension without any: it is the answer that is wrong
	}
	return extension, err
}

func (s *state) schema(name string) *schema {
	one := s.Schemas[name]
	if one == nil {
		one = &schema{}
		s.Schemas[name] = one
	}
	return one
}

// take takes in what a data extension is like now. What fits is what was; of a column that
// does not, what it was stays, so that it is known when it is back.
func (s *schema) take(needs map[string]*columns.Column, now *metadata.DataExtension, at time.Time) {
	s.Drifts = s.drifts(needs, now)
	drifted := func(name string) bool {
		return slices.ContainsFunc(s.Drifts, func(d drift) bool { return strings.EqualFold(d.Column, name) })
	}
	fitting := map[string]column{}
	for name, c := range s.Columns {
		if drifted(name) {
			fitting[name] = c
		}
	}
	for _, f := range now.Fields {
		if !drifted(f.Name) {
			fitting[strings.ToLower(f.Name)] = column{f.Name, f.Type, f.Length, f.Scale}
		}
	}
	s.Columns, s.At, s.Unread = fitting, at, ""
	switch {
	case len(s.Drifts) == 0:
		s.Since = time.Time{}
	case s.Since.IsZero():
		s.Since = at
	}
}

// drifts are the columns that the forms send, that there were, and that no longer take what
// is sent: they are gone, too short by now, or of a type that doesn't take it. What
// never fitted is no drift: whoever set that up has seen what comes of it.
func (s *schema) drifts(needs map[string]*columns.Column, now *metadata.DataExtension) []drift {
	is := map[string]metadata.Field{}
	for _, f := range now.Fields {
		is[strings.ToLower(f.Name)] = f
	}
	var all []drift
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		was, known := s.Columns[name]
		if !known {
			continue
		}
		f, found := is[name]
		what := "is no longer in the data extension"
		if found {
			what = was.driftTo(f, needs[name])
		}
		if what != "" {
			all = append(all, drift{was.Name, what})
		}
	}
	return all
}

// driftTo tells what has become of a column that no longer takes what is sent; "": it does.
func (c column) driftTo(now metadata.Field, sent *columns.Column) string {
	switch {
	case now.Type != c.Type && !sent.Takes(now.Type):
		return fmt.Sprintf("was of type %s and is now %s", c.Type, now.Type)
	case now.Type != c.Type:
		return ""
	case now.Length > 0 && (c.Length == 0 || now.Length < c.Length) && now.Length < sent.Longest(now.Type):
		return fmt.Sprintf("had room for %d and has now room for %d, and a form sends up to %d", c.Length, now.Length, sent.Longest(now.Type))
	case now.Type == metadata.Decimal && now.Scale < c.Scale:
		return fmt.Sprintf("had %d digits after the point and has now %d", c.Scale, now.Scale)
	}
	return ""
}

// explain tells the drifts in one line.
func (s *schema) explain() string {
	lines := make([]string, len(s.Drifts))
	for i, d := range s.Drifts {
		lines[i] = "column " + d.Column + " " + d.What
	}
	return strings.Join(lines, "; ")
}

const driftHint = "Marketing Cloud admin: give the data extension its columns back; or operator: change or remove the form's field and reload the " +
	"configuration. What waits then goes out by itself"

// Blocked says why nothing is sent to a data extension, as the outcome of a call that was
// not made: rows would be refused or cut. blocked is false when it may be sent to.
func (w *Watch) Blocked(to onramp.Destination) (o onramp.Outcome, blocked bool) {
	if to.Kind != onramp.DataExtension {
		return o, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state.Schemas[w.cfg.schemaName(to)]
	if s == nil || len(s.Drifts) == 0 || w.cfg.Schema <= 0 {
		return o, false
	}
	return onramp.Outcome{Verdict: onramp.Blocked, NotSent: true, Detail: "the data extension has changed: " + s.explain(), Hint: driftHint}, true
}
