package alert

// Runbook names the page that says what to do about a condition: docs/runbook/NAME.md.
type Runbook string

// The runbook pages, one for each kind of condition.
const (
	RunbookBlocked   Runbook = "blocked"
	RunbookThrottled Runbook = "throttled"
	RunbookPaused    Runbook = "paused"
	RunbookLate      Runbook = "late"
	RunbookDead      Runbook = "dead-letters"
	RunbookGivenUp   Runbook = "retries-exhausted"
	RunbookUnknown   Runbook = "answers-lost"
	RunbookColumns   Runbook = "columns-not-stored"
	RunbookDrifted   Runbook = "columns-changed"
	RunbookStore     Runbook = "store-unreachable"
	RunbookDisk      Runbook = "disk-space"
	RunbookNotice    Runbook = "database-notice"
	RunbookAccount   Runbook = "account"
	RunbookScopes    Runbook = "scopes-missing"
	RunbookAway      Runbook = "unreachable"
	RunbookObject    Runbook = "not-as-configured"
	RunbookClock     Runbook = "clocks-differ"
	RunbookEvents    Runbook = "no-events"
	RunbookCanary    Runbook = "canary"
	RunbookSample    Runbook = "rows-differ"
	RunbookQuiet     Runbook = "form-quiet"
	RunbookSurge     Runbook = "form-surge"
	RunbookCalls     Runbook = "calls-used"
	RunbookKeptBack  Runbook = "confirmations-kept-back"
	RunbookReturned  Runbook = "confirmations-returned"

	RunbookRetention Runbook = "retention"

	RunbookGuessing    Runbook = "admin-tokens"
	RunbookCertificate Runbook = "certificate"
)

// runbookIndex is the list of all pages.
const runbookIndex Runbook = "README"

// Path is where the page stands in the source.
func (r Runbook) Path() string { return "docs/runbook/" + string(r) + ".md" }

// Command prints the page: it is built in, so that it is at hand where only the program is.
func (r Runbook) Command() string {
	if r == runbookIndex {
		return "onramp explain runbook"
	}
	return "onramp explain runbook " + string(r)
}
