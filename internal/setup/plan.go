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

// step is one thing to do, or to leave.
type step struct {
	Step
	do   func(ctx context.Context) error // nil: nothing
	hint string                          // what helps when it fails for a reason of its own
}

// subject is what a step is about.
type subject struct {
	object Object
	name   string
}

func (st *step) subject() subject { return subject{st.Object, st.Name} }

// errLearned stops a plan that was drawn in error: the lessons say what is so.
var errLearned = errors.New("what Marketing Cloud lists is not so")

// lessons are what steps have found out that Marketing Cloud's lists don't tell.
type lessons struct {
	gone map[string]bool // schemes that are not there, by id
	dead map[string]bool // callbacks whose verification key was not taken, by id
	made map[string]bool // callbacks that this very run has made, by id
}

func newLessons() *lessons {
	return &lessons{gone: map[string]bool{}, dead: map[string]bool{}, made: map[string]bool{}}
}

// plan is the way from what there is to what is to be. Steps share what the ones
// before them find out, such as the id of a new callback.
type plan struct {
	*Setup
	have    *inventory
	learned *lessons
	steps   []step
	besides []step // done by the step of the moment besides what it is there for
}

func (p *plan) add(st step) { p.steps = append(p.steps, st) }

// keep adds a line about something that is as it should be.
func (p *plan) keep(object Object, name, detail string) {
	p.add(step{Step: Step{Kind: Keep, Object: object, Name: name, Detail: detail, Kept: true}})
}

// leave adds a line about something that stays although nothing asks for it, and
// why.
func (p *plan) leave(object Object, name, why string) {
	p.add(step{Step: Step{Kind: Leave, Object: object, Name: name, Detail: why, Kept: true}})
}

const leftAlone = "not in the configuration; left alone (remove with --prune)"

// setupDrawing draws the plan of Apply. What is to be deleted is deleted only when
// all callbacks stand, and before the subscriptions are made, since a name may
// have moved from one callback to another.
func setupDrawing(prune bool) drawing {
	return func(p *plan) error {
		if len(p.Callbacks) == 0 {
			return &onramp.Error{Kind: onramp.Invalid, Message: "no callbacks are configured: name one under ens.callbacks; onramp ens remove takes away what there is"}
		}
		schemes, err := p.drawSchemes()
		if err != nil {
			return err
		}
		places := make([]*place, len(p.Callbacks))
		for i := range p.Callbacks {
			places[i] = p.newPlace(&p.Callbacks[i], schemes)
			if err := p.drawCallback(places[i], prune); err != nil {
				return err
			}
		}
		for _, pl := range places {
			p.drawExtraSubscriptions(pl, prune)
		}
		extra := p.have.extra(p.Callbacks)
		for _, o := range extra {
			p.drawExtraCallback(o, prune)
		}
		for _, pl := range places {
			p.drawSubscriptions(pl)
		}
		p.drawExtraSchemes(schemes, prune)
		for _, o := range extra {
			if prune {
				p.forget(o.name)
			}
		}
		return nil
	}
}

// orphan is a callback of ours that the configuration does not name.
type orphan struct {
	name      string
	callbacks []sfmc.Callback // in Marketing Cloud; none when it is only recorded
}

// extra lists the callbacks of ours that the configuration does not name.
func (h *inventory) extra(configured []onramp.Callback) []orphan {
	names := h.names()
	for i := range configured {
		delete(names, configured[i].Name)
	}
	var list []orphan
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, orphan{name, h.callbacksOf(name)})
	}
	return list
}

func (p *plan) drawExtraCallback(o orphan, prune bool) {
	if !prune {
		p.leave(Callback, o.name, leftAlone)
		return
	}
	for _, c := range o.callbacks {
		p.deleteCallback(o.name, c, "not in the configuration")
	}
}

// deleteCallback deletes a callback in Marketing Cloud in the order that the
// vendor demands: what hangs on it goes first.
func (p *plan) deleteCallback(name string, c sfmc.Callback, why string) {
	for _, sub := range p.have.subscriptions[c.CallbackID] {
		p.deleteSubscription(name, sub, why)
	}
	p.add(step{
		Step: Step{Kind: Delete, Object: Callback, Name: name, Detail: why},
		do: func(ctx context.Context) error {
			return unlessGone(p.Account.DeleteCallback(ctx, c.CallbackID))
		},
		hint: "a subscription may have come to it in the meantime: run the command again, it deletes that one, too",
	})
}

func (p *plan) deleteSubscription(callback string, sub sfmc.Subscription, why string) {
	p.add(step{
		Step: Step{Kind: Delete, Object: Subscription, Name: sub.SubscriptionName, Detail: "of callback " + callback + ": " + why},
		do: func(ctx context.Context) error {
			return unlessGone(p.Account.DeleteSubscription(ctx, sub.SubscriptionID))
		},
		hint: hintAgain,
	})
}

// forget deletes our record of a callback. It comes last, so that what is to be
// deleted with it is found after an interruption.
func (p *plan) forget(name string) {
	if _, kept := p.have.records[name]; !kept {
		return
	}
	p.add(step{
		Step: Step{Kind: Forget, Object: Callback, Name: name, Detail: "its id and signature key"},
		do: func(ctx context.Context) error {
			if err := p.Store.DeleteCallbackRecord(ctx, name); err != nil {
				return err
			}
			return p.changed(ctx)
		},
		hint: hintAgain,
	})
}

// same compares sets of texts.
func same(a, b []string) bool {
	sorted := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(sorted(a), sorted(b))
}

func byName[T any](list []T, name func(T) string) []T {
	return slices.SortedStableFunc(slices.Values(list), func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}
