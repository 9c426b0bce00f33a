package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"onramp/internal/health"
	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

// The names of the checks.
const (
	Configuration   = "configuration"
	Gateway         = "gateway"
	Files           = "files"
	Disk            = "disk"
	Database        = "database"
	EncryptionKey   = "encryption-key"
	Backup          = "backup"
	Subdomain       = "subdomain"
	Credentials     = "credentials"
	Clock           = "clock"
	Account         = "account"
	Scopes          = "scopes"
	DataExtension   = "data-extension"
	EventDefinition = "event-definition"
	Message         = "message"
	SMTP            = "smtp"
	ENS             = "ens"
	Certificates    = "certificates"
	PublicURL       = "public-url"
	Quiet           = "quiet"
	Sinks           = "sinks"
	Alerts          = "alerts"
)

// Names lists the checks in the order in which a report has them.
func Names() []string {
	return []string{
		Configuration, Gateway, Files, Disk, Database, EncryptionKey, Backup, Subdomain, Credentials, Clock, Account, Scopes, DataExtension, EventDefinition, Message, SMTP,
		ENS, Certificates, PublicURL, Quiet, Sinks, Alerts,
	}
}

// Config is what is checked. What is nil or empty is not checked.
type Config struct {
	File       string // that has the configuration
	Forms      []onramp.Form
	Callbacks  []onramp.Callback
	Sinks      []onramp.Sink
	Alerts     int           // how many receivers there are
	Subdomain  string        // of the account; ""
	AuthURL    string        // in its place, of a sandbox or proxy
	AccountID  string        // MID of the business unit; "": that of the package
	PublicURL  string        // of the gateway
	QuietAfter time.Duration // how long no event may come while messages go out; 0: for ever
	Limit      time.Duration // of one check; default 10 s

	Certificates []Shown // by the listeners

	Account Marketing
	Machine Machine

	// ENS compares the Event Notification Service with the configuration, as far as that
	// can be told without what the gateway has stored.
	ENS func(ctx context.Context) (setup.Status, error)
	// AskGateway asks the gateway that runs with this configuration; nil and no error: none does.
	AskGateway func(ctx context.Context) (*Running, error)
	// ReachMail connects to the mail server that takes confirmations, and authenticates; nil:
	// there is none.
	ReachMail func(ctx context.Context) error
	// ReachSink tries whether a sink's system answers.
	ReachSink func(ctx context.Context, name string) onramp.Outcome
	// SendTestAlert sends an alert to a receiver, by its place in the configuration.
	SendTestAlert func(ctx context.Context, receiver int) error
	// WriteProbe writes a marked row into a data extension and removes it again, or says by
	// a NoProbe why a form can have none; written
	// says that there was one, also with an error.
	WriteProbe func(ctx context.Context, form *onramp.Form, to onramp.Destination) (written bool, err error)
}

// NoProbe says why a form can have no probe row.
type NoProbe string

// Error is the reason.
func (e NoProbe) Error() string { return string(e) }

// Marketing is the account in Marketing Cloud.
type Marketing struct {
	Client *sfmc.Client
	// Token gives an access token that the credentials of the configuration have got.
	Token func(ctx context.Context) (*sfmc.Token, error)
	// Clock tells how far the vendor's clock is ahead, and when that was seen; zero: it was not.
	Clock func() (ahead time.Duration, at time.Time)
	// Explain tells what an error of a call means for a destination: detail and hint.
	Explain func(err error, to onramp.Destination) onramp.Outcome
}

// Running is what a gateway tells that runs.
type Running struct {
	Address string
	Trouble string        // why its database can't be written; "": it can
	Newest  time.Time     // when the newest registration was accepted; zero: there is none
	ENS     *setup.Status // nil: it takes no events

	Certificates []health.Certificate // of its listeners
}

// Checks are the checks of a configuration. A value is for one run.
type Checks struct {
	cfg     Config
	account *metadata.Client

	// what a check leaves to those after it
	running *Running
	stored  Stored
	lacking []string // scopes that the token lacks and that a check needs
}

// New prepares the checks. It calls nothing.
func New(cfg Config) *Checks {
	if cfg.Limit <= 0 {
		cfg.Limit = 10 * time.Second
	}
	return &Checks{cfg: cfg, account: metadata.New(cfg.Account.Client)}
}

