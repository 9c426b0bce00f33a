package setup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// scheme is a desired authentication scheme.
type scheme struct {
	name    string
	desired sfmc.AuthScheme // secrets included; its AuthID is "" until it exists
	digest  string
}

// schemeName names the scheme of a callback; "" when it has none.
func schemeName(c *onramp.Callback) string {
	if c.Auth == onramp.SignatureOnly {
		return ""
	}
	name := c.Auth.String()
	for _, part := range []string{c.Client, c.User} {
		if part != "" {
			name += ":" + part
		}
	}
	return name
}

// desiredSchemes lists the schemes that the callbacks need. The error is that of
// the first one that lacks a secret, which is in the list all the same.
func (s *Setup) desiredSchemes(h *inventory) (list []*scheme, err error) {
	for i := range s.cfg.Callbacks {
		c := &s.cfg.Callbacks[i]
		name := schemeName(c)
		if name == "" || findScheme(list, name) != nil {
			continue
		}
		desired, wrong := s.submission(h, c)
		err = cmp.Or(err, wrong)
		list = append(list, &scheme{name, desired, digest(desired)})
	}
	return byName(list, func(s *scheme) string { return s.name }), err
}

// findScheme finds a scheme by its name; nil when it is not in the list.
func findScheme(list []*scheme, name string) *scheme {
	for _, s := range list {
		if s.name == name {
			return s
		}
	}
	return nil
}

// submission is a callback's scheme as it is submitted to Marketing Cloud.
func (s *Setup) submission(h *inventory, c *onramp.Callback) (sfmc.AuthScheme, error) {
	desired := sfmc.AuthScheme{AuthType: "oauth2", GrantType: c.Auth.String(), AuthEndpoint: s.tokenURL(), ClientID: c.Client}
	client, err := h.client(c)
	if err != nil {
		return desired, err
	}
	desired.ClientID, desired.ClientSecret = client.ID, sfmc.Secret(client.Secrets[0].Reveal())
	if c.Auth != onramp.PasswordGrant {
		return desired, nil
	}
	i := slices.IndexFunc(s.cfg.Users, func(u onramp.TokenUser) bool { return u.Name == c.User && len(u.Passwords) > 0 })
	if i < 0 {
		return desired, &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf(
			"callback %s names the user %q, which has no password in the configuration", c.Name, c.User)}
	}
	desired.Username, desired.Password = c.User, sfmc.Secret(s.cfg.Users[i].Passwords[0].Reveal())
	return desired, nil
}

// client finds the token client that Marketing Cloud is to use for a callback: the
// one that it names, or else the only one that there is.
func (h *inventory) client(c *onramp.Callback) (onramp.TokenClient, error) {
	var usable []onramp.TokenClient
	for _, t := range h.clients { // those of the configuration come first, and win
		known := slices.ContainsFunc(usable, func(u onramp.TokenClient) bool { return u.ID == t.ID })
		if len(t.Secrets) > 0 && !known && c.UsesClient(t.ID) {
			usable = append(usable, t)
		}
	}
	if len(usable) == 1 {
		return usable[0], nil
	}
	message := fmt.Sprintf("callback %s names no token client, and there are %d: under client, name the one that Marketing Cloud is to use", c.Name, len(usable))
	switch {
	case c.Client != "":
		message = fmt.Sprintf("callback %s names the token client %q, which has no secret in the configuration or the database", c.Name, c.Client)
	case len(usable) == 0:
		message = fmt.Sprintf("callback %s needs a token client: create one with onramp keys new client --save", c.Name)
	}
	return onramp.TokenClient{}, &onramp.Error{Kind: onramp.Conflict, Message: message}
}

