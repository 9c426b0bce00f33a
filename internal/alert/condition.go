package alert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/operator"
)

// Condition is something that an operator should know, as it stands now.
type Condition struct {
	Cause   string        // identifies it over time
	Title   string        // what and where
	Detail  string        // why; no personal data, no secrets, and of what came from elsewhere only what remote leaves
	Hint    string        // what to do about it
	Runbook Runbook       // the page that says more
	Waiting int64         // deliveries that wait because of it
	Since   time.Time     // zero: since it was first seen
	Severe  bool          // nothing goes on until someone acts
	Every   time.Duration // the alert is repeated so often; 0: every hour
	Sure    bool          // once it is away it is over: nothing is waited for
	Blocked string        // cause of destinations that don't run, whatever name it is told under; "" unless they do

	concerns []string // destinations that it stops, when it is about none alone
}

const (
	throttledFor = 15 * time.Second // the specification's 1, 2, 4 and 8 s
	quietAfter   = time.Hour        // when nothing came for so long, what grew is over
	pausedFor    = 24 * time.Hour   // after which it is reminded of a pause, and again
)

const (
	throttledHint = "nothing is lost, and sending resumes by itself; if this lasts, check whether Marketing Cloud has an outage, or lower delivery.senders"
	deadHint      = "find the cause with onramp deliveries list --by-cause and onramp deliveries show ID, fix it, then run onramp deliveries retry --cause CAUSE"
	unknownHint   = "list them with onramp deliveries list --state unknown; retry those where a second message does no harm, and discard the others"
	storeHint     = "registrations are answered with 503 until the database can be written to: check that it is running and that its disk has space; see onramp check --only database"
	noticeHint    = "onramp status shows the whole text; it is repeated until Onramp is started again"
	columnsHint   = "registrations are delivered without these values until then; onramp status shows the columns; see onramp check --only data-extension"
	lateHint      = "find the destination that is behind with onramp status, and its deliveries with onramp deliveries list --state pending"
	pausedHint    = "nothing is lost: when you are done, run onramp destinations resume "
	clockHint     = "operator: let this machine take its time from a time server (NTP): tokens, signatures and the order of events depend on it; see onramp check --only clock"
	guessingHint  = "operator: find the address in the log of your proxy or firewall, and let only operators reach admin.listen; a program of yours that has an old token does the same"
	diskHint      = "free space on the database's disk: once it is full, registrations are answered with 503; see onramp check --only disk"
)

// quick is what can be seen at any time.
func (w *Watcher) quick(ctx context.Context, now time.Time) []Condition {
	all := w.from.Desk.Overview()
	found := w.blockedOrUnfit(together(all.Destinations, "blocked"), append(drifted(all.Watch), unfit(all, now)...))
	for _, g := range together(all.Destinations, "throttled") {
		if now.Sub(g.Since) > throttledFor {
			found = append(found, g.throttled())
		}
	}
	w.noteStopped(all.Destinations, now)
	var waiting int64
	for i := range all.Destinations {
		d := &all.Destinations[i]
		found = append(found, forgotten(d, now)...)
		found = append(found, w.failures(ctx, d, now)...)
		found = append(found, unstored(d)...)
		waiting += d.Waiting()
	}
	found = append(found, w.silent(now, all)...)
	found = append(found, noticed(all.Notices)...)
	found = append(found, used(all.Health.Calls)...)
	found = append(found, certified(all.Health.Certificates)...)
	found = append(found, unarrived(all.Watch)...)
	found = append(found, w.confirmations(all.Confirmations)...)
	found = append(found, surging(&all)...)
	found = append(found, overdue(all.Retention)...)
	found = append(found, guessed(all.Guessing)...)
	if w.from.Trouble == nil {
		return found
	}
	if err := w.from.Trouble(); err != nil {
		found = append(found, troubled(err, waiting))
	}
	return found
}

