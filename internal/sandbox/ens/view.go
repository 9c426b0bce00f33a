package ens

import (
	"slices"
	"time"
)

// Callback is a callback of the Event Notification Service in a View, with what
// is on its way to it. It has no keys.
type Callback struct {
	CallbackID   string `json:"callback_id"`
	Name         string `json:"name"`
	URL          string `json:"url"`
	AuthID       string `json:"auth_id,omitempty"` // of its authentication scheme
	MaxBatchSize int    `json:"max_batch_size"`
	Status       string `json:"status"` // verified or unverified
	// Queued counts the events that are on their way, and Deferred the batches
	// among them that were not taken and wait until NextAt to be sent again.
	Queued   int        `json:"queued"`
	Deferred int        `json:"deferred"`
	NextAt   *time.Time `json:"next_at,omitempty"` // of the next batch, or redelivery
	// Sent and SentEvents count the batches, and the events in them, that the
	// callback took; Failed counts requests that it did not take; Dropped counts
	// events that were given up.
	Sent       int `json:"sent"`
	SentEvents int `json:"sent_events"`
	Failed     int `json:"failed"`
	Dropped    int `json:"dropped"`
	// SuspendedUntil is set while events are dropped for a while: see
	// RetriesLegacy.
	SuspendedUntil *time.Time `json:"suspended_until,omitempty"`
	// LastStatus is the HTTP status of the last request, 0 when it had no answer;
	// then LastProblem says why.
	LastAt      *time.Time `json:"last_at,omitempty"`
	LastStatus  int        `json:"last_status,omitempty"`
	LastProblem string     `json:"last_problem,omitempty"`
}

// Subscription is a subscription to events in a View.
type Subscription struct {
	SubscriptionID string   `json:"subscription_id"`
	Name           string   `json:"name"`
	CallbackID     string   `json:"callback_id"`
	Types          []string `json:"types"`
	Filters        []string `json:"filters"` // name=value
	Status         string   `json:"status"`  // active or paused
	StatusReason   string   `json:"status_reason,omitempty"`
	// ActiveFrom is when this begins to have effect; until then it is as it was
	// before the last change.
	ActiveFrom time.Time `json:"active_from"`
}

// Delivery is a request with events in a View.
type Delivery struct {
	At       time.Time `json:"at"`
	Callback string    `json:"callback"` // name
	Events   int       `json:"events"`
	Bytes    int       `json:"bytes"`
	Status   int       `json:"status,omitempty"`  // 0 when there was no answer
	Problem  string    `json:"problem,omitempty"` // why there was none
}

// View is everything that a Service holds, in order of creation.
type View struct {
	Callbacks     []Callback
	Subscriptions []Subscription
	Deliveries    []Delivery // the newest 500 or more
	Sent          int        // requests with events, also those forgotten
	Coming        int        // events that are still to happen
}

// View returns a copy of everything. It needs the host's lock.
func (s *Service) View() View {
	w := s.world
	return View{
		Callbacks: w.callbackViews(s.host.Now()), Subscriptions: w.subscriptionViews(), Deliveries: w.deliveryViews(),
		Sent: w.sender.sends, Coming: len(w.sender.coming),
	}
}

// callbackViews are the callbacks as a View shows them. It needs the host's lock.
func (w *world) callbackViews(now time.Time) []Callback {
	list := []Callback{}
	for _, cb := range w.callbacks {
		v := Callback{
			CallbackID: cb.id, Name: cb.name, URL: cb.url, AuthID: cb.authID, MaxBatchSize: cb.maxBatchSize, Status: cb.withStatus().Status,
		}
		if q := w.sender.queues[cb.id]; q != nil {
			v.Queued, v.Deferred = q.count, q.deferred()
			v.Sent, v.SentEvents, v.Failed, v.Dropped = q.taken, q.takenEvents, q.failed, q.dropped
			v.LastStatus, v.LastProblem = q.last.status, q.last.problem
			v.LastAt = moment(q.last.at)
			v.NextAt = moment(q.wake(w.sender.settings.window()))
			if now.Before(q.suspendedUntil) {
				v.SuspendedUntil = moment(q.suspendedUntil)
			}
		}
		list = append(list, v)
	}
	return list
}

// moment is a time, or nil when there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// subscriptionViews are the subscriptions as a View shows them. It needs the
// host's lock.
func (w *world) subscriptionViews() []Subscription {
	list := []Subscription{}
	for _, sub := range w.subscriptions {
		list = append(list, Subscription{
			SubscriptionID: sub.id, Name: sub.name, CallbackID: sub.callbackID, Types: slices.Clone(sub.types),
			Filters: append([]string{}, sub.filters...), Status: sub.status, StatusReason: sub.statusReason, ActiveFrom: sub.activeFrom,
		})
	}
	return list
}

// deliveryViews are the requests as a View shows them. It needs the host's lock.
func (w *world) deliveryViews() []Delivery {
	list := []Delivery{}
	for _, d := range w.sender.log {
		list = append(list, Delivery{At: d.at, Callback: d.callback, Events: d.events, Bytes: d.bytes, Status: d.status, Problem: d.problem})
	}
	return list
}
