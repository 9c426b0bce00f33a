package setup

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// PlanRemoval gives the steps that Remove would take at this moment, and changes
// nothing. Errors are those of Plan, and one of kind NotFound for a name that is
// neither configured, nor recorded, nor in Marketing Cloud.
func (s *Setup) PlanRemoval(ctx context.Context, names []string) ([]Step, error) {
	return s.preview(ctx, removalPlanner(names))
}

// Remove deletes the named callbacks in Marketing Cloud, or without names all of
// ours, and returns the steps that it took, also with an error: first their
// subscriptions, then the callbacks, then the schemes that no callback uses any
// more, and finally our records. It can be run again after a stop at any point.
// Errors are those of PlanRemoval.
func (s *Setup) Remove(ctx context.Context, names []string) (done []Step, err error) {
	return s.apply(ctx, removalPlanner(names))
}

func removalPlanner(names []string) planner {
	return func(p *plan) error {
		targets, err := p.targets(names)
		if err != nil {
			return err
		}
		for _, name := range targets {
			for _, c := range p.actual.callbacksOf(name) {
				p.deleteCallback(name, c, c.URL)
			}
		}
		p.planUnusedSchemes(targets)
		for _, name := range targets {
			p.forget(name)
		}
		return nil
	}
}

// targets are the callbacks to remove, by name.
func (p *plan) targets(names []string) ([]string, error) {
	known := p.actual.names()
	for i := range p.cfg.Callbacks {
		known[p.cfg.Callbacks[i].Name] = true
	}
	all := slices.Sorted(maps.Keys(known))
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !known[name] {
			return nil, &onramp.Error{Kind: onramp.NotFound, Message: fmt.Sprintf("there is no callback %q, neither in the configuration nor in Marketing Cloud", name)}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}

// planUnusedSchemes deletes our schemes that no callback uses once the targets are
// deleted.
func (p *plan) planUnusedSchemes(targets []string) {
	for _, s := range p.actual.ownSchemes(p.tokenURL()) {
		i := slices.IndexFunc(p.actual.callbacks, func(c sfmc.Callback) bool {
			name, ours := p.actual.owner(c)
			return p.actual.schemeOf(c) == s.AuthID && (!ours || !slices.Contains(targets, name))
		})
		if i < 0 {
			p.deleteScheme(s, "no other callback uses it")
		} else {
			p.leave(Scheme, s.Name, "callback "+p.actual.callbacks[i].CallbackName+" uses it")
		}
	}
}
