package provision

import (
	"context"
	"errors"
	"fmt"

	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/sfmc/metadata"
)

// event is an event definition that forms fire.
type event struct {
	key          string
	name         string                    // for a new one
	have         *metadata.EventDefinition // nil: there is none yet
	extensionKey string                    // of the data extension that it is bound to; empty: not known
	extension    *extension
	journeys     []metadata.Journey
}

// readEvents reads the event definitions of all forms.
func (p *plan) readEvents(ctx context.Context) ([]*event, error) {
	var events []*event
	known := map[string]bool{}
	for i := range p.cfg.Forms {
		for _, to := range p.cfg.Forms[i].Route {
			if to.Kind != onramp.Journey || known[to.Key] {
				continue
			}
			known[to.Key] = true
			e := &event{key: to.Key, name: "Onramp " + p.cfg.Forms[i].Name}
			if err := p.readEvent(ctx, e); err != nil {
				return nil, err
			}
			events = append(events, e)
		}
	}
	return events, nil
}

func (p *plan) readEvent(ctx context.Context, e *event) error {
	have, err := p.cfg.Account.EventDefinition(ctx, e.key)
	if errors.Is(err, metadata.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e.have = have
	if have.DataExtensionID != "" {
		behind, err := p.cfg.Account.DataExtensionByID(ctx, have.DataExtensionID)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return err
		}
		if err == nil {
			e.extensionKey = behind.Key
		}
	}
	e.journeys, err = p.cfg.Account.Journeys(ctx, e.key)
	return err
}

// planEvent adds the steps for an event definition, whose data extension comes before it.
func (p *plan) planEvent(e *event) {
	switch {
	case e.have == nil:
		p.add(setup.Create, EventDefinition, e.key, "writes to the data extension "+e.extension.want.Key, func(ctx context.Context) error { return p.createEvent(ctx, e) })
	case e.extensionKey == "":
		p.leave(EventDefinition, e.key, "left alone: its data extension no longer exists; choose another one in Journey Builder → Entry Sources → "+e.have.Name)
	default:
		p.keep(EventDefinition, e.key, "writes to the data extension "+e.extensionKey)
	}
	p.planJourney(e)
}

// createEvent creates an event definition and reads it back.
func (p *plan) createEvent(ctx context.Context, e *event) error {
	bound := e.extension.have.ID
	if _, err := p.cfg.Account.CreateEventDefinition(ctx, metadata.EventDefinition{Key: e.key, Name: e.name, DataExtensionID: bound}); err != nil {
		return err
	}
	have, err := p.cfg.Account.EventDefinition(ctx, e.key)
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		return ignored("there is no event definition " + e.key)
	case err != nil:
		return err
	case have.DataExtensionID != bound:
		return ignored("the event definition is bound to another data extension, with the id " + have.DataExtensionID)
	}
	return nil
}

// planJourney says what becomes of the event: which journeys it starts, or what an admin
// has to do so that it starts one.
func (p *plan) planJourney(e *event) {
	name := e.name
	if e.have != nil {
		name = e.have.Name
	}
	if len(e.journeys) == 0 {
		p.byHand = append(p.byHand, Task{
			What: fmt.Sprintf("create a journey that begins with the API event %s (%s), and activate it", name, e.key),
			Menu: []string{"Journey Builder", "Create New Journey", "Multi-Step", "API Event", name, "Activate"},
		})
		return
	}
	for _, j := range e.journeys {
		if j.Published() {
			p.keep(Journey, j.Name, fmt.Sprintf("version %d is published", j.Version))
			return
		}
	}
	newest := e.journeys[0]
	p.byHand = append(p.byHand, Task{
		What: fmt.Sprintf("activate the journey %s: its version %d is %s", newest.Name, newest.Version, newest.Status),
		Menu: []string{"Journey Builder", newest.Name, "Activate"},
	})
}
