package setup

import (
	"context"
	"errors"
	"slices"
	"time"

	"onramp/internal/onramp"
)

var errUndone = errors.New("the answer was a success, but nothing has changed in Marketing Cloud")

// isSilent says whether a step is answered by a status alone, which something in
// between could have given. What is created or updated comes back with its id.
func isSilent(s Step) bool { return s.Kind == Verify || s.Kind == Delete }

// confirm reads the actual state again after silent steps: a new plan must not have
// them any more.
func (s *Setup) confirm(ctx context.Context, seen *observed, fill planner, done []Step) error {
	if !slices.ContainsFunc(done, isSilent) {
		return nil
	}
	var undone *step
	for _, pause := range []time.Duration{0, time.Second, 2 * time.Second} {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		p, err := s.plan(ctx, seen, fill)
		if onramp.IsNotFound(err) {
			return nil // all of what was to be removed is gone
		}
		if err != nil {
			return failure("read the actual state from Marketing Cloud again", hintAgain, err)
		}
		if undone = p.repeats(done); undone == nil {
			return nil
		}
	}
	return failure(undone.String(), hintProxy, errUndone)
}

// repeats finds a silent step of the plan that was done already. What the plan creates
// is not in Marketing Cloud's lists, which is another matter.
func (p *plan) repeats(done []Step) *step {
	created := map[string]bool{}
	for i := range p.steps {
		st := &p.steps[i]
		if st.Kind == Create {
			created[st.Name] = true
		}
		again := func(d Step) bool { return d.Kind == st.Kind && d.Object == st.Object && d.Name == st.Name }
		if isSilent(st.Step) && !created[st.Name] && slices.ContainsFunc(done, again) {
			return st
		}
	}
	return nil
}
