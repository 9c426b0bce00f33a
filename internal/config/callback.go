package config

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/setting"
	"onramp/internal/spelling"
)

// The limits of callbacks. Vendor pages "Create Callback" and "Create
// Subscription".
const (
	minMaxBatch      = 100
	maxMaxBatch      = 1000
	maxSubscriptions = 200
)

// grantees is who Marketing Cloud can be at the token endpoint.
type grantees struct {
	OAuth
	clear bool // nothing about them is wrong
}

// callbacks reads the section ens, and sorts the callbacks by name.
func (r *reader) callbacks(v value, from grantees) []onramp.Callback {
	section, _ := r.mapping(v, setting.ENS().Names()...)
	entries, _ := r.entries(section["callbacks"])
	names := map[string]position{} // of subscriptions, which are unique in the account
	var list []onramp.Callback
	for _, e := range entries {
		list = append(list, r.callback(e, from, names))
	}
	slices.SortFunc(list, func(a, b onramp.Callback) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (r *reader) callback(v value, from grantees, names map[string]position) onramp.Callback {
	r.checkName(v.position, v.name, "callback")
	c := onramp.Callback{Name: v.name, MaxBatch: maxMaxBatch}
	keys, ok := r.mapping(v, setting.Callback().Names()...)
	if !ok {
		return c
	}
	r.authentication(&c, keys, from)
	if s, ok := r.scalar(keys["max_batch"]); ok {
		n, ok := s.integer()
		if !ok || n < minMaxBatch || n > maxMaxBatch {
			r.report(s.position, "must be a whole number from %d to %d, without quotes", minMaxBatch, maxMaxBatch)
		}
		c.MaxBatch = n
	}
	c.Subscriptions = r.subscriptions(v, keys, names)
	return c
}

// authentication reads how Marketing Cloud proves itself.
func (r *reader) authentication(c *onramp.Callback, keys map[string]value, from grantees) {
	known := !keys["auth"].isSet()
	if word, ok := r.word(keys["auth"], "client_credentials", "password", "none"); ok {
		c.Auth, known = onramp.ParseGrant(word)
	}
	if !known {
		return
	}
	client, user, unsigned := keys["client"], keys["user"], keys["unsigned"]
	if c.Auth == onramp.SignatureOnly && unsigned.isSet() {
		r.report(unsigned.position, "has no effect with auth: none, where every batch must be signed; remove it")
	} else if word, ok := r.word(unsigned, "auto", "allow", "refuse"); ok {
		c.Unsigned, _ = onramp.ParseUnsigned(word)
	}
	if c.Auth != onramp.SignatureOnly {
		c.Client = r.client(client, from)
	} else if client.isSet() {
		r.report(client.position, "has no effect with auth: none; remove it")
	}
	if c.Auth == onramp.PasswordGrant {
		c.User = r.user(user, from)
	} else if user.isSet() {
		r.report(user.position, "has no effect with auth: %s; remove it", c.Auth)
	}
}

// client reads the id of the token client, by default that of the only one. Any
// id may be given, since the gateway can keep clients in its database, too; where
// the configuration has none, "" stands for the only one there.
func (r *reader) client(v value, from grantees) string {
	if v.isSet() {
		return r.clientID(v, "is empty: set it to the id of a token client, or remove the key")
	}
	if len(from.Clients) == 1 {
		return from.Clients[0].ID
	}
	if n := len(from.Clients); n > 1 && from.clear {
		r.report(v.position, "is missing, but oauth.clients has %d entries: set it to the id of one", n)
	}
	return ""
}

// user reads the name of the resource owner, by default that of the only one.
func (r *reader) user(v value, from grantees) string {
	s, given := r.scalar(v)
	known := slices.ContainsFunc(from.Users, func(u onramp.TokenUser) bool { return u.Name == s.text })
	switch {
	case given && (known && s.text != "" || !from.clear):
		return s.text
	case given:
		r.report(s.position, "no user in oauth.users has this name")
	case v.isSet():
	case len(from.Users) == 1:
		return from.Users[0].Name
	case !from.clear:
	case len(from.Users) == 0:
		r.report(v.position, "is missing: auth: password needs a user; add one to oauth.users")
	default:
		r.report(v.position, "is missing, but oauth.users has %d entries: set it to the name of one", len(from.Users))
	}
	return ""
}

// subscriptions reads what a callback gets, in the short form or the long one.
func (r *reader) subscriptions(callback value, keys map[string]value, names map[string]position) []onramp.Subscription {
	long := keys["subscriptions"]
	if !long.isSet() {
		s := onramp.Subscription{Name: "onramp-" + callback.name}
		r.claim(names, callback, strings.ToLower(s.Name), "subscription", "name")
		r.subscription(&s, keys, "subscribe")
		return []onramp.Subscription{s}
	}
	for _, key := range []string{"subscribe", "filters", "paused"} {
		if keys[key].isSet() {
			r.report(keys[key].position, "is the short form for a single subscription: it can't be used together with subscriptions")
		}
	}
	before := len(r.problems)
	items, ok := r.list(long)
	switch {
	case len(items) > maxSubscriptions:
		r.report(long.position, "a callback can have at most %d subscriptions, but this one has %d", maxSubscriptions, len(items))
	case ok && len(items) == 0 && len(r.problems) == before:
		r.report(long.position, "a callback needs at least one subscription")
	}
	var list []onramp.Subscription
	for _, item := range items {
		keys, ok := r.mapping(item, setting.Subscription().Names()...)
		if !ok {
			continue
		}
		s := onramp.Subscription{Name: r.needed(keys["name"], "set a name that is unique in the account")}
		r.claim(names, keys["name"], strings.ToLower(s.Name), "subscription", "name")
		r.subscription(&s, keys, "types")
		list = append(list, s)
	}
	return list
}

// subscription reads what stands below both forms.
func (r *reader) subscription(s *onramp.Subscription, keys map[string]value, types string) {
	before := len(r.problems)
	s.Types = r.eventTypes(keys[types], scalar.eventType)
	if len(s.Types) == 0 && len(r.problems) == before {
		r.report(keys[types].position, "is missing: list the event types to receive, such as TransactionalSendEvents.EmailSent")
	}
	names, sure := filterNames(s.Types)
	s.Filters = r.filters(keys["filters"], names, sure && len(r.problems) == before)
	s.Paused = r.boolean(keys["paused"], false)
}

// eventTypes reads a list of types or patterns.
func (r *reader) eventTypes(v value, check func(scalar) error) []string {
	return r.unique(r.texts(v), func(s scalar) string {
		if err := check(s); err != nil {
			return err.Error()
		}
		return ""
	})
}

// filters reads the filters of a subscription; known are the names that its
// types have, if that is sure.
func (r *reader) filters(v value, known []string, sure bool) []string {
	return r.unique(r.texts(v), func(s scalar) string {
		name, wanted, ok := strings.Cut(s.text, "=")
		given := scalar{text: name, ref: s.ref}
		switch {
		case !ok || name == "" || wanted == "":
			return s.quoted() + " must be name=value, such as definitionKey=welcome"
		case sure && len(known) == 0:
			return "these events can't be filtered: remove the filter"
		case sure && !slices.Contains(known, name):
			return given.quoted() + " is not a filter for these events; " + spelling.DidYouMean(name, known)
		}
		return ""
	})
}

// checkCallbacks checks what callbacks need of the rest of the configuration.
func (r *reader) checkCallbacks(c *Config, publicURL, key value) {
	if len(c.Callbacks) == 0 {
		return
	}
	at, given := r.given["public.url"]
	switch {
	case !given:
		r.report(publicURL.position, "is missing: Marketing Cloud needs it to call the callbacks of ens, such as https://signup.example.com")
	case c.Public.URL != "" && c.MarketingCloud.Subdomain != "" && !isCallable(c.Public.URL):
		r.report(at, "must be an https URL without port, user or query: Marketing Cloud calls callbacks only on port 443")
	}
	if _, given := r.given["encryption_key"]; !given && isPostgres(c.Database) {
		r.report(key.position, "is missing: with PostgreSQL, callbacks need a key that all processes share; onramp keys new encryption creates one")
	}
}

// isCallable says that Marketing Cloud takes callbacks under a URL. Vendor page
// "Create Callback".
func isCallable(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host == u.Hostname() && u.User == nil &&
		u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}
