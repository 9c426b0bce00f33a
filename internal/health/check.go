package health

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// CheckState is how a check came out.
type CheckState string

// The states of a check.
const (
	CheckPending   CheckState = "pending"   // it was not made yet
	CheckPassed    CheckState = "ok"        // it is as the configuration says
	CheckFailed    CheckState = "failed"    // it is not
	CheckUnchecked CheckState = "unchecked" // the package lacks the scope to see it
	CheckAway      CheckState = "away"      // Marketing Cloud has not answered, and is asked again
)

// The names of checks that are about no destination.
const (
	CheckAccount = "account" // credentials and business unit
	CheckScopes  = "scopes"  // of the installed package
)

// Check is whether something that the configuration names is so in Marketing Cloud.
type Check struct {
	Name   string     `json:"name"` // CheckAccount, CheckScopes, or the name of a destination
	State  CheckState `json:"state"`
	Detail string     `json:"detail,omitempty"` // what was found
	Hint   string     `json:"hint,omitempty"`   // whose turn it is, and what to do
	Since  time.Time  `json:"since,omitzero"`   // when it came to be in this state
	// Concerns are the destinations that can't work because of it, when it is about none alone.
	Concerns []string `json:"concerns,omitempty"`
}

// CheckConfig is what is checked.
type CheckConfig struct {
	Account      *sfmc.Client
	AccountID    string               // MID of the business unit; "": that of the package
	Destinations []onramp.Destination // sinks are left out
	Timeout      time.Duration        // of one call; default 30 s
	// Explain tells what an error of a call means for a destination: detail, hint,
	// and whether the credentials were refused.
	Explain func(err error, to onramp.Destination) onramp.Outcome
	Saving  func() bool // whether calls are saved, and what fails is tried again rarely; nil: never
	// Scopes tells which scopes the access token lacks that the configuration needs; nil:
	// nobody knows.
	Scopes func(ctx context.Context) (Lack, error)
	Log    *slog.Logger
}

// Lack is what an account lacks; empty: nothing.
type Lack struct {
	Detail, Hint string
	Concerns     []string // destinations that can't work without it
}

// Checks try what the configuration names against Marketing Cloud, and write
// nothing there. They are safe for concurrent use.
type Checks struct {
	cfg    CheckConfig
	checks []check

	mu      sync.Mutex
	found   []Check  // in the order of checks
	lacking []string // destinations that lack a scope
}

// check is one of them. try makes one call; a nil error is a check that was made,
// passed unless there is a hint.
type check struct {
	name  string
	to    onramp.Destination
	scope string // that the call needs; "": none
	try   func(ctx context.Context) (detail, hint string, err error)
}

// NewChecks prepares the checks. It calls nothing.
func NewChecks(cfg CheckConfig) *Checks {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Saving == nil {
		cfg.Saving = func() bool { return false }
	}
	c := &Checks{cfg: cfg}
	c.checks = []check{{name: CheckAccount, try: c.account}}
	if cfg.Scopes != nil {
		c.checks = append(c.checks, check{name: CheckScopes, try: c.scopes})
	}
	for _, to := range cfg.Destinations {
		named := func(known check) bool { return known.name == to.Name() }
		if one, ok := destinationCheck(cfg.Account, to); ok && !slices.ContainsFunc(c.checks, named) {
			c.checks = append(c.checks, one)
		}
	}
	for _, one := range c.checks {
		c.found = append(c.found, Check{Name: one.name, State: CheckPending})
	}
	return c
}

// List returns what was found so far.
func (c *Checks) List() []Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.found)
}

// How long Run waits before it tries again what has not passed.
const (
	firstPause   = 5 * time.Second
	longestPause = 5 * time.Minute
	savingPause  = time.Hour // while calls are saved
)

