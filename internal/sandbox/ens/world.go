package ens

import "time"

// world is everything that Reset throws away. The host's lock guards it.
type world struct {
	host          *Host
	schemes       []*scheme       // in order of creation, like the others
	callbacks     []*callback     //
	subscriptions []*subscription //
	sender        sender
}

func newWorld(host *Host, settings Sending) *world {
	return &world{host: host, sender: newSender(settings)}
}

// scheme is an authentication scheme: where and how a token for callbacks is
// fetched. The sensitive fields are never returned (vendor page
// ens-oauth2-support).
type scheme struct {
	id, authType, grantType, authEndpoint      string
	clientID, clientSecret, username, password string

	token   string    // of the last request, until it expires or is refused; "" when there is none
	tokenTo time.Time // on the host's clock; zero: until it is refused
}

// callback is a webhook of the customer's.
type callback struct {
	id, name, url string
	authID        string // of its scheme; "" when the signature alone protects it
	maxBatchSize  int    // events in one request
	signatureKey  string // base64 of 32 bytes

	verified        bool
	verificationKey string    // what the probe has brought; "" once it was used
	verifyBy        time.Time // on the host's clock; later the key is dead

	// A change has effect from changedFrom on; until then these have (see terms).
	changedFrom        time.Time
	beforeAuthID       string
	beforeMaxBatchSize int
}

// subscription is which events go to a callback.
type subscription struct {
	id, name, callbackID string
	status, statusReason string // active or paused
	types                []string
	filters              []string  // name=value, all of which must match
	activeFrom           time.Time // on the host's clock: types and filters have no effect before

	beforeTypes, beforeFilters []string // have effect until activeFrom; no types: nothing is sent
}

func (w *world) scheme(id string) *scheme {
	for _, s := range w.schemes {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (w *world) callback(id string) *callback {
	for _, c := range w.callbacks {
		if c.id == id {
			return c
		}
	}
	return nil
}

// subscriptionsOf lists the subscriptions of a callback.
func (w *world) subscriptionsOf(callbackID string) []*subscription {
	var list []*subscription
	for _, s := range w.subscriptions {
		if s.callbackID == callbackID {
			list = append(list, s)
		}
	}
	return list
}
