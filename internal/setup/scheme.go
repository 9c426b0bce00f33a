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

// scheme is an authentication scheme that callbacks are to have.
type scheme struct {
	name   string
	want   sfmc.AuthScheme // secrets included; its AuthID is "" until it is there
	digest string
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

// schemes lists what schemes the callbacks are to have. The error is that of the
// first one that lacks a secret, which is in the list all the same.
func (s *Setup) schemes(h *inventory) (list []*scheme, err error) {
	for i := range s.Callbacks {
		c := &s.Callbacks[i]
		name := schemeName(c)
		if name == "" || find(list, name) != nil {
			continue
		}
		want, wrong := s.submission(h, c)
		err = cmp.Or(err, wrong)
		list = append(list, &scheme{name, want, digest(want)})
	}
	return byName(list, func(s *scheme) string { return s.name }), err
}

func find(list []*scheme, name string) *scheme {
	for _, s := range list {
		if s.name == name {
			return s
		}
	}
	return nil
}

// submission is what Marketing Cloud is told of a callback's scheme.
func (s *Setup) submission(h *inventory, c *onramp.Callback) (sfmc.AuthScheme, error) {
	want := sfmc.AuthScheme{AuthType: "oauth2", GrantType: c.Auth.String(), AuthEndpoint: s.PublicURL + s.TokenPath, ClientID: c.Client}
	client, err := h.client(c)
	if err != nil {
		return want, err
	}
	want.ClientID, want.ClientSecret = client.ID, sfmc.Secret(client.Secrets[0].Reveal())
	if c.Auth != onramp.PasswordGrant {
		return want, nil
	}
	i := slices.IndexFunc(s.Users, func(u onramp.TokenUser) bool { return u.Name == c.User && len(u.Passwords) > 0 })
	if i < 0 {
		return want, &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf(
			"callback %s names the user %q, which the configuration gives no password", c.Name, c.User)}
	}
	want.Username, want.Password = c.User, sfmc.Secret(s.Users[i].Passwords[0].Reveal())
	return want, nil
}

// client finds the token client that Marketing Cloud is to use for a callback: the
// one that it names, or else the only one there is.
func (h *inventory) client(c *onramp.Callback) (onramp.TokenClient, error) {
	var usable []onramp.TokenClient
	for _, t := range h.clients { // those of the configuration, in front, win
		known := slices.ContainsFunc(usable, func(u onramp.TokenClient) bool { return u.ID == t.ID })
		if len(t.Secrets) > 0 && !known && c.UsesClient(t.ID) {
			usable = append(usable, t)
		}
	}
	if len(usable) == 1 {
		return usable[0], nil
	}
	message := fmt.Sprintf("callback %s names no token client, and there are %d: name the one that Marketing Cloud is to use under client", c.Name, len(usable))
	switch {
	case c.Client != "":
		message = fmt.Sprintf("callback %s names the token client %q, which has no secret: neither the configuration nor the database has one", c.Name, c.Client)
	case len(usable) == 0:
		message = fmt.Sprintf("callback %s needs a token client: make one with onramp keys new client --save", c.Name)
	}
	return onramp.TokenClient{}, &onramp.Error{Kind: onramp.Conflict, Message: message}
}

// digest tells submissions apart without keeping their secrets.
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