// Run makes the checks with the given names, those that must come before them, and all
// of them without a name. The error says that a name is unknown; then nothing was checked.
func (c *Checks) Run(ctx context.Context, names ...string) (Report, error) {
	if err := Known(names); err != nil {
		return Report{}, err
	}
	tasks := chosen(c.tasks(), names)
	return report(tasks, runAll(ctx, tasks, c.cfg.Limit), names), nil
}

// Known says which of the names is that of no check, and lists those that there are.
func Known(names []string) error {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("there is no check %q; the checks are %s", name, strings.Join(Names(), ", "))
		}
	}
	return nil
}

// Mistakes is the report of a configuration that can't be read: one line for each mistake.
func Mistakes(lines []string) Report {
	r := Report{Checks: []Finding{}, Skipped: Names()[1:]}
	for _, line := range lines {
		f := failure("", line).mend(Operator, "correct this line; onramp init writes a configuration with examples")
		f.Name = Configuration
		r.add(f)
	}
	return r
}

// tasks are the checks in the order of Names.
func (c *Checks) tasks() []task {
	local := []task{
		{name: Configuration, run: every(func(context.Context) []Finding { return []Finding{ok(c.cfg.File, "it has no mistakes")} })},
		{name: Gateway, run: every(c.gateway)},
		{name: Files, run: every(c.files)},
		{name: Disk, run: every(c.disk)},
		{name: Database, after: []string{Gateway}, run: every(c.database)},
		{name: EncryptionKey, after: []string{Database}, run: c.encryptionKey},
		{name: Backup, after: []string{Database}, run: c.backup},
	}
	without := func(kind onramp.DestinationKind) bool { return len(c.destinations(kind)) == 0 }
	account := []task{
		{name: Subdomain, run: every(c.subdomain)},
		{name: Credentials, needs: []string{Subdomain}, run: every(c.credentials)},
		{name: Clock, after: []string{Credentials}, run: c.clock},
		{name: Account, needs: []string{Credentials}, run: every(c.businessUnit)},
		{name: Scopes, needs: []string{Credentials}, run: every(c.scopes)},
		c.reads(DataExtension, without(onramp.DataExtension), c.extensions, scopeExtensionsRead),
		c.reads(EventDefinition, without(onramp.Journey), c.events, scopeJourneysRead),
		c.reads(Message, without(onramp.Message), c.messages, scopeEmailRead),
	}
	account = append(account, task{name: SMTP, idle: c.cfg.ReachMail == nil, run: every(c.mailServer)})
	noCallbacks := len(c.cfg.Callbacks) == 0
	events := []task{
		c.reads(ENS, noCallbacks, c.ens, scopeCallbackRead, scopeSubscriptionRead),
		{name: Certificates, after: []string{Gateway}, idle: len(c.cfg.Certificates) == 0, run: every(c.certificates)},
		{name: PublicURL, after: []string{Gateway}, run: every(c.publicURL)},
		{name: Quiet, after: []string{Gateway, Database}, idle: noCallbacks, run: c.quiet},
		{name: Sinks, run: every(c.sinks)},
		{name: Alerts, run: every(c.alerts)},
	}
	return slices.Concat(local, account, events)
}

// reads is a check that reads from the business unit. It is made only if the token has the
// scopes; that one is missing is told already.
func (c *Checks) reads(name string, idle bool, run func(ctx context.Context) ([]Finding, bool), scopes ...string) task {
	return task{
		name: name, needs: []string{Account}, after: []string{Scopes, Gateway}, idle: idle,
		run: func(ctx context.Context) ([]Finding, bool) {
			if slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(c.lacking, s) }) {
				return nil, true
			}
			return run(ctx)
		},
	}
}

// destinations are those of a kind that routes lead to, or confirmations go to.
func (c *Checks) destinations(kind onramp.DestinationKind) []onramp.Destination {
	var all []onramp.Destination
	for i := range c.cfg.Forms {
		for _, to := range c.cfg.Forms[i].Destinations() {
			known := slices.ContainsFunc(all, func(d onramp.Destination) bool { return d.Key == to.Key })
			if to.Kind == kind && !known {
				all = append(all, to)
			}
		}
	}
	return all
}

// formsTo are the forms with a route to a destination.
func (c *Checks) formsTo(to onramp.Destination) []*onramp.Form {
	var all []*onramp.Form
	for i := range c.cfg.Forms {
		form := &c.cfg.Forms[i]
		if slices.ContainsFunc(form.Route, func(d onramp.Destination) bool { return d.Name() == to.Name() }) {
			all = append(all, form)
		}
	}
	return all
}
