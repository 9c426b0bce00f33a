package ens

import (
	"errors"
	"fmt"
	"time"
)

// How a batch that a callback does not take is sent again. Vendor page
// ens-retries-suspensions, which has changed.
const (
	// RetriesCurrent sends a few times at once, then again and again for up to
	// seven days.
	RetriesCurrent = "current"
	// RetriesLegacy sends a few times and then drops the batch. Failures
	// one after the other suspend the callback.
	RetriesLegacy = "legacy"
)

// How the signature key is used; see [Sending].
const (
	// KeyDecoded decodes the key's base64 first.
	KeyDecoded = "decoded"
	// KeyRaw takes the key's text as it is.
	KeyRaw = "raw"
)

// The bounds of a Sending.
const (
	maxSends  = 10
	maxWindow = time.Minute
	maxAfter  = time.Hour
)

// Sending is how a sandbox makes and sends events. What is zero has its default.
type Sending struct {
	// Retries is RetriesCurrent, the default, or RetriesLegacy.
	Retries string `json:"retries"`
	// Sends is how often a batch is sent at once before it counts as failed: 3,
	// and at most 10. Undocumented whether the vendor's "up to three retries" are
	// three sends or four.
	Sends int `json:"sends"`
	// Key is KeyDecoded, the default, or KeyRaw.
	Key string `json:"key"`
	// WindowMS is how many milliseconds on the sandbox's clock events are gathered
	// before they are sent: 100, and at most a minute; negative sends at once.
	// Undocumented: the vendor's time.
	WindowMS int `json:"window_ms"`
	// EventsAfterMS is how many milliseconds after a message was sent, or a contact
	// has entered, its first event happens: 50, and at most an hour; what follows
	// has as much time between. When it is negative events are made by hand only.
	EventsAfterMS int `json:"events_after_ms"`
}

// check returns what is wrong with the settings: all of it at once.
func (p Sending) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(p.Retries != "" && p.Retries != RetriesCurrent && p.Retries != RetriesLegacy,
		"retries %q is neither %q nor %q", p.Retries, RetriesCurrent, RetriesLegacy)
	bad(p.Sends < 0 || p.Sends > maxSends, "sends %d is not in 1 to %d", p.Sends, maxSends)
	bad(p.Key != "" && p.Key != KeyDecoded && p.Key != KeyRaw, "key %q is neither %q nor %q", p.Key, KeyDecoded, KeyRaw)
	bad(p.WindowMS > int(maxWindow.Milliseconds()), "window_ms %d is more than %d", p.WindowMS, maxWindow.Milliseconds())
	bad(p.EventsAfterMS > int(maxAfter.Milliseconds()), "events_after_ms %d is more than %d", p.EventsAfterMS, maxAfter.Milliseconds())
	return errors.Join(errs...)
}

// over fills what is zero from the defaults. Settings that check would refuse
// count as zero.
func (p Sending) over(defaults Sending) Sending {
	if p.check() != nil {
		return defaults
	}
	if p.Retries == "" {
		p.Retries = defaults.Retries
	}
	if p.Sends == 0 {
		p.Sends = defaults.Sends
	}
	if p.Key == "" {
		p.Key = defaults.Key
	}
	if p.WindowMS == 0 {
		p.WindowMS = defaults.WindowMS
	}
	if p.EventsAfterMS == 0 {
		p.EventsAfterMS = defaults.EventsAfterMS
	}
	return p
}

// defaultSending is what stands where nothing is said.
func defaultSending() Sending {
	return Sending{Retries: RetriesCurrent, Sends: 3, Key: KeyDecoded, WindowMS: 100, EventsAfterMS: 50}
}

// window is how long events are gathered.
func (p Sending) window() time.Duration { return time.Duration(max(p.WindowMS, 0)) * time.Millisecond }

// after is how long the first event of a mail takes.
func (p Sending) after() time.Duration { return time.Duration(p.EventsAfterMS) * time.Millisecond }

// limit is how long a callback may take to answer, in true time. Vendor page
// ens-retries-suspensions: three seconds, and two in the older one.
func (p Sending) limit() time.Duration {
	if p.Retries == RetriesLegacy {
		return 2 * time.Second
	}
	return 3 * time.Second
}

// SetSending changes the settings; those that are left out, or zero, become what
// Config says. It returns the settings now in use, or refuses the change with all
// that is wrong and then changes nothing.
func (s *Service) SetSending(p Sending) (Sending, error) {
	if err := p.check(); err != nil {
		return Sending{}, err
	}
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	s.world.sender.settings = p.over(s.sending)
	s.step(s.host.Now())
	return s.world.sender.settings, nil
}
