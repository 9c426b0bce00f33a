package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/health"
	"onramp/internal/onramp"
	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

// packageMenu is where an installed package is.
func packageMenu(under ...string) []string {
	return append([]string{"Setup", "Apps", "Installed Packages"}, under...)
}

// subdomainLength is how many characters a tenant's subdomain has.
const subdomainLength = 28

// subdomain checks the name by which the account is reached.
func (c *Checks) subdomain(ctx context.Context) []Finding {
	name, address := c.cfg.Subdomain, c.cfg.AuthURL
	var odd []Finding
	if address == "" {
		authURL, err := sfmc.AuthURL(name)
		if err != nil {
			return []Finding{failure(name, "it must be one DNS label, not a URL or a host name").
				mend(Operator, "set marketing_cloud.subdomain to what stands before .rest.marketingcloudapis.com in the package's REST base URI").
				at(packageMenu("(the package)", "API Integration", "REST Base URI")...)}
		}
		if address = authURL; len(name) != subdomainLength {
			odd = append(odd, warning(name, fmt.Sprintf("it has %d characters; those of Marketing Cloud have %d", len(name), subdomainLength)).
				mend(Operator, "compare marketing_cloud.subdomain with the package's REST base URI").at(packageMenu("(the package)", "API Integration", "REST Base URI")...))
		}
	}
	host, err := resolve(ctx, address)
	if err != nil {
		return []Finding{failure(host, "its host name does not resolve: "+plain(err)).
			mend(Operator, "correct marketing_cloud.subdomain (or auth_url), or this machine's DNS").at(packageMenu("(the package)", "API Integration", "REST Base URI")...)}
	}
	if odd != nil {
		return odd
	}
	return []Finding{ok(host, "it resolves")}
}

// resolve looks the host of a URL up. What goes through a proxy is resolved there.
func resolve(ctx context.Context, address string) (host string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return address, errors.New("it is not a URL")
	}
	host = u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); proxy != nil && err == nil {
		return host, nil
	}
	_, err = net.DefaultResolver.LookupHost(ctx, host)
	return host, err
}

// plain gives the cause of an error of the network without the address, which stands
// beside it.
func plain(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer came in time"
	}
	return oneLine(err.Error())
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// credentials asks for an access token. A refusal that is about the business unit belongs
// to the check of that.
func (c *Checks) credentials(ctx context.Context) []Finding {
	_, err := c.cfg.Account.Token(ctx)
	if err == nil {
		return []Finding{ok("", "Marketing Cloud gives an access token")}
	}
	f := c.unanswered("", err, onramp.Destination{})
	answer, answered := errors.AsType[*sfmc.Error](err)
	if answered && answer.CodeText == "unauthorized_client" {
		f.Name, f.Object = Account, c.cfg.AccountID
	}
	if answered && answer.Status/100 == 4 {
		f = f.at(packageMenu("(the package)", "API Integration")...)
	}
	return []Finding{f}
}

// unanswered is a finding about a call that was refused or not answered.
func (c *Checks) unanswered(object string, err error, to onramp.Destination) Finding {
	if _, answered := errors.AsType[*sfmc.Error](err); !answered {
		return failure(object, "Marketing Cloud could not be asked: "+plain(err)).
			mend(Operator, "let this machine reach Marketing Cloud by https; if it does, try again")
	}
	if lack, ok := errors.AsType[*metadata.ScopeError](err); ok {
		return failure(object, oneLine(lack.Err.Error())).
			mend(Admin, "give the installed package the scope "+lack.Scope).at(packageMenu("(the package)", "API Integration", "Edit")...)
	}
	o := c.cfg.Account.Explain(err, to)
	who, what := turn(o.Hint)
	if what == "" {
		what = "try again later"
	}
	return failure(object, oneLine(o.Detail)).mend(who, what)
}

// turn takes a hint apart that begins with whose turn it is.
func turn(hint string) (who Who, what string) {
	for prefix, who := range map[string]Who{"operator: ": Operator, "Marketing Cloud admin: ": Admin, "web developer: ": Developer} {
		if what, ok := strings.CutPrefix(hint, prefix); ok {
			return who, what
		}
	}
	return Operator, hint
}

// How far the vendor's clock may be from ours: tokens, signatures and the order of events
// depend on it.
const (
	farApart    = 30 * time.Second
	tooFarApart = 5 * time.Minute
)

// clock compares the clocks by the answer to the request for a token, also if that was refused.
func (c *Checks) clock(context.Context) (found []Finding, skipped bool) {
	ahead, at := c.cfg.Account.Clock()
	if at.IsZero() {
		return nil, true
	}
	apart := ahead.Abs().Round(time.Second)
	f := ok("", "it agrees with Marketing Cloud's")
	if apart <= farApart {
		return []Finding{f}, false
	}
	side := "ahead of"
	if ahead < 0 {
		side = "behind"
	}
	if f = warning("", fmt.Sprintf("Marketing Cloud's clock is %v %s this machine's", apart, side)); apart >= tooFarApart {
		f.Level = Failure
	}
	return []Finding{f.mend(Operator, "let this machine take its time from a time server (NTP): tokens, signatures and the order of events depend on it")}, false
}

