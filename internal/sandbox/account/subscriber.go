package account

import "time"

// Subscriber is a person in the list of all subscribers.
type Subscriber struct {
	ID           int64     `json:"id"`
	Key          string    `json:"key"`
	Email        string    `json:"email"`
	Status       string    `json:"status"` // Active, Unsubscribed, Held or Bounced
	Format       string    `json:"format"` // HTML or Text
	Created      time.Time `json:"created_at"`
	Modified     time.Time `json:"modified_at"`
	Unsubscribed time.Time `json:"unsubscribed_at,omitzero"` // zero: never
}

// AddSubscriber takes a new subscriber in, whose key is not there yet, and makes the
// contact if there is none.
func (u *Unit) AddSubscriber(key, email string, now time.Time) *Subscriber {
	s := &Subscriber{ID: u.account.nextID(), Key: key, Email: email, Status: Active, Format: "HTML", Created: now, Modified: now}
	u.Subscribers[key] = s
	u.account.Establish(key, email, now)
	return s
}
