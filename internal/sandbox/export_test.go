package sandbox

import (
	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// AddDataExtension puts a table into a sandbox until it is reset, so that tests
// reach column types and composite keys that the initial one does not have.
func (s *Sandbox) AddDataExtension(id, key string, columns []Column) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.account.Units[account.MID].Extensions[key] = &account.Extension{Table: table.New(id, key, key, columns)}
}

// AddJourney binds a running journey to a table.
func (s *Sandbox) AddJourney(eventKey, extensionKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.world.account.Units[account.MID]
	u.AddEvent(eventKey, eventKey, u.Extensions[extensionKey], s.now()).Status = account.Published
}

// MaxTokens is the most tokens that are kept.
const MaxTokens = maxTokens

// IssueToken gives out a token without the cost of a request.
func (s *Sandbox) IssueToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.world.tokens.add(wire.Token{Value: newTokenValue(ClientID), Issued: now, Expires: now.Add(tokenLife)})
}

// JobOf is the job id of what sends mails.
var JobOf = jobOf
