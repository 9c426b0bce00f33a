package sandbox

import (
	"strconv"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/contact"
	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/metadata"
	"onramp/internal/sandbox/soap"
	"onramp/internal/sandbox/wire"
)

// newMetadata makes the sandbox's side of the routes for what an account is made of.
func (s *Sandbox) newMetadata() *metadata.Service {
	return metadata.New(metadata.Host{
		Lock: s.lock, Unlock: s.mu.Unlock, Address: addressOf,
		Unit:   s.present,
		Scopes: func(c *wire.Call) []string { return s.world.scopes(c) },
		Mails:  func(u *account.Unit) []metadata.Mail { return s.world.mails(u) },
		Routes: func() []wire.Route {
			list := make([]wire.Route, len(s.routes))
			for i, r := range s.routes {
				list[i] = r.Route
			}
			return list
		},
	})
}

// newContacts makes the sandbox's side of the contacts API.
func (s *Sandbox) newContacts() *contact.Service {
	return contact.New(contact.Host{
		Lock: s.lock, Unlock: s.mu.Unlock,
		Account: func() *account.Account { return s.world.account },
		Unit:    s.present,
	})
}

// scopes are those that the package of a call's token has by now; those of the token when
// the package is gone. It needs the sandbox's mutex.
func (w *world) scopes(c *wire.Call) []string {
	if p := w.account.Packages[c.Token.Client]; p != nil {
		return p.Scopes
	}
	return c.Token.Scopes
}

// mails are those of a business unit: first those of messages, then those of journeys. It
// needs the sandbox's mutex.
func (w *world) mails(u *account.Unit) []metadata.Mail {
	var list []metadata.Mail
	add := func(m ens.Mail, messageKey string) {
		kept := metadata.Mail{
			Job: m.Job, DefinitionKey: m.DefinitionKey, MessageKey: messageKey, ContactKey: m.ContactKey,
			Subscriber: ens.SubscriberID(m.ContactKey), To: m.To, At: m.At,
		}
		if ens.NotSent(m.To) {
			kept.Refusal = "Unsubscribed"
		}
		list = append(list, kept)
	}
	for i, m := range w.messages.sent {
		if strconv.Itoa(m.member) == u.MID {
			add(m.mail(i+1), m.key)
		}
	}
	for _, j := range u.AllJourneys() {
		for i, e := range j.Entries {
			if m, ok := journeyMail(j, e, i+1); ok {
				add(m, "")
			}
		}
	}
	return list
}

// newSOAP makes the sandbox's SOAP API.
func (s *Sandbox) newSOAP() *soap.Service {
	return soap.New(soap.Host{
		Lock: s.lock, Unlock: s.mu.Unlock,
		Account: func() *account.Account { return s.world.account },
		Token: func(value string) (wire.Token, bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.world.tokens.find(value, s.now())
		},
		Address: addressOf,
	})
}
