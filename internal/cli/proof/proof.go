// Package proof looks for what a registration must have left in the gateway and in the
// sandbox, for onramp try. Use State.Prove first.
package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/operator"
)

// Step is something that happened to the registration.
type Step struct {
	At     time.Time
	What   string
	Detail string
}

const mailSent = "TransactionalSendEvents.EmailSent"

// IsMail says whether an item is the event of the journey's mail.
func IsMail(item onramp.TimelineItem) bool {
	return item.What == "event" && strings.HasPrefix(item.Detail, mailSent)
}

// State is the part of /_sandbox/state that is looked at.
type State struct {
	Tokens []struct {
		IssuedAt time.Time `json:"issued_at"`
	} `json:"tokens"`
	DataExtensions map[string]struct {
		Rows []map[string]any `json:"rows"`
	} `json:"data_extensions"`
	Journeys map[string]struct {
		Contacts []struct {
			ContactKey string    `json:"contact_key"`
			At         time.Time `json:"at"`
		} `json:"contacts"`
	} `json:"journeys"`
}

// Prove looks for every trace that a registration with its timeline must have left,
// on both sides, and says when: oldest first. The token is older than the registration.
func (s *State) Prove(r *operator.Registration, timeline []onramp.TimelineItem) ([]Step, error) {
	steps := []Step{{r.ReceivedAt, "accepted", "on disk, form " + r.Form}}
	if len(s.Tokens) == 0 {
		return nil, errors.New("the sandbox has issued no token")
	}
	steps = append(steps, Step{s.Tokens[0].IssuedAt, "token", fmt.Sprintf("%d requested", len(s.Tokens))})
	for _, d := range r.Deliveries {
		if d.State != onramp.DeliveryDelivered.String() {
			return nil, fmt.Errorf("the delivery to %s is %s, not delivered: %s", d.Destination, d.State, d.Reason)
		}
	}
	stored, err := s.findRow(r)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(timeline, IsMail) {
		return nil, errors.New("the sandbox's event " + mailSent + " has not come back")
	}
	for _, item := range timeline {
		if item.What == "event" {
			steps = append(steps, Step{item.At, "event", item.Detail})
		}
		if item.What != "delivered" {
			continue
		}
		what := "row"
		detail := fmt.Sprintf("in %s, %d columns", item.Destination, stored)
		if item.Destination == "journey:"+onlyKey(s.Journeys) {
			what, detail = "contact", "in "+item.Destination
			if !s.hasContact(r.SubscriberKey) {
				return nil, errors.New("the sandbox's journey does not have the contact")
			}
		}
		steps = append(steps, Step{item.At, what, detail + ", " + item.Detail})
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return a.At.Compare(b.At) })
	return steps, nil
}

// findRow checks that the row holds exactly what was accepted, and counts its
// columns.
func (s *State) findRow(r *operator.Registration) (columns int, err error) {
	var want map[string]any
	if err := json.Unmarshal(r.Values, &want); err != nil {
		return 0, fmt.Errorf("read values: %w", err)
	}
	want["SubscriberKey"] = r.SubscriberKey
	for _, table := range s.DataExtensions {
		for _, row := range table.Rows {
			if row["SubscriberKey"] != r.SubscriberKey {
				continue
			}
			for column, value := range want {
				if row[column] != value {
					return 0, fmt.Errorf("the row's column %s does not hold what was submitted", column)
				}
			}
			return len(row), nil
		}
	}
	return 0, errors.New("the sandbox's data extension does not have the row")
}

func (s *State) hasContact(key string) bool {
	for _, journey := range s.Journeys {
		for _, contact := range journey.Contacts {
			if contact.ContactKey == key {
				return true
			}
		}
	}
	return false
}

func onlyKey[V any](m map[string]V) string {
	for key := range m {
		return key
	}
	return ""
}