// digest tells submissions apart without storing their secrets.
func digest(s sfmc.AuthScheme) string {
	h := sha256.New()
	for _, part := range []string{s.AuthEndpoint, s.GrantType, s.ClientID, s.ClientSecret.Reveal(), s.Username, s.Password.Reveal()} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (p *plan) planSchemes() ([]*scheme, error) {
	schemes, err := p.desiredSchemes(p.actual)
	if err != nil {
		return nil, err
	}
	for _, s := range schemes {
		record := p.actual.recordOf(s.name, p.observed)
		if record == nil {
			p.adoptScheme(s, schemes)
			continue
		}
		s.desired.AuthID = record.AuthID
		switch {
		case !p.actual.matches(s, record):
			p.updateScheme(s, describeScheme(s.desired)+": secrets or token endpoint have changed")
		case !p.actual.exists(record.AuthID):
			p.updateScheme(s, describeScheme(s.desired)+": submitted again, since Marketing Cloud does not list it")
		default:
			p.keep(Scheme, s.name, describeScheme(s.desired))
		}
	}
	return schemes, nil
}

func describeScheme(s sfmc.AuthScheme) string {
	if s.Username != "" {
		return fmt.Sprintf("%s of client %s for user %s from %s", s.GrantType, s.ClientID, s.Username, s.AuthEndpoint)
	}
	return fmt.Sprintf("%s of client %s from %s", s.GrantType, s.ClientID, s.AuthEndpoint)
}

// recordOf gives our record of a scheme, nil when Marketing Cloud no longer has the
// scheme. An empty list proves nothing: Marketing Cloud may be unable to list them.
func (h *inventory) recordOf(name string, seen *observed) *onramp.Scheme {
	i := slices.IndexFunc(h.schemes, func(s onramp.Scheme) bool { return s.Name == name })
	if i < 0 || seen.missing[h.schemes[i].AuthID] || len(h.accountSchemes) > 0 && h.listed(h.schemes[i].AuthID) == nil {
		return nil
	}
	return &h.schemes[i]
}

// exists says whether a scheme is sure to be in Marketing Cloud: it is listed, or
// a callback has it.
func (h *inventory) exists(authID string) bool {
	return h.listed(authID) != nil ||
		slices.ContainsFunc(h.callbacks, func(c sfmc.Callback) bool { return h.schemeOf(c) == authID })
}

// listed is a scheme as Marketing Cloud lists it, or nil.
func (h *inventory) listed(authID string) *sfmc.AuthScheme {
	for i := range h.accountSchemes {
		if h.accountSchemes[i].AuthID == authID {
			return &h.accountSchemes[i]
		}
	}
	return nil
}

// matches says whether a scheme is as desired. Somebody may have changed it in
// Marketing Cloud, which never shows its secrets.
func (h *inventory) matches(s *scheme, record *onramp.Scheme) bool {
	if record.Digest != s.digest {
		return false
	}
	actual := h.listed(record.AuthID)
	return actual == nil || (actual.AuthEndpoint == "" || actual.AuthEndpoint == s.desired.AuthEndpoint) &&
		(actual.GrantType == "" || actual.GrantType == s.desired.GrantType)
}

// adoptScheme takes over a scheme that an interrupted setup created without
// recording it, or else creates one.
func (p *plan) adoptScheme(s *scheme, all []*scheme) {
	for _, actual := range p.actual.unrecordedSchemes(s.desired.AuthEndpoint) {
		taken := slices.ContainsFunc(all, func(o *scheme) bool { return o.desired.AuthID == actual.AuthID })
		matches := actual.GrantType == s.desired.GrantType && (actual.ClientID == "" || actual.ClientID == s.desired.ClientID)
		if matches && !taken && !p.observed.missing[actual.AuthID] && p.actual.otherUser(actual.AuthID) == "" {
			s.desired.AuthID = actual.AuthID
			p.updateScheme(s, describeScheme(s.desired)+": takes over the one that an interrupted setup left behind")
			return
		}
	}
	p.createScheme(s)
}

// unrecordedSchemes lists the schemes with our token endpoint that we have no
// record of.
func (h *inventory) unrecordedSchemes(endpoint string) []sfmc.AuthScheme {
	var list []sfmc.AuthScheme
	for _, actual := range h.accountSchemes {
		recorded := slices.ContainsFunc(h.schemes, func(s onramp.Scheme) bool { return s.AuthID == actual.AuthID })
		if actual.AuthEndpoint == endpoint && !recorded {
			list = append(list, actual)
		}
	}
	return byName(list, func(s sfmc.AuthScheme) string { return s.AuthID })
}

// otherUser names a callback of another system that uses a scheme; "" for none.
func (h *inventory) otherUser(authID string) string {
	for _, c := range h.callbacks {
		if _, ours := h.owner(c); !ours && c.AuthID == authID {
			return c.CallbackName
		}
	}
	return ""
}

var errNoAuthID = errors.New("the answer has no authId")

const hintScheme = "Marketing Cloud fetches a token from the token endpoint before it accepts a scheme, and waits two seconds: " +
	"check that public.url leads to this gateway from the internet, by https and without a port, and that any proxy in front of it lets " + onramp.TokenPath + " through"

func (p *plan) createScheme(s *scheme) {
	p.add(step{
		Step: Step{Kind: Create, Object: Scheme, Name: s.name, Detail: describeScheme(s.desired)},
		do: func(ctx context.Context) error {
			created, err := p.cfg.Account.CreateAuthScheme(ctx, s.desired)
			if err != nil {
				return err
			}
			if created.AuthID == "" {
				return errNoAuthID
			}
			s.desired.AuthID = created.AuthID
			return p.cfg.Schemes.SaveScheme(ctx, onramp.Scheme{Name: s.name, AuthID: created.AuthID, Digest: s.digest})
		},
		hint: hintScheme,
	})
}

// updateScheme submits a scheme again. If it no longer exists, which a Marketing
// Cloud that can't list schemes does not say earlier, it is recreated.
func (p *plan) updateScheme(s *scheme, detail string) {
	p.add(step{
		Step: Step{Kind: Update, Object: Scheme, Name: s.name, Detail: detail},
		do: func(ctx context.Context) error {
			_, err := p.cfg.Account.UpdateAuthScheme(ctx, s.desired)
			if hasStatus(err, http.StatusNotFound) {
				p.observed.missing[s.desired.AuthID] = true
				return errReplan
			}
			if err != nil {
				return err
			}
			return p.cfg.Schemes.SaveScheme(ctx, onramp.Scheme{Name: s.name, AuthID: s.desired.AuthID, Digest: s.digest})
		},
		hint: hintScheme,
	})
}

// planUnmanagedSchemes is about our schemes that no configured callback needs.
func (p *plan) planUnmanagedSchemes(desired []*scheme, prune bool) {
	for _, s := range p.actual.unmanagedSchemes(p.tokenURL(), desired) {
		switch user := p.actual.otherUser(s.AuthID); {
		case user != "":
			p.leave(Scheme, s.Name, "callback "+user+" of another system uses it")
		case prune:
			p.deleteScheme(s, "no configured callback uses it")
		default:
			p.leave(Scheme, s.Name, leftAsItIs)
		}
	}
}

// unmanagedSchemes lists our schemes without the desired ones.
func (h *inventory) unmanagedSchemes(endpoint string, desired []*scheme) []onramp.Scheme {
	return slices.DeleteFunc(h.ownSchemes(endpoint), func(s onramp.Scheme) bool {
		return slices.ContainsFunc(desired, func(d *scheme) bool { return d.name == s.Name || d.desired.AuthID == s.AuthID })
	})
}

// ownSchemes lists the schemes that we have created: recorded, or with our token
// endpoint. One that is not recorded has its id for a name.
func (h *inventory) ownSchemes(endpoint string) []onramp.Scheme {
	list := slices.Clone(h.schemes)
	for _, actual := range h.unrecordedSchemes(endpoint) {
		list = append(list, onramp.Scheme{Name: actual.AuthID, AuthID: actual.AuthID})
	}
	return byName(list, func(s onramp.Scheme) string { return s.Name })
}

// deleteScheme deletes a scheme in Marketing Cloud, then our record of it.
func (p *plan) deleteScheme(s onramp.Scheme, why string) {
	p.add(step{
		Step: Step{Kind: Delete, Object: Scheme, Name: s.Name, Detail: why},
		do: func(ctx context.Context) error {
			if err := ignoreNotFound(p.cfg.Account.DeleteAuthScheme(ctx, s.AuthID)); err != nil {
				return err
			}
			if recorded := slices.Contains(p.actual.schemes, s); !recorded {
				return nil
			}
			return p.cfg.Schemes.DeleteScheme(ctx, s.Name)
		},
		hint: "Marketing Cloud deletes a scheme only once no callback uses it, and may take two minutes to notice: run the command again",
	})
}
