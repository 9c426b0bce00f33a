package setup

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// step is a step of a plan, with how to take it.
type step struct {
	Step
	do   func(ctx context.Context) error // nil: there is nothing to do
	hint string                          // what helps when it fails for its own reason
}

// subject is what a step is about.
type subject struct {
	object Object
	name   string
}

func (st *step) subject() subject { return subject{st.Object, st.Name} }

// errReplan stops a plan that was made from wrong lists; observed says what is
// wrong in them.
var errReplan = errors.New("the actual state differs from what Marketing Cloud lists")

// observed is what steps have found out about the actual state that Marketing
// Cloud's lists don't say.
type observed struct {
	missing  map[string]bool // schemes that don't exist, by id
	rejected map[string]bool // callbacks whose verification key was rejected, by id
	created  map[string]bool // callbacks that this run has created, by id
}

func newObserved() *observed {
	return &observed{missing: map[string]bool{}, rejected: map[string]bool{}, created: map[string]bool{}}
}

// plan is the way from the actual state to the desired one. A step uses what the
// ones before it find out, such as the id of a new callback.
type plan struct {
	*Setup
	actual   *inventory
	observed *observed
	steps    []step
	cleanups []step // what the current step has cleaned up when it failed
}

func (p *plan) add(st step) { p.steps = append(p.steps, st) }

// keep adds a line about something that is as it should be.
func (p *plan) keep(object Object, name, detail string) {
	p.add(step{Step: Step{Kind: Keep, Object: object, Name: name, Detail: detail, Kept: true}})
}

// leave adds a line about something that the configuration does not ask for, and
// why it stays.
func (p *plan) leave(object Object, name, why string) {
	p.add(step{Step: Step{Kind: Leave, Object: object, Name: name, Detail: why, Kept: true}})
}

const (
	notConfigured = "not in the configuration"
	leftAsItIs    = notConfigured + "; left as it is (delete it with --prune)"
)

// setupPlanner plans what Apply does. Deletions come after all callbacks exist,
// and before subscriptions are created, since a subscription's name may have moved
// from one callback to another.
func setupPlanner(prune bool) planner {
	return func(p *plan) error {
		if len(p.cfg.Callbacks) == 0 {
			return &onramp.Error{Kind: onramp.Invalid, Message: "no callbacks are configured: add one under ens.callbacks; onramp ens remove deletes those in Marketing Cloud"}
		}
		schemes, err := p.planSchemes()
		if err != nil {
			return err
		}
		callbacks := make([]*callback, len(p.cfg.Callbacks))
		for i := range p.cfg.Callbacks {
			callbacks[i] = p.newCallback(&p.cfg.Callbacks[i], schemes)
			if err := p.planCallback(callbacks[i], prune); err != nil {
				return err
			}
		}
		for _, cb := range callbacks {
			p.planUnmanagedSubscriptions(cb, prune)
		}
		unmanaged := p.actual.unmanaged(p.cfg.Callbacks)
		for _, u := range unmanaged {
			p.planUnmanagedCallback(u, prune)
		}
		for _, cb := range callbacks {
			p.planSubscriptions(cb)
		}
		p.planUnmanagedSchemes(schemes, prune)
		for _, u := range unmanaged {
			if prune {
				p.forget(u.name)
			}
		}
		return nil
	}
}

// unmanagedCallback is a callback of ours that is no longer in the configuration.
type unmanagedCallback struct {
	name      string
	callbacks []sfmc.Callback // in Marketing Cloud; none when there is only our record
}

// unmanaged lists our callbacks that are not in the configuration.
func (h *inventory) unmanaged(configured []onramp.Callback) []unmanagedCallback {
	names := h.names()
	for i := range configured {
		delete(names, configured[i].Name)
	}
	var list []unmanagedCallback
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, unmanagedCallback{name, h.callbacksOf(name)})
	}
	return list
}

func (p *plan) planUnmanagedCallback(u unmanagedCallback, prune bool) {
	if !prune {
		p.leave(Callback, u.name, leftAsItIs)
		return
	}
	for _, c := range u.callbacks {
		p.deleteCallback(u.name, c, notConfigured)
	}
}

// deleteCallback deletes a callback in Marketing Cloud in the order that it
// requires: its subscriptions first.
func (p *plan) deleteCallback(name string, c sfmc.Callback, why string) {
	for _, sub := range p.actual.subscriptions[c.CallbackID] {
		p.deleteSubscription(name, sub, why)
	}
	p.add(step{
		Step: Step{Kind: Delete, Object: Callback, Name: name, Detail: why},
		do: func(ctx context.Context) error {
			return ignoreNotFound(p.cfg.Account.DeleteCallback(ctx, c.CallbackID))
		},
		hint: "a subscription may have been added to it in the meantime: run the command again to delete that one, too",
	})
}

func (p *plan) deleteSubscription(callback string, sub sfmc.Subscription, why string) {
	p.add(step{
		Step: Step{Kind: Delete, Object: Subscription, Name: sub.SubscriptionName, Detail: "of callback " + callback + ": " + why},
		do: func(ctx context.Context) error {
			return ignoreNotFound(p.cfg.Account.DeleteSubscription(ctx, sub.SubscriptionID))
		},
		hint: hintAgain,
	})
}

// forget deletes our record of a callback. It comes last: until then the record
// is how a setup after an interruption finds what is still to be deleted.
func (p *plan) forget(name string) {
	if _, recorded := p.actual.records[name]; !recorded {
		return
	}
	p.add(step{
		Step: Step{Kind: Forget, Object: Callback, Name: name, Detail: "its id and signature key"},
		do: func(ctx context.Context) error {
			if err := p.cfg.Records.DeleteCallbackRecord(ctx, name); err != nil {
				return err
			}
			return p.changed(ctx)
		},
		hint: hintAgain,
	})
}

// same compares sets of strings.
func same(a, b []string) bool {
	sorted := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(sorted(a), sorted(b))
}

func byName[T any](list []T, name func(T) string) []T {
	return slices.SortedStableFunc(slices.Values(list), func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}
