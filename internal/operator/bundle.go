package operator

import (
	"context"
	"strconv"
	"strings"
	"time"

	"onramp/internal/bundle"
	"onramp/internal/onramp"
)

// BundleRequest says what goes into a debug bundle.
type BundleRequest struct {
	Offline bool `json:"offline"` // no checks that call Marketing Cloud or other systems
}

// Bundle is the files of a debug bundle, without secrets and personal data.
type Bundle struct {
	Files []bundle.File `json:"files"`
}

// Bundle collects what a bug report needs. It takes as long as the checks take, up to two
// minutes; one is made at a time, and the error is of kind Conflict while another one is. See package bundle for
// what is masked.
func (d *Desk) Bundle(ctx context.Context, r BundleRequest) (Bundle, error) {
	return audited(ctx, d, change{what: "debug.bundle", role: onramp.RoleOperate}, func(ctx context.Context) (Bundle, error) {
		return d.makeBundle(ctx, r)
	})
}

func (d *Desk) makeBundle(ctx context.Context, r BundleRequest) (Bundle, error) {
	if d.Sources == nil {
		return Bundle{}, &onramp.Error{Kind: onramp.Unavailable, Message: "this gateway makes no debug bundles"}
	}
	if !d.bundling.TryLock() {
		return Bundle{}, &onramp.Error{Kind: onramp.Conflict, Message: "a debug bundle is being made already: try again in a minute"}
	}
	defer d.bundling.Unlock()
	sources := []bundle.Source{
		{Name: "status.json", What: "what onramp status shows", Read: func(ctx context.Context) (any, error) { return d.Status(ctx) }},
		{Name: "failures.json", What: "dead and unknown deliveries, grouped by cause", Read: func(ctx context.Context) (any, error) { return d.groupFailures(ctx) }},
	}
	files, err := bundle.Collect(ctx, append(d.Sources(r), sources...))
	if err == nil {
		d.Log.InfoContext(ctx, "debug bundle made", "files", len(files))
	}
	return Bundle{files}, err
}

// failureGroup is a Cause without what could name somebody.
type failureGroup struct {
	Destination string         `json:"destination"`
	Route       bundle.Plain   `json:"route"` // kind of destination
	State       bundle.Plain   `json:"state"`
	Count       int64          `json:"count"`
	Reason      string         `json:"reason"`
	Newest      *failedAttempt `json:"newest"` // the last attempt of the newest one
}

type failedAttempt struct {
	At      time.Time     `json:"at"`
	Took    time.Duration `json:"took"`
	Outcome bundle.Plain  `json:"outcome"`
	Status  int           `json:"status"`
	Code    string        `json:"code"` // as a text, so that one that is not Marketing Cloud's is masked
	Detail  string        `json:"detail"`
	Hint    string        `json:"hint"`
	NotSent bool          `json:"not_sent"`
	Tries   int           `json:"tries"`
}

// maxGroups is how many groups of failures a bundle has, the largest ones.
const maxGroups = 50

func (d *Desk) groupFailures(ctx context.Context) ([]failureGroup, error) {
	causes, err := d.ListCauses(ctx, onramp.Filter{})
	if err != nil {
		return nil, err
	}
	groups := []failureGroup{}
	for _, c := range causes.Items[:min(len(causes.Items), maxGroups)] {
		kind, _, _ := strings.Cut(c.Destination, ":")
		group := failureGroup{Destination: c.Destination, Route: bundle.Plain(kind), State: bundle.Plain(c.State), Count: c.Count, Reason: c.Reason}
		if group.Newest, err = d.lastAttempt(ctx, c.Newest); err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// lastAttempt is nil when there was none.
func (d *Desk) lastAttempt(ctx context.Context, id string) (*failedAttempt, error) {
	one, err := d.FindDelivery(ctx, id)
	if err != nil || len(one.Attempts) == 0 {
		return nil, err
	}
	a := one.Attempts[len(one.Attempts)-1]
	return &failedAttempt{
		At: a.StartedAt, Took: time.Duration(a.TookMS * float64(time.Millisecond)), Outcome: bundle.Plain(a.Outcome), Status: a.Status,
		Code: strconv.Itoa(a.Code), Detail: a.Detail, Hint: a.Hint, NotSent: a.NotSent, Tries: one.Tries,
	}, nil
}
