// Package health tells how the gateway itself is doing, and the account in Marketing
// Cloud that it sends to: the database and its disk, the certificates of the listeners,
// the access token, the vendor's clock, whether what the configuration names is there,
// and the calls that were made.
//
// [Sources.Status] is what there is at one moment, [Checks] tries what is named. The
// package repairs nothing and alerts nobody.
package health

import (
	"time"

	"onramp/internal/budget"
)

// Sources are where a status comes from. What is nil is not told.
type Sources struct {
	Trouble func() error                           // why the database can't be written, or nil
	Free    func() (free, total uint64, err error) // space on the database's disk
	Token   func() Token
	Clock   func() Clock
	Checks  func() []Check
	Calls   func() budget.Usage

	Certificates func() []Certificate
}

// The states of a part.
const (
	stateOK      = "ok"
	stateFailed  = "failed"
	stateUnknown = "unknown"
)

// Status is how everything is at one moment.
type Status struct {
	Store  Store   `json:"store"`
	Disk   *Disk   `json:"disk,omitempty"` // left out for PostgreSQL
	Token  *Token  `json:"token,omitempty"`
	Clock  *Clock  `json:"clock,omitempty"`
	Checks []Check `json:"checks,omitempty"` // of what the configuration names in Marketing Cloud, since the start

	Calls *budget.Usage `json:"calls,omitempty"` // to Marketing Cloud

	Certificates []Certificate `json:"certificates,omitempty"` // of our listeners
}

// Store is whether the database takes what comes.
type Store struct {
	State  string `json:"state"` // ok, or failed: registrations are refused
	Reason string `json:"reason,omitempty"`
}

// Disk is the space on the database's disk.
type Disk struct {
	State  string `json:"state"` // ok or unknown
	Free   uint64 `json:"free_bytes"`
	Total  uint64 `json:"total_bytes"`
	Reason string `json:"reason,omitempty"` // why it is not known
}

// Token is how it stands with Marketing Cloud's access token.
type Token struct {
	State     string    `json:"state"` // ok, failed, or unknown: none was needed yet
	Since     time.Time `json:"since,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	FailedAt  time.Time `json:"failed_at,omitzero"` // the last request for one
	Reason    string    `json:"reason,omitempty"`
	Hint      string    `json:"hint,omitempty"`
}

// Clock is Marketing Cloud's clock compared with ours.
type Clock struct {
	State     string    `json:"state"`         // ok, failed: they differ by more than 30 s, or unknown: nothing was answered yet
	Ahead     float64   `json:"ahead_seconds"` // of Marketing Cloud's clock; below zero: it is behind
	CheckedAt time.Time `json:"checked_at,omitzero"`
}

// farApart is how far the clocks may differ: tokens, signatures and the order of
// events depend on them.
const farApart = 30 * time.Second

// NewClock makes a comparison at a time; zero: there was none.
func NewClock(ahead time.Duration, at time.Time) Clock {
	c := Clock{State: stateOK, Ahead: ahead.Round(100 * time.Millisecond).Seconds(), CheckedAt: at}
	switch {
	case at.IsZero():
		c.State = stateUnknown
	case ahead.Abs() > farApart:
		c.State = stateFailed
	}
	return c
}

// Failed says that the clocks differ by too much.
func (c *Clock) Failed() bool { return c.State == stateFailed }

// Describe says where Marketing Cloud's clock is, such as "45s ahead of".
func (c *Clock) Describe() string {
	apart := time.Duration(c.Ahead * float64(time.Second)).Round(time.Second)
	if apart < 0 {
		return (-apart).String() + " behind"
	}
	return apart.String() + " ahead of"
}

// Status asks all sources.
func (s *Sources) Status() Status {
	status := Status{Store: Store{State: stateOK}, Disk: s.disk(), Clock: s.clock(), Checks: s.checks(), Calls: s.calls(), Certificates: s.certificates()}
	if s.Trouble != nil {
		if err := s.Trouble(); err != nil {
			status.Store = Store{State: stateFailed, Reason: err.Error()}
		}
	}
	if s.Token != nil {
		token := s.Token()
		switch {
		case !token.FailedAt.IsZero():
			token.State = stateFailed
		case token.Since.IsZero():
			token.State = stateUnknown
		default:
			token.State = stateOK
		}
		status.Token = &token
	}
	return status
}

// Quick is the part of the status that alerts look at every second.
func (s *Sources) Quick() Status {
	return Status{Clock: s.clock(), Checks: s.checks(), Calls: s.calls(), Certificates: s.certificates()}
}

// disk tells the free space; nil where there is no disk of ours.
func (s *Sources) disk() *Disk {
	if s.Free == nil {
		return nil
	}
	free, total, err := s.Free()
	if err != nil {
		return &Disk{State: stateUnknown, Reason: err.Error()}
	}
	return &Disk{State: stateOK, Free: free, Total: total}
}

func (s *Sources) clock() *Clock {
	if s.Clock == nil {
		return nil
	}
	c := s.Clock()
	return &c
}

func (s *Sources) checks() []Check {
	if s.Checks == nil {
		return nil
	}
	return s.Checks()
}

func (s *Sources) calls() *budget.Usage {
	if s.Calls == nil {
		return nil
	}
	u := s.Calls()
	return &u
}

func (s *Sources) certificates() []Certificate {
	if s.Certificates == nil {
		return nil
	}
	return s.Certificates()
}
