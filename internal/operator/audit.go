package operator

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"onramp/internal/chain"
	"onramp/internal/onramp"
)

// AuditLog keeps who did what.
type AuditLog interface {
	// BeginAction appends that an action begins; with a result it is all that is to be said of it.
	BeginAction(ctx context.Context, a onramp.Action) (number int64, err error)
	// EndAction appends how it ended.
	EndAction(ctx context.Context, number int64, what string, r onramp.ActionResult) error
	// ListActions returns a page, the newest first.
	ListActions(ctx context.Context, f onramp.ActionFilter) (page []onramp.Action, next string, err error)
}

// LogVerifier verifies the logs whose entries are chained.
type LogVerifier interface {
	// VerifyLog reports what is wrong with a log, compared with anchors that were kept elsewhere, too.
	VerifyLog(ctx context.Context, log chain.Log, kept []chain.Anchor) (chain.Report, error)
}

// change is something that an operator does: every method of the Desk that changes something is
// carried out by audited, which is the one place that asks for the role and writes the audit log.
type change struct {
	what   string // object and verb, such as deliveries.retry
	role   onramp.Role
	object string // id or name; what can't be one is left out
	reason string // as the operator has typed it
}

// audited carries out a change. It is not begun unless the audit log has it.
func audited[V any](ctx context.Context, d *Desk, c change, do func(context.Context) (V, error)) (v V, err error) {
	caller := callerOf(ctx)
	if err := caller.Require(c.role); err != nil {
		return v, err
	}
	if d.Audit == nil {
		return do(ctx)
	}
	number, err := d.Audit.BeginAction(ctx, onramp.Action{By: caller.Name, What: c.what, Object: plainName(c.object), Reason: strings.TrimSpace(c.reason)})
	if err != nil {
		return v, err
	}
	v, err = do(ctx)
	result := onramp.ActionResult{Kind: resultOf(err)}
	if counted, ok := any(v).(interface{ changed() int64 }); ok {
		result.Count = counted.changed()
	}
	// the change is made: its caller must hear of that, and the line stays without a result
	if endErr := d.Audit.EndAction(context.WithoutCancel(ctx), number, c.what, result); endErr != nil {
		d.Log.ErrorContext(ctx, "the result of an action is missing in the audit log", "action", c.what, "number", number, "err", endErr)
	}
	return v, err
}

// name matches the ids and names that an audit line may have: nothing that could be an address or a
// person's name.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._-]{0,150}$`)

// plainName leaves out what is no id or name: nobody knows what was typed in its place.
func plainName(text string) string {
	if name.MatchString(text) {
		return text
	}
	return ""
}

var resultKinds = map[onramp.Kind]string{
	onramp.Internal: "failed", onramp.Malformed: "malformed", onramp.NotFound: "not_found", onramp.Conflict: "conflict", onramp.TooLarge: "too_large",
	onramp.Unsupported: "unsupported", onramp.Invalid: "invalid", onramp.Unavailable: "unavailable", onramp.Denied: "denied", onramp.Limited: "limited", onramp.Forbidden: "forbidden",
}

// resultOf is how an action ended.
func resultOf(err error) string {
	if err == nil {
		return onramp.ActionDone
	}
	if e, ok := errors.AsType[*onramp.Error](err); ok {
		return resultKinds[e.Kind]
	}
	return resultKinds[onramp.Internal]
}

// revealEvery is how often a list that shows personal values is recorded for a token.
const revealEvery = time.Minute

// reveal is that personal values are shown: of one object, or, without one, of a list.
type reveal struct{ what, object string }

// reveals remembers when lists with personal values were last recorded, by token and list.
type reveals struct {
	mu   sync.Mutex
	last map[[2]string]time.Time
}

// isDue says whether a list is to be recorded again.
func (r *reveals) isDue(by, what string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [2]string{by, what}
	if last, known := r.last[key]; known && now.Sub(last) < revealEvery {
		return false
	}
	if r.last == nil {
		r.last = map[[2]string]time.Time{}
	}
	r.last[key] = now
	return true
}

// reveals says whether personal values may be shown to the caller, and records it: of one object each
// time, of a list at most once a minute. While that can't be recorded none are shown.
func (d *Desk) reveals(ctx context.Context, r reveal) bool {
	caller := callerOf(ctx)
	if !caller.Has(onramp.RolePrivacy) {
		return false
	}
	if d.Audit == nil || r.object == "" && !d.revealed.isDue(caller.Name, r.what, time.Now()) {
		return true
	}
	_, err := d.Audit.BeginAction(ctx, onramp.Action{By: caller.Name, What: r.what, Object: plainName(r.object), Result: onramp.ActionResult{Kind: onramp.ActionDone}})
	if err != nil {
		d.Log.WarnContext(ctx, "personal values are hidden, since showing them can't be recorded in the audit log", "err", err)
	}
	return err == nil
}

// Action is a line of the audit log.
type Action struct {
	Number int64      `json:"number"`
	At     time.Time  `json:"at"`
	By     string     `json:"by"`   // name of the token
	What   string     `json:"what"` // such as deliveries.retry
	Object string     `json:"object,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Result string     `json:"result"` // done, the kind of the error, or unknown: its end was not recorded
	Count  int64      `json:"count,omitempty"`
	Ended  *time.Time `json:"ended_at,omitempty"`
}

var errNoAudit = &onramp.Error{Kind: onramp.Unavailable, Message: "this gateway has no audit log"}

// ListActions lists what operators did, the newest first. Reasons are shown to those who may see
// personal values.
func (d *Desk) ListActions(ctx context.Context, f onramp.ActionFilter) (Page[Action], error) {
	if d.Audit == nil {
		return Page[Action]{}, errNoAudit
	}
	found, next, err := d.Audit.ListActions(ctx, f)
	private := callerOf(ctx).Has(onramp.RolePrivacy)
	return newPage(found, next, time.Time{}, func(a *onramp.Action) Action {
		v := Action{Number: a.Number, At: a.At, By: a.By, What: a.What, Object: a.Object, Result: a.Result.Kind, Count: a.Result.Count, Ended: timePointer(a.Result.At)}
		if private {
			v.Reason = a.Reason
		}
		if v.Result == "" {
			v.Result = "unknown"
		}
		return v
	}), err
}

// Anchors are signed heads of chains that somebody has kept.
type Anchors struct {
	Anchors []chain.Anchor `json:"anchors,omitempty"`
}

// VerifyAudit verifies the audit log.
func (d *Desk) VerifyAudit(ctx context.Context, kept Anchors) (chain.Report, error) {
	return d.verify(ctx, chain.Audit, kept)
}

func (d *Desk) verify(ctx context.Context, log chain.Log, kept Anchors) (chain.Report, error) {
	if d.Chains == nil {
		return chain.Report{}, errNoAudit
	}
	return d.Chains.VerifyLog(ctx, log, kept.Anchors)
}
