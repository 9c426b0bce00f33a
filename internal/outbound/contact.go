package outbound

import (
	"context"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// FindContacts finds the contact keys that an email address has in Marketing Cloud. The
// error is a *CallError, as those of all calls here.
func (s *Sender) FindContacts(ctx context.Context, address string) (keys []string, err error) {
	err = s.ask(ctx, onramp.Destination{}, func(ctx context.Context) error {
		keys, err = s.client.FindContacts(ctx, address)
		return err
	})
	return keys, err
}

// BeginDeletion begins to delete contacts in Marketing Cloud, or to restrict their processing,
// and returns the operation's number there.
func (s *Sender) BeginDeletion(ctx context.Context, keys []string, restrict bool) (operation int64, err error) {
	begin := s.client.DeleteContacts
	if restrict {
		begin = s.client.RestrictContacts
	}
	err = s.ask(ctx, onramp.Destination{}, func(ctx context.Context) error {
		operation, err = begin(ctx, keys)
		return err
	})
	return operation, err
}

// FindDeletion asks how far such an operation is.
func (s *Sender) FindDeletion(ctx context.Context, operation int64, restrict bool) (found sfmc.ContactOperation, err error) {
	find := s.client.FindDeletion
	if restrict {
		find = s.client.FindRestriction
	}
	err = s.ask(ctx, onramp.Destination{}, func(ctx context.Context) error {
		found, err = find(ctx, operation)
		return err
	})
	return found, err
}