// guessed is that someone tries admin tokens, and does not give up.
func guessed(g operator.Guessing) []Condition {
	if g.Wrong == 0 {
		return nil
	}
	return []Condition{{
		Cause: "guessing", Title: "admin tokens are being guessed", Hint: guessingHint, Runbook: RunbookGuessing, Since: g.Since,
		Detail: fmt.Sprintf("%d wrong tokens, the last at %s", g.Wrong, g.Last.UTC().Format("2006-01-02 15:04:05 UTC")),
	}}
}

// unstored is that columns were sent and are not in the data extension.
func unstored(d *operator.Destination) []Condition {
	if len(d.Warnings) == 0 {
		return nil
	}
	return []Condition{{
		Cause: "columns:" + d.Name, Title: "columns not stored: " + d.Name, Detail: oneLine(strings.Join(d.Warnings, "; ")), Hint: columnsHint,
		Runbook: RunbookColumns,
	}}
}

// troubled is a store that can't be written. Some errors know their remedy.
func troubled(err error, waiting int64) Condition {
	detail, hint := err.Error(), storeHint
	type remedied interface {
		error
		Remedy() (cause, remedy string)
	}
	if e, ok := errors.AsType[remedied](err); ok {
		detail, hint = e.Remedy()
	}
	return Condition{
		Cause: "store", Title: "store unreachable: registrations refused", Severe: true,
		Detail: remote(detail), Hint: hint, Waiting: waiting, Runbook: RunbookStore,
	}
}

// noticed is what the store has to say about its start.
func noticed(notices []string) []Condition {
	var found []Condition
	for _, n := range notices {
		found = append(found, Condition{
			Cause: "notice:" + n, Title: "database at the start: see onramp status", Detail: oneLine(n), Hint: noticeHint, Runbook: RunbookNotice,
		})
	}
	return found
}

// stopped says that a destination waits until somebody acts.
func stopped(d operator.Destination) bool { return d.State == "blocked" || d.State == "paused" }

// noteStopped notes which destinations get nothing, and which get later what waits
// there for an earlier step.
func (w *Watcher) noteStopped(all []operator.Destination, now time.Time) {
	some := slices.ContainsFunc(all, stopped)
	for _, d := range all {
		if stopped(d) || some && d.Deliveries[onramp.DeliveryWaiting] > 0 {
			w.still[d.Name] = now
		}
	}
}

// forgotten is a destination that was paused so long ago that its operator may have
// forgotten it.
func forgotten(d *operator.Destination, now time.Time) []Condition {
	if d.State != "paused" || now.Sub(d.Since) < pausedFor {
		return nil
	}
	return []Condition{{
		Cause: "paused:" + d.Name, Title: "paused: " + d.Name, Detail: remote(d.Reason), Hint: pausedHint + d.Name,
		Waiting: d.Waiting(), Since: d.Since, Every: pausedFor, Runbook: RunbookPaused,
	}}
}

// standing are destinations that don't run for the same cause.
type standing struct {
	onramp.Health          // of the one that stopped first
	names         []string // of all
	waiting       int64    // for all
}

// together puts the destinations in a state that have a cause in common into
// one: refused credentials are one trouble, however many destinations they stop.
func together(destinations []operator.Destination, state string) []standing {
	var all []standing
	for i := range destinations {
		d := &destinations[i]
		if d.State != state {
			continue
		}
		at := slices.IndexFunc(all, func(s standing) bool { return s.Cause == d.Cause })
		if at < 0 {
			at = len(all)
			all = append(all, standing{Health: d.Health})
		}
		if d.Since.Before(all[at].Since) {
			all[at].Health = d.Health
		}
		all[at].names = append(all[at].names, d.Name)
		all[at].waiting += d.Waiting()
	}
	return all
}

func (s standing) blocked() Condition {
	title, page := "blocked: ", RunbookBlocked
	if s.Refused {
		title, page = "credentials refused: ", RunbookAccount
	}
	return Condition{
		Cause: "blocked:" + s.Cause, Title: title + list(s.names, 3), Severe: true,
		Detail: s.detail(), Hint: s.Hint, Waiting: s.waiting, Since: s.Since, Runbook: page,
	}
}

