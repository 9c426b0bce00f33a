package operator

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"onramp/internal/onramp"
)

// longestReason is in characters. The reason stands in a line of the status.
const longestReason = 500

// PauseDestination has nothing sent to a destination any more, until it is resumed,
// and returns it; what is in flight is finished. It needs a reason; one that is
// paused already gets the new one. The error is of kind Invalid, or NotFound with the
// names that there are.
func (d *Desk) PauseDestination(ctx context.Context, name, reason string) (DestinationStatus, error) {
	return audited(ctx, d, change{what: "destinations.pause", role: onramp.RoleOperate, object: name, reason: reason}, func(ctx context.Context) (DestinationStatus, error) {
		return d.pauseDestination(ctx, name, reason)
	})
}

func (d *Desk) pauseDestination(ctx context.Context, name, reason string) (DestinationStatus, error) {
	reason = strings.Join(strings.Fields(reason), " ")
	switch {
	case reason == "":
		return DestinationStatus{}, invalidField("reason", "is required", "a pause needs a reason")
	case utf8.RuneCountInString(reason) > longestReason:
		return DestinationStatus{}, invalidField("reason", "can have at most 500 characters", "the reason is too long")
	}
	if err := d.checkDestination(name); err != nil {
		return DestinationStatus{}, err
	}
	if err := d.Changes.PauseDestination(ctx, name, reason); err != nil {
		return DestinationStatus{}, err
	}
	d.Log.InfoContext(ctx, "destination paused", "destination", name, "reason", reason)
	return d.findDestination(ctx, name)
}

// ResumeDestination ends a pause and returns the destination. The error is of kind
// Conflict when it is not paused, or NotFound with the names that there are.
func (d *Desk) ResumeDestination(ctx context.Context, name string) (DestinationStatus, error) {
	return audited(ctx, d, change{what: "destinations.resume", role: onramp.RoleOperate, object: name}, func(ctx context.Context) (DestinationStatus, error) {
		return d.resumeDestination(ctx, name)
	})
}

func (d *Desk) resumeDestination(ctx context.Context, name string) (DestinationStatus, error) {
	if err := d.checkDestination(name); err != nil {
		return DestinationStatus{}, err
	}
	unknown, err := d.Changes.ResumeDestination(ctx, name)
	if err != nil {
		return DestinationStatus{}, err
	}
	d.Log.InfoContext(ctx, "destination resumed", "destination", name, "became_unknown", unknown)
	return d.findDestination(ctx, name)
}

func (d *Desk) findDestination(ctx context.Context, name string) (DestinationStatus, error) {
	all := d.Overview().Destinations
	at := slices.IndexFunc(all, func(one Destination) bool { return one.Name == name })
	if at < 0 {
		return DestinationStatus{}, noDestination(name, all)
	}
	return d.destinationStatus(ctx, &all[at])
}

func (d *Desk) checkDestination(name string) error {
	all := d.Overview().Destinations
	if !slices.ContainsFunc(all, func(one Destination) bool { return one.Name == name }) {
		return noDestination(name, all)
	}
	return nil
}

func noDestination(name string, all []Destination) error {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return &onramp.Error{Kind: onramp.NotFound, Message: "there is no destination " + name + ": use " + strings.Join(names, ", ")}
}
