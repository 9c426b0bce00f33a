package app

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"time"

	"onramp/internal/config"
	"onramp/internal/sandbox"
	"onramp/internal/sandbox/account"
	"onramp/internal/web"
)

// Sandbox is a Marketing Cloud emulator that is ready to run.
type Sandbox struct {
	server sandboxServer
	guide  string
}

// SandboxOptions say where a sandbox listens and how it behaves.
type SandboxOptions struct {
	Address    string
	Hosts      []string         // names that it is reached by, beside localhost, IP addresses and that of Address
	Dialect    string           // facts or spec
	Strict     bool             // callbacks and token endpoints must be https, without a port
	Activation time.Duration    // of subscriptions; 0: the vendor's two minutes; negative: at once
	Account    *account.Setting // what the account holds beside the initial parts; nil: nothing
	TLS        *SandboxTLS      // nil: plain HTTP
	Log        *slog.Logger
}

// StartSandbox binds the sandbox to an address. The caller must Run it.
func StartSandbox(ctx context.Context, o SandboxOptions) (*Sandbox, error) {
	d, err := sandbox.ParseDialect(o.Dialect)
	if err != nil {
		return nil, err
	}
	hosts := slices.Clone(o.Hosts)
	if name, _, err := net.SplitHostPort(o.Address); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	if o.Account != nil {
		if err := o.Account.Check(); err != nil {
			return nil, err
		}
	}
	cfg := sandbox.Config{Dialect: d, Strict: o.Strict, Activation: o.Activation, Hosts: hosts, Account: o.Account, Log: o.Log}
	if o.TLS != nil {
		return startSecureSandbox(ctx, o, cfg)
	}
	l, err := web.Listen(ctx, o.Address, sandbox.New(cfg))
	if err != nil {
		return nil, err
	}
	l.Limit(web.Limits{Connections: max(min(web.OpenFiles()/sandboxShare, maxPublic), 1), Log: o.Log, Part: "sandbox"})
	return &Sandbox{server: l}, nil
}

// URL is the one origin of all of its hosts.
func (s *Sandbox) URL() string { return s.server.URL() }

// Where is where it can be reached, see listen.Where.
func (s *Sandbox) Where() string { return s.server.Where() }

// Guide says what makes programs trust it and reach it under Marketing Cloud's names;
// empty without TLS.
func (s *Sandbox) Guide() string { return s.guide }

// Run serves until ctx ends.
func (s *Sandbox) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.server.Close() }) // it keeps nothing that could be lost
	defer stop()
	return s.server.Serve()
}

// Close drops a sandbox that was never run.
func (s *Sandbox) Close() error { return s.server.Close() }

// DemoRegistration is a registration for the demo's form, as JSON.
const DemoRegistration = `{"email":"user@example.com","first_name":"Jane","last_name":"Doe","opt_in":true}`

// DemoPath is where registrations for the demo's form are posted.
const DemoPath = "/v1/forms/registration/registrations"

// DemoConfig returns the configuration of a gateway that talks to a sandbox with
// its initial package: the form that onramp init writes, with a journey as well, and
// events. In the form on_event comes last.
func DemoConfig() string { return demoHead + config.RegistrationFields() + demoRoute }

// NoAccountURL returns the variables that make any configuration do without the address
// of an account: that of no sandbox.
func NoAccountURL() []string {
	return []string{"ONRAMP_MARKETING_CLOUD_AUTH_URL=http://sandbox.invalid", "ONRAMP_MARKETING_CLOUD_SUBDOMAIN="}
}

// DemoAccount returns the variables that make any configuration use a sandbox's
// initial package, whatever account it names.
func DemoAccount() []string {
	return append(NoAccountURL(),
		"ONRAMP_MARKETING_CLOUD_CLIENT_ID="+sandbox.ClientID, "ONRAMP_MARKETING_CLOUD_CLIENT_SECRET="+sandbox.ClientSecret,
		"ONRAMP_MARKETING_CLOUD_ACCOUNT_ID="+sandbox.AccountID)
}

const demoHead = `
public: { listen: "127.0.0.1:8080", url: "http://127.0.0.1:8080" }
admin: { listen: "127.0.0.1:8081" }
marketing_cloud:
  auth_url: http://127.0.0.1:8090
  client_id: ` + sandbox.ClientID + `
  client_secret: ` + sandbox.ClientSecret + `
  account_id: "` + sandbox.AccountID + `"
oauth:
  clients: [{ id: demo-ens, secret: demo-ens-secret }]
  users: [{ name: demo-user, password: demo-password }]
ens:
  callbacks:
    events:
      auth: client_credentials
      subscribe:
        - TransactionalSendEvents.EmailSent
        - TransactionalSendEvents.EmailNotSent
        - TransactionalSendEvents.EmailBounced
        - EngagementEvents.EmailOpen
        - EngagementEvents.EmailClick
        - EngagementEvents.EmailUnsubscribe
forms:
  registration:
    title: Register
    origins: []
    subscriber_key: email
    fields:
`

const demoRoute = `    route:
      - data_extension: { key: ` + sandbox.RegistrationsKey + `, key_column: SubscriberKey, mode: auto }
      - journey: { event_definition_key: ` + sandbox.WelcomeEventKey + `, establish_contact_key: true }
    on_event:
      - { type: EngagementEvents.EmailUnsubscribe, column: OptInStatus, value: false }
`