// businessUnit compares the business unit of the token with the configuration's.
func (c *Checks) businessUnit(ctx context.Context) []Finding {
	token, err := c.account.Context(ctx)
	if err != nil {
		return []Finding{c.unanswered("", err, onramp.Destination{})}
	}
	unit := strconv.FormatInt(token.AccountID, 10)
	if want := c.cfg.AccountID; want != "" && want != unit {
		return []Finding{failure(want, "the access token is for the business unit "+unit+", not "+want).
			mend(Operator, "set marketing_cloud.account_id to the MID of the business unit with the data extensions, and ask the admin whether the package has access to it").
			at(packageMenu("(the package)", "Access", "Business Units")...)}
	}
	return []Finding{ok(unit, "it is the business unit of the access token")}
}

// The scopes by name.
const (
	scopeExtensionsRead   = "data_extensions_read"
	scopeExtensionsWrite  = "data_extensions_write"
	scopeJourneysRead     = "journeys_read"
	scopeSubscribersRead  = "list_and_subscribers_read"
	scopeEmailRead        = "email_read"
	scopeEmailSend        = "email_send"
	scopeCallbackRead     = "event_notification_callback_read"
	scopeSubscriptionRead = "event_notification_subscription_read"
)

// scope is one that a configuration needs.
type scope struct {
	name   string
	menu   []string               // how the package's screen names it
	reason string                 // what it is for
	level  Level                  // of its lack
	of     onramp.DestinationKind // destinations that need it; 0: it is for event notifications
}

// needed are the scopes that the configuration needs.
func (c *Checks) needed() []scope {
	var all []scope
	if extensions := c.destinations(onramp.DataExtension); len(extensions) > 0 {
		reads := scope{scopeExtensionsRead, []string{"Data", "Data Extensions", "Read"}, "to read the data extensions for this check, and rows back", Warning, onramp.DataExtension}
		if slices.ContainsFunc(extensions, onramp.Destination.MayBeAsync) {
			reads.reason, reads.level = "to read the results of asynchronous calls (mode: auto or async), and rows back", Failure
		}
		all = append(all, scope{scopeExtensionsWrite, []string{"Data", "Data Extensions", "Write"}, "to write rows", Failure, onramp.DataExtension}, reads)
	}
	if len(c.destinations(onramp.Journey)) > 0 {
		all = append(all,
			scope{scopeJourneysRead, []string{"Automation", "Journeys", "Read"}, "to send events to journeys", Failure, onramp.Journey},
			scope{scopeSubscribersRead, []string{"Contacts", "List and Subscribers", "Read"}, "to send events to journeys", Failure, onramp.Journey})
	}
	if len(c.destinations(onramp.Message)) > 0 {
		all = append(all,
			scope{scopeEmailSend, []string{"Channels", "Email", "Send"}, "to send transactional emails", Failure, onramp.Message},
			scope{scopeEmailRead, []string{"Channels", "Email", "Read"}, "to read the message definitions for this check", Warning, onramp.Message})
	}
	if len(c.cfg.Callbacks) == 0 {
		return all
	}
	for _, right := range []string{"Read", "Create", "Update", "Delete"} {
		reason, level := "to set up event notifications", Failure
		if right == "Delete" {
			reason, level = "to remove or recreate event notifications", Warning
		}
		all = append(all,
			scope{"event_notification_callback_" + strings.ToLower(right), []string{"Event Notifications", "Callbacks", right}, reason, level, 0},
			scope{"event_notification_subscription_" + strings.ToLower(right), []string{"Event Notifications", "Subscriptions", right}, reason, level, 0})
	}
	return all
}

// LackingScopes tells which scopes an access token lacks without which the configuration
// can't work.
func LackingScopes(cfg Config, token *sfmc.Token) health.Lack {
	c := &Checks{cfg: cfg}
	var lack health.Lack
	var names, labels []string
	granted := strings.Fields(token.Scope)
	for _, s := range c.needed() {
		if len(granted) == 0 || s.level != Failure || slices.Contains(granted, s.name) {
			continue
		}
		names, labels = append(names, s.name), append(labels, s.label())
		for _, to := range c.destinations(s.of) {
			lack.Concerns = append(lack.Concerns, to.Name())
		}
	}
	if names != nil {
		lack.Detail = "the installed package lacks " + strings.Join(names, ", ")
		lack.Hint = "Marketing Cloud admin: give the package " + strings.Join(labels, ", ") + "; see onramp check --only scopes"
	}
	return lack
}

// label is a scope as the package's screen names it.
func (s *scope) label() string {
	last := len(s.menu) - 1
	return strings.Join(s.menu[:last], " | ") + ": " + s.menu[last]
}

// scopes compares the token's scopes with those that the configuration needs.
func (c *Checks) scopes(ctx context.Context) []Finding {
	token, err := c.cfg.Account.Token(ctx)
	if err != nil {
		return []Finding{c.unanswered("", err, onramp.Destination{})}
	}
	granted := strings.Fields(token.Scope)
	if len(granted) == 0 {
		return []Finding{ok("", "they can't be compared: the token's answer doesn't list them")}
	}
	needed := c.needed()
	var found []Finding
	for _, s := range needed {
		if slices.Contains(granted, s.name) {
			continue
		}
		c.lacking = append(c.lacking, s.name)
		f := Finding{Object: s.name, Level: s.level, Message: "the installed package lacks this scope, which is needed " + s.reason}
		found = append(found, f.mend(Admin, "give the package "+s.label()).
			at(packageMenu(append([]string{"(the package)", "API Integration", "Edit"}, s.menu...)...)...))
	}
	if found == nil {
		return []Finding{ok("", "the package has all that this configuration needs ("+strconv.Itoa(len(needed))+")")}
	}
	return found
}
