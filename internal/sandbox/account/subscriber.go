package account

import "time"

// Subscriber is a person in the list of all subscribers.
type Subscriber struct {
	ID                int64
	Key, Email        string
	Status            string // Active, Unsubscribed, Held or Bounced
	Format            string // HTML or Text
	Created, Modified time.Time
	Unsubscribed      time.Time // zero: never
}

// AddSubscriber takes a new subscriber in, whose key is not there yet.
func (u *Unit) AddSubscriber(key, email string, now time.Time) *Subscriber {
	s := &Subscriber{ID: u.account.nextID(), Key: key, Email: email, Status: Active, Format: "HTML", Created: now, Modified: now}
	u.Subscribers[key] = s
	return s
}
