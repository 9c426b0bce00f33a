package config

import (
	"strings"
	"unicode"

	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// minSecret is the shortest secret of a token client and password of a user.
const minSecret = 8

// clients reads the token clients.
func (r *reader) clients(v value) []onramp.TokenClient {
	items, _ := r.list(v)
	var list []onramp.TokenClient
	taken := map[string]position{}
	for _, item := range items {
		keys, ok := r.mapping(item, setting.Client().Names()...)
		if !ok {
			continue
		}
		c := onramp.TokenClient{
			ID:      r.clientID(keys["id"], "is missing: onramp keys new client creates an id and a secret"),
			Secrets: r.secrets(keys, "secret", "is missing: onramp keys new client creates one", clientSecret),
		}
		r.claim(taken, keys["id"], c.ID, "client", "id")
		list = append(list, c)
	}
	return list
}

// clientID reads the id of a token client; hint is what to say when there is
// none. A colon would end it in HTTP Basic (RFC 7617, 2).
func (r *reader) clientID(v value, hint string) string {
	s, ok := r.scalar(v)
	switch {
	case !v.isSet() || ok && s.text == "":
		r.report(v.position, "%s", hint)
	case ok && (!isVisible(s.text) || strings.Contains(s.text, ":")):
		r.report(s.position, "can contain only printable ASCII characters, and no colon")
		return ""
	}
	return s.text
}

// users reads the resource owners of the password grant.
func (r *reader) users(v value) []onramp.TokenUser {
	items, _ := r.list(v)
	var list []onramp.TokenUser
	taken := map[string]position{}
	for _, item := range items {
		keys, ok := r.mapping(item, setting.User().Names()...)
		if !ok {
			continue
		}
		u := onramp.TokenUser{
			Name:      r.needed(keys["name"], "set it to the user name that Marketing Cloud is to use"),
			Passwords: r.secrets(keys, "password", "is missing: onramp keys new password creates one", userPassword),
		}
		if strings.ContainsFunc(u.Name, unicode.IsControl) {
			r.report(keys["name"].position, "must not contain control characters")
			u.Name = ""
		}
		r.claim(taken, keys["name"], u.Name, "user", "name")
		list = append(list, u)
	}
	return list
}

// secrets reads a secret and the one before it. wrong says what is wrong with
// one, or "". No message has a part of a secret.
func (r *reader) secrets(keys map[string]value, key, hint string, wrong func(string) string) []onramp.Secret {
	var list []onramp.Secret
	if v := keys[key]; !v.isSet() {
		r.report(v.position, "%s", hint)
	}
	for _, key := range []string{key, "previous_" + key} {
		s, ok := r.scalar(keys[key])
		if !ok {
			continue
		}
		mistake := ""
		switch {
		case s.text == "":
			mistake = "is empty: set a value or remove the key"
		case len(list) > 0 && list[0].Reveal() == s.text:
			mistake = "is the same as the current one: set it to the previous one, or remove the key"
		default:
			mistake = wrong(s.text)
		}
		if mistake != "" {
			r.report(s.position, "%s", mistake)
			continue
		}
		list = append(list, onramp.Secret(s.text))
	}
	return list
}

// clientSecret keeps to what RFC 6749 (appendix A.2) allows.
func clientSecret(s string) string {
	switch {
	case len(s) < minSecret:
		return "is too short: it needs at least 8 characters"
	case !isVisible(s):
		return "can contain only printable ASCII characters"
	}
	return ""
}

// userPassword keeps to what RFC 6749 (appendix A.16) allows.
func userPassword(s string) string {
	switch {
	case len([]rune(s)) < minSecret:
		return "is too short: it needs at least 8 characters"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "must not contain control characters"
	}
	return ""
}

// isVisible says that a text is of printable ASCII only, the VSCHAR of RFC 6749.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
