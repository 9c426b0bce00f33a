package ens

import (
	"context"
	"net/http"
	"time"
)

// Effective is what of a subscription has effect now.
func (s *Service) Effective(subscriptionID string) (types, filters []string, active bool) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	return s.world.effective(s.world.findSubscription(subscriptionID), s.host.Now())
}

// Terms are the scheme and the size of requests that a callback has now.
func (s *Service) Terms(callbackID string) (authID string, maxBatchSize int) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	return s.world.terms(s.world.callback(callbackID), s.host.Now())
}

// SchemeToken is the token of a scheme as a sender of events gets it.
func (s *Service) SchemeToken(ctx context.Context, authID string, renew bool) (string, error) {
	return s.schemeToken(ctx, authID, renew)
}

// Post is a request to a callback as a sender of events makes it.
func (s *Service) Post(ctx context.Context, url, bearer string, header http.Header, body []byte, limit time.Duration) (status int, err error) {
	return s.post(ctx, url, bearer, header, body, limit)
}