func (s standing) throttled() Condition {
	hint := s.Hint
	if hint == "" {
		hint = throttledHint
	}
	return Condition{
		Cause: "throttled:" + s.Cause, Title: "throttled: " + list(s.names, 3),
		Detail: s.detail(), Hint: hint, Waiting: s.waiting, Since: s.Since, Runbook: RunbookThrottled,
	}
}

func (s standing) detail() string {
	detail := remote(s.Reason)
	if len(s.names) == 1 {
		return detail
	}
	return detail + "; this affects " + list(s.names, len(s.names))
}

// backlog is a destination with deliveries of its own to send.
type backlog struct {
	name    string
	waiting int64
	from    time.Time // before it nothing counts as late
	stopped bool      // now
}

// backlogs are what the slow look asks for. For a destination that is blocked
// there is an alert already, and of one that is paused an operator knows: being late
// counts from its end.
func (w *Watcher) backlogs() []backlog {
	var all []backlog
	for _, d := range w.from.Desk.Overview().Destinations {
		// those that wait for the step before are late with it
		if d.Deliveries[onramp.DeliveryPending]+d.Deliveries[onramp.DeliverySubmitted] > 0 {
			all = append(all, backlog{d.Name, d.Waiting(), w.still[d.Name], stopped(d)})
		}
	}
	return all
}

// slowLook asks the database and the disk.
type slowLook struct {
	from     Sources
	cfg      Config
	backlogs []backlog
	before   []Condition // what the look before this one found
	unknown  func(error) // gets why the free space is not known
}

// look gives what it found. What can't be asked now is as it was.
func (s slowLook) look(ctx context.Context, now time.Time) []Condition {
	ctx, stop := context.WithTimeout(ctx, slowFor)
	defer stop()
	var found []Condition
	for _, b := range s.backlogs {
		found = append(found, s.late(ctx, b, now)...)
	}
	if s.from.Free == nil {
		return found
	}
	free, total, err := s.from.Free()
	if err != nil {
		s.unknown(err)
		return append(found, s.was("disk")...)
	}
	percent := 100 * float64(free) / float64(max(total, 1))
	limit := size(s.cfg.FreeBytes)
	if s.cfg.FreeBytes == 0 {
		limit = fmt.Sprintf("%g%%", s.cfg.FreePercent)
	}
	if percent < s.cfg.FreePercent || free < s.cfg.FreeBytes {
		found = append(found, Condition{
			Cause: "disk", Title: fmt.Sprintf("low disk space: %s free", size(free)), Hint: diskHint, Severe: true, Runbook: RunbookDisk,
			Detail: fmt.Sprintf("%s of %s (%.1f%%) free on the database's disk; the limit is %s", size(free), size(total), percent, limit),
		})
	}
	return found
}

func (s slowLook) late(ctx context.Context, b backlog, now time.Time) []Condition {
	cause := "late:" + b.name
	before := s.was(cause)
	if b.stopped && before == nil {
		return nil
	}
	oldest, err := s.from.Desk.Oldest(ctx, b.name)
	if err != nil {
		return before // for what stops the store there is a separate alert
	}
	if oldest.IsZero() || before == nil && now.Sub(b.from) <= s.cfg.Oldest || now.Sub(oldest) <= s.cfg.Oldest {
		return nil
	}
	return []Condition{{
		Cause: cause, Title: "late deliveries: " + b.name, Hint: lateHint, Waiting: b.waiting, Runbook: RunbookLate,
		Detail: fmt.Sprintf("the oldest undelivered registration was accepted at %s, more than %s ago", stamp(oldest), span(s.cfg.Oldest)),
	}}
}

// was gives the condition as the look before found it, if it did.
func (s slowLook) was(cause string) []Condition {
	for _, c := range s.before {
		if c.Cause == cause {
			return []Condition{c}
		}
	}
	return nil
}

const maxDetail = 500

// oneLine makes a text fit for a line of an alert.
func oneLine(s string) string {
	return clip(strings.Join(strings.Fields(s), " "), maxDetail)
}

func clip(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
