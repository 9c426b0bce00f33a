package sandbox

import (
	"context"
	"time"
)

// Effective is what of a subscription has effect now.
func (s *Sandbox) Effective(subscriptionID string) (types, filters []string, active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world.ens.effective(s.world.ens.findSubscription(subscriptionID), s.now())
}

// Terms are the scheme and the size of requests that a callback has now.
func (s *Sandbox) Terms(callbackID string) (authID string, maxBatchSize int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world.ens.terms(s.world.ens.callback(callbackID), s.now())
}

// SchemeToken is the token of a scheme as a sender of events gets it.
func (s *Sandbox) SchemeToken(ctx context.Context, authID string, renew bool) (string, error) {
	return s.schemeToken(ctx, authID, renew)
}

// Post is a request to a callback as a sender of events makes it.
func (s *Sandbox) Post(ctx context.Context, url, bearer string, body []byte, limit time.Duration) (status int, err error) {
	return s.post(ctx, url, bearer, map[string][]string{"X-Test": {"1"}}, body, limit)
}