func (p *plan) drawSchemes() ([]*scheme, error) {
	schemes, err := p.schemes(p.have)
	if err != nil {
		return nil, err
	}
	for _, s := range schemes {
		kept := p.have.kept(s.name, p.learned)
		if kept == nil {
			p.findScheme(s, schemes)
			continue
		}
		s.want.AuthID = kept.AuthID
		switch {
		case !p.have.matches(s, kept):
			p.updateScheme(s, describeScheme(s.want)+": secrets or token endpoint have changed")
		case !p.have.isThere(kept.AuthID):
			p.updateScheme(s, describeScheme(s.want)+": submitted again, since Marketing Cloud does not list it")
		default:
			p.keep(Scheme, s.name, describeScheme(s.want))
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

// kept is the scheme of a name that we have made, nil when Marketing Cloud has it
// no longer. An empty list proves nothing: the call may not be there.
func (h *inventory) kept(name string, learned *lessons) *onramp.Scheme {
	i := slices.IndexFunc(h.schemes, func(s onramp.Scheme) bool { return s.Name == name })
	if i < 0 || learned.gone[h.schemes[i].AuthID] || len(h.accountSchemes) > 0 && h.listed(h.schemes[i].AuthID) == nil {
		return nil
	}
	return &h.schemes[i]
}

// isThere says whether a scheme is sure to be in Marketing Cloud: it is listed, or
// a callback has it.
func (h *inventory) isThere(authID string) bool {
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

// matches says whether a scheme is as it is to be. Somebody may have changed it in
// Marketing Cloud; its secrets are never told.
func (h *inventory) matches(s *scheme, kept *onramp.Scheme) bool {
	if kept.Digest != s.digest {
		return false
	}
	there := h.listed(kept.AuthID)
	return there == nil || (there.AuthEndpoint == "" || there.AuthEndpoint == s.want.AuthEndpoint) &&
		(there.GrantType == "" || there.GrantType == s.want.GrantType)
}

// findScheme takes over the scheme that an interrupted setup has made without
// storing it, or else makes one.
func (p *plan) findScheme(s *scheme, others []*scheme) {
	for _, there := range p.have.strays(s.want.AuthEndpoint) {
		taken := slices.ContainsFunc(others, func(o *scheme) bool { return o.want.AuthID == there.AuthID })
		mine := there.GrantType == s.want.GrantType && (there.ClientID == "" || there.ClientID == s.want.ClientID)
		if mine && !taken && !p.learned.gone[there.AuthID] && p.have.foreigner(there.AuthID) == "" {
			s.want.AuthID = there.AuthID
			p.updateScheme(s, describeScheme(s.want)+": takes over the one that an interrupted setup has left")
			return
		}
	}
	p.createScheme(s)
}

// strays lists the schemes with our token endpoint that we have no record of.
func (h *inventory) strays(endpoint string) []sfmc.AuthScheme {
	var list []sfmc.AuthScheme
	for _, there := range h.accountSchemes {
		recorded := slices.ContainsFunc(h.schemes, func(s onramp.Scheme) bool { return s.AuthID == there.AuthID })
		if there.AuthEndpoint == endpoint && !recorded {
			list = append(list, there)
		}
	}
	return byName(list, func(s sfmc.AuthScheme) string { return s.AuthID })
}

// foreigner names a callback of somebody else that uses a scheme.
func (h *inventory) foreigner(authID string) string {
	for _, c := range h.callbacks {
		if _, ours := h.owner(c); !ours && c.AuthID == authID {
			return c.CallbackName
		}
	}
	return ""
}

var errNoAuthID = errors.New("the answer names no authId")

const hintScheme = "Marketing Cloud fetches a token from the token endpoint before it takes a scheme, and waits two seconds: " +
	"is public.url this gateway's, reachable from the internet by https without a port, and does whatever stands before it let /oauth2/token through?"

func (p *plan) createScheme(s *scheme) {
	p.add(step{
		Step: Step{Kind: Create, Object: Scheme, Name: s.name, Detail: describeScheme(s.want)},
		do: func(ctx context.Context) error {
			made, err := p.Account.CreateAuthScheme(ctx, s.want)
			if err != nil {
				return err
			}
			if made.AuthID == "" {
				return errNoAuthID
			}
			s.want.AuthID = made.AuthID
			return p.Store.SaveScheme(ctx, onramp.Scheme{Name: s.name, AuthID: made.AuthID, Digest: s.digest})
		},
		hint: hintScheme,
	})
}

// updateScheme submits a scheme again. When it turns out to be gone, which a
// Marketing Cloud that lists no schemes does not tell before, it is made anew.
func (p *plan) updateScheme(s *scheme, detail string) {
	p.add(step{
		Step: Step{Kind: Update, Object: Scheme, Name: s.name, Detail: detail},
		do: func(ctx context.Context) error {
			_, err := p.Account.UpdateAuthScheme(ctx, s.want)
			if hasStatus(err, http.StatusNotFound) {
				p.learned.gone[s.want.AuthID] = true
				return errLearned
			}
			if err != nil {
				return err
			}
			return p.Store.SaveScheme(ctx, onramp.Scheme{Name: s.name, AuthID: s.want.AuthID, Digest: s.digest})
		},
		hint: hintScheme,
	})
}

// drawExtraSchemes is about the schemes of ours that no callback is to have.
func (p *plan) drawExtraSchemes(wanted []*scheme, prune bool) {
	for _, s := range p.have.ownSchemes(p.PublicURL + p.TokenPath) {
		used := slices.ContainsFunc(wanted, func(w *scheme) bool { return w.name == s.Name || w.want.AuthID == s.AuthID })
		user := p.have.foreigner(s.AuthID)
		switch {
		case used:
		case user != "":
			p.leave(Scheme, s.Name, "callback "+user+" of another system uses it")
		case prune:
			p.deleteScheme(s, "no callback of the configuration uses it")
		default:
			p.leave(Scheme, s.Name, leftAlone)
		}
	}
}

// ownSchemes lists those that we have made: recorded, or with our token endpoint.
// A stray has its id for a name.
func (h *inventory) ownSchemes(endpoint string) []onramp.Scheme {
	list := slices.Clone(h.schemes)
	for _, there := range h.strays(endpoint) {
		list = append(list, onramp.Scheme{Name: there.AuthID, AuthID: there.AuthID})
	}
	return byName(list, func(s onramp.Scheme) string { return s.Name })
}

// deleteScheme deletes a scheme in Marketing Cloud, then our record of it.
func (p *plan) deleteScheme(s onramp.Scheme, why string) {
	p.add(step{
		Step: Step{Kind: Delete, Object: Scheme, Name: s.Name, Detail: why},
		do: func(ctx context.Context) error {
			if err := unlessGone(p.Account.DeleteAuthScheme(ctx, s.AuthID)); err != nil {
				return err
			}
			if recorded := slices.Contains(p.have.schemes, s); !recorded {
				return nil
			}
			return p.Store.DeleteScheme(ctx, s.Name)
		},
		hint: "Marketing Cloud deletes a scheme only when no callback uses it any more, which may take it two minutes to notice: run the command again",
	})
}
