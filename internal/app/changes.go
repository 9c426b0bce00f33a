package app

import (
	"reflect"
	"slices"

	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// part is what the configuration has under a name of its own.
type part struct {
	name string
	of   func(*config.Config) any // where it stands
}

// parts are all but those that have names given by the user: see named.
func parts() []part {
	return []part{
		{"database", func(c *config.Config) any { return &c.Database }},
		{"encryption_key", func(c *config.Config) any { return &c.EncryptionKey }},
		{"public.listen", func(c *config.Config) any { return &c.Public.Listen }},
		{"public.max_connections", func(c *config.Config) any { return &c.Public.MaxConnections }},
		{"public.tls", func(c *config.Config) any { return &c.Public.TLS }},
		{"public.tls.acme", func(c *config.Config) any { return &c.Public.ACME }},
		{"admin.tls", func(c *config.Config) any { return &c.Admin.TLS }},
		{"admin.listen", func(c *config.Config) any { return &c.Admin.Listen }},
		{"delivery.longest_call", func(c *config.Config) any { return &c.Delivery.LongestCall }},
		{"tracing.endpoint", func(c *config.Config) any { return &c.Tracing.Endpoint }},
		{"tracing.sample", func(c *config.Config) any { return &c.Tracing.Sample }},
		{"tracing.trust_parent", func(c *config.Config) any { return &c.Tracing.TrustParent }},
		{"tracing.headers", func(c *config.Config) any { return &c.Tracing.Headers }},
		{"log.format", func(c *config.Config) any { return &c.Log.Format }},

		{"public.url", func(c *config.Config) any { return &c.Public.URL }},
		{"public.trusted_proxies", func(c *config.Config) any { return &c.Public.TrustedProxies }},
		{"public.client_ip_header", func(c *config.Config) any { return &c.Public.ClientIPHeader }},
		{"admin.token", func(c *config.Config) any { return &c.Admin.Token }},
		{"admin.tokens", func(c *config.Config) any { return &c.Admin.Tokens }},
		{"marketing_cloud.subdomain", func(c *config.Config) any { return &c.MarketingCloud.Subdomain }},
		{"marketing_cloud.auth_url", func(c *config.Config) any { return &c.MarketingCloud.AuthURL }},
		{"marketing_cloud.client_id", func(c *config.Config) any { return &c.MarketingCloud.ClientID }},
		{"marketing_cloud.client_secret", func(c *config.Config) any { return &c.MarketingCloud.ClientSecret }},
		{"marketing_cloud.account_id", func(c *config.Config) any { return &c.MarketingCloud.AccountID }},
		{"marketing_cloud.calls_per_year", func(c *config.Config) any { return &c.MarketingCloud.CallsPerYear }},
		{"marketing_cloud.contract_start", func(c *config.Config) any { return &c.MarketingCloud.ContractStart }},
		{"oauth.token_lifetime", func(c *config.Config) any { return &c.OAuth.TokenLifetime }},
		{"oauth.clients", func(c *config.Config) any { return &c.OAuth.Clients }},
		{"oauth.users", func(c *config.Config) any { return &c.OAuth.Users }},
		{"delivery.give_up_after", func(c *config.Config) any { return &c.Delivery.GiveUpAfter }},
		{"delivery.senders", func(c *config.Config) any { return &c.Delivery.Senders }},
		{"delivery.timeout", func(c *config.Config) any { return &c.Delivery.Timeout }},
		{"smtp.url", func(c *config.Config) any { return &c.SMTP.URL }},
		{"smtp.from", func(c *config.Config) any { return &c.SMTP.From }},
		{"drain_timeout", func(c *config.Config) any { return &c.Drain }},
		{"log.level", func(c *config.Config) any { return &c.Log.Level }},
		{"screen", func(c *config.Config) any { return &c.Screens }},
		{"consent", func(c *config.Config) any { return &c.Consent }},
		{"watch", func(c *config.Config) any { return &c.Watch }},
		{"alerts", func(c *config.Config) any { return &c.Alerts }},
	}
}

// keepFixed gives a new configuration the settings of the one that runs which can't be
// changed while it does, and returns those that are different.
func keepFixed(before, after *config.Config) []string {
	var kept []string
	for _, s := range parts() {
		if setting.NeedsRestart(s.name) && !reflect.DeepEqual(s.of(before), s.of(after)) {
			reflect.ValueOf(s.of(after)).Elem().Set(reflect.ValueOf(s.of(before)).Elem())
			kept = append(kept, s.name)
		}
	}
	return kept
}

// changes lists what is different in two configurations, without showing how.
func changes(before, after *config.Config) []string {
	changed := []string{}
	for _, s := range parts() {
		if !reflect.DeepEqual(s.of(before), s.of(after)) {
			changed = append(changed, s.name)
		}
	}
	return append(changed, slices.Concat(
		named("forms.", before.Forms, after.Forms, func(f onramp.Form) string { return f.Name }),
		named("ens.callbacks.", before.Callbacks, after.Callbacks, func(c onramp.Callback) string { return c.Name }),
		named("sinks.", before.Sinks, after.Sinks, func(s onramp.Sink) string { return s.Name }),
	)...)
}

// named lists what is different in two lists of what has names.
func named[T any](prefix string, before, after []T, name func(T) string) []string {
	var changed []string
	for _, one := range after {
		at := slices.IndexFunc(before, func(b T) bool { return name(b) == name(one) })
		if at < 0 {
			changed = append(changed, prefix+name(one)+" (added)")
		} else if !reflect.DeepEqual(before[at], one) {
			changed = append(changed, prefix+name(one))
		}
	}
	for _, one := range before {
		if !slices.ContainsFunc(after, func(a T) bool { return name(a) == name(one) }) {
			changed = append(changed, prefix+name(one)+" (removed)")
		}
	}
	return changed
}