// Run makes the checks, and those that fail again and again until they pass or ctx
// ends. What changes is in the log.
func (c *Checks) Run(ctx context.Context) {
	for pause := firstPause; !c.Once(ctx); pause = min(2*pause, longestPause) {
		if c.cfg.Saving() {
			pause = savingPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Once makes the checks that have not passed, and says whether all are through.
// Until the account is right it tries nothing else.
func (c *Checks) Once(ctx context.Context) (through bool) {
	through = true
	for i, before := range c.List() {
		if before.State == CheckPassed || before.State == CheckUnchecked {
			continue
		}
		now := c.try(ctx, &c.checks[i])
		if ctx.Err() != nil {
			return false
		}
		if now.Since = before.Since; now.State != before.State {
			now.Since = time.Now()
			c.tell(ctx, before.State, now)
		}
		c.mu.Lock()
		if now.Name == CheckScopes {
			now.Concerns = c.lacking
		}
		c.found[i] = now
		c.mu.Unlock()
		if now.State == CheckFailed || now.State == CheckAway {
			through = false
			if now.Name == CheckAccount {
				return false
			}
		}
	}
	return through
}

func (c *Checks) try(ctx context.Context, one *check) Check {
	ctx, end := context.WithTimeout(ctx, c.cfg.Timeout)
	defer end()
	found := Check{Name: one.name, State: CheckPassed}
	var err error
	found.Detail, found.Hint, err = one.try(ctx)
	if err == nil && found.Hint != "" {
		found.State = CheckFailed
	}
	if err == nil {
		return found
	}
	answer, answered := errors.AsType[*sfmc.Error](err)
	o := c.cfg.Explain(err, one.to)
	found.State, found.Detail, found.Hint = CheckAway, o.Detail, o.Hint
	switch {
	case !answered || answer.Err != nil || passes(answer.Status):
	case one.scope != "" && answer.Op != sfmc.OpToken && (answer.Status == http.StatusForbidden || answer.Status == http.StatusUnauthorized):
		found.State, found.Detail, found.Hint = CheckUnchecked, "could not be checked: the scope "+one.scope+" is missing", ""
	default:
		found.State = CheckFailed
	}
	return found
}

// passes says that an answer with this status is about the moment, not about what
// was asked for.
func passes(status int) bool {
	return status/100 != 4 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// tell writes into the log that a check has changed.
func (c *Checks) tell(ctx context.Context, before CheckState, now Check) {
	level, what := slog.LevelInfo, "check made"
	switch {
	case now.State == CheckFailed:
		level, what = slog.LevelWarn, "what the configuration names is not so in Marketing Cloud"
	case now.State == CheckAway:
		what = "Marketing Cloud could not be asked yet, will retry"
	case before == CheckPending && now.State == CheckPassed:
		level = slog.LevelDebug
	}
	c.cfg.Log.Log(ctx, level, what, "check", now.Name, "state", string(now.State), "detail", now.Detail, "hint", now.Hint)
}

// scopes keeps which destinations lack one.
func (c *Checks) scopes(ctx context.Context) (detail, hint string, err error) {
	lack, err := c.cfg.Scopes(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lacking = lack.Concerns
	return lack.Detail, lack.Hint, err
}

// account proves that there is a token, that it is taken, and that it is for the
// right business unit. The call needs no scope.
func (c *Checks) account(ctx context.Context) (detail, hint string, err error) {
	var token struct {
		Organization struct {
			ID json.Number `json:"id"`
		} `json:"organization"`
	}
	if err := c.cfg.Account.Get(ctx, "platform/v1/tokenContext", &token); err != nil {
		return "", "", err
	}
	detail = "the business unit is " + token.Organization.ID.String()
	if want := c.cfg.AccountID; want != "" && token.Organization.ID.String() != want {
		return detail + ", not " + want, hintBusinessUnit, nil
	}
	return detail, "", nil
}

const hintBusinessUnit = "operator: set marketing_cloud.account_id to the MID of the business unit with the data extensions, and ask a Marketing Cloud admin whether the installed package has access to it; see onramp check --only account"

// destinationCheck reads what a destination leads to; ok is false for sinks.
func destinationCheck(account *sfmc.Client, to onramp.Destination) (one check, ok bool) {
	one = check{name: to.Name(), to: to}
	key := url.PathEscape(to.Key)
	switch to.Kind {
	case onramp.DataExtension:
		one.scope = "data_extensions_read"
		one.try = func(ctx context.Context) (detail, hint string, err error) {
			return "", "", account.Get(ctx, "data/v1/customobjectdata/key/"+key+"/rowset?$page=1&$pageSize=1", &struct{}{})
		}
	case onramp.Journey:
		one.scope = "journeys_read"
		one.try = func(ctx context.Context) (detail, hint string, err error) {
			return "", "", account.Get(ctx, "interaction/v1/eventDefinitions/key:"+key, &struct{}{})
		}
	case onramp.Message:
		one.scope = "email_read"
		one.try = func(ctx context.Context) (detail, hint string, err error) {
			var definition struct{ Status string }
			err = account.Get(ctx, "messaging/v1/email/definitions/"+key, &definition)
			if definition.Status == "Inactive" {
				return "the definition is inactive: what is sent stays queued", "Marketing Cloud admin: activate the message definition " + to.Key + "; see onramp check --only message", err
			}
			return "", "", err
		}
	default:
		return check{}, false
	}
	return one, true
}
