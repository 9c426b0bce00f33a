package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/sfmc/metadata"
)

// events checks the event definitions that routes lead to.
func (c *Checks) events(ctx context.Context) ([]Finding, bool) {
	return c.eachDestination(ctx, onramp.Journey, c.event), false
}

func (c *Checks) event(ctx context.Context, to onramp.Destination) []Finding {
	event, err := c.account.EventDefinition(ctx, to.Key)
	if errors.Is(err, metadata.ErrNotFound) {
		return []Finding{failure(to.Key, "the business unit has no event definition with this key").
			mend(Operator, "set event_definition_key to the key of the API event that the journey starts with, which is not the journey's id").
			at("Journey Builder", "Entry Sources", "API Event", "Event Definition Key")}
	}
	if err != nil {
		return []Finding{c.unanswered(to.Key, err, to)}
	}
	findings := slices.Concat(c.started(ctx, event, to), c.eventData(ctx, event, to))
	if len(findings) == 0 {
		return []Finding{ok(to.Key, "it exists, starts a running journey, and takes the form's columns")}
	}
	return findings
}

// The states of a journey, as Journey Builder calls them.
const (
	published = "published"
	running   = "running"
	paused    = "paused"
)

// started says whether a journey runs that begins with the event.
func (c *Checks) started(ctx context.Context, event *metadata.EventDefinition, to onramp.Destination) []Finding {
	journeys, err := c.account.Journeys(ctx, to.Key)
	if err != nil {
		return []Finding{c.unanswered(to.Key, err, to)}
	}
	is := func(j metadata.Journey, states ...string) bool {
		return slices.Contains(states, strings.ToLower(j.Status))
	}
	if slices.ContainsFunc(journeys, func(j metadata.Journey) bool { return is(j, published, running) }) {
		return nil
	}
	if len(journeys) == 0 {
		if event.PublishedJourneys > 0 {
			return nil // which the list lacks for some reason
		}
		return []Finding{failure(to.Key, "no journey begins with this event: nobody would enter one").
			mend(Admin, "create a journey with this API event as its entry source, and publish it").at("Journey Builder", "Create New Journey", "Multi-Step", "API Event")}
	}
	var states []string
	isPaused := false
	for _, j := range journeys {
		states = append(states, fmt.Sprintf("%s (version %d) is %s", j.Name, j.Version, strings.ToLower(j.Status)))
		isPaused = isPaused || is(j, paused)
	}
	f := failure(to.Key, "no journey that begins with this event is running: "+strings.Join(states, ", "))
	if isPaused {
		f.Level = Warning
		return []Finding{f.mend(Admin, "resume the journey "+journeys[0].Name).at("Journey Builder", journeys[0].Name, "Resume")}
	}
	return []Finding{f.mend(Admin, "publish the journey "+journeys[0].Name+", or a new version of it").at("Journey Builder", journeys[0].Name, "Activate")}
}

// eventData compares the data extension behind the event with what the form sends. One
// that a route writes to as well is compared there.
func (c *Checks) eventData(ctx context.Context, event *metadata.EventDefinition, to onramp.Destination) []Finding {
	if event.DataExtensionID == "" {
		if len(event.Schema) == 0 {
			return nil // an event without data
		}
		schema := &metadata.DataExtension{Key: to.Key, Name: event.Name, Fields: event.Schema}
		return c.columns(&table{DataExtension: schema, menu: eventMenu(event)}, to)
	}
	behind, err := c.account.DataExtensionByID(ctx, event.DataExtensionID)
	if errors.Is(err, metadata.ErrNotFound) {
		return []Finding{failure(to.Key, "the data extension of this event no longer exists").
			mend(Admin, "choose another data extension for the API event").at(eventMenu(event)...)}
	}
	if lack, ok := errors.AsType[*metadata.ScopeError](err); ok && lack.Scope == scopeExtensionsRead {
		return c.unseen(to.Key)
	}
	if err != nil {
		return []Finding{c.unanswered(to.Key, err, to)}
	}
	own := func(d onramp.Destination) bool { return strings.EqualFold(d.Key, behind.Key) }
	if slices.ContainsFunc(c.destinations(onramp.DataExtension), own) {
		return nil
	}
	t := &table{DataExtension: behind, menu: extensionMenu(behind.Name, "Fields")}
	found := slices.Concat(c.columns(t, to), sendable(t, true, ""))
	for i := range found {
		found[i].Object = to.Key + ", data extension " + found[i].Object
	}
	return found
}

// unseen is that the data extension of an event can't be read for want of a scope, unless
// that is told already.
func (c *Checks) unseen(key string) []Finding {
	if slices.Contains(c.lacking, scopeExtensionsRead) {
		return nil
	}
	return []Finding{warning(key, "its columns can't be compared without the scope "+scopeExtensionsRead).
		mend(Admin, "give the package Data | Data Extensions: Read").at(packageMenu("(the package)", "API Integration", "Edit", "Data", "Data Extensions", "Read")...)}
}

func eventMenu(event *metadata.EventDefinition) []string {
	return []string{"Journey Builder", "Entry Sources", event.Name}
}

// messages checks the message definitions that routes lead to.
func (c *Checks) messages(ctx context.Context) ([]Finding, bool) {
	return c.eachDestination(ctx, onramp.Message, c.message), false
}

func (c *Checks) message(ctx context.Context, to onramp.Destination) []Finding {
	definition, err := c.account.MessageDefinition(ctx, to.Key)
	menu := []string{"Journey Builder", "Transactional Messaging", to.Key}
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		return []Finding{failure(to.Key, "the business unit has no message definition with this key").
			mend(Operator, "set definition_key to that of a transactional email").at("Journey Builder", "Transactional Messaging")}
	case err != nil:
		return []Finding{c.unanswered(to.Key, err, to)}
	case !strings.EqualFold(definition.Status, "Active"):
		return []Finding{failure(to.Key, fmt.Sprintf("its status is %s: messages are taken and stay queued", definition.Status)).
			mend(Admin, "activate the message definition").at(append(menu, "Activate")...)}
	}
	return []Finding{ok(to.Key, "it exists and is active")}
}
