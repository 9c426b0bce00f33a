package config

import (
	"unicode/utf8"

	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// soleToken is the name of admin.token in the audit log.
const soleToken = "admin"

// adminTokens reads the admin tokens with names and roles.
func (r *reader) adminTokens(c *Config, v value) []AdminToken {
	items, _ := r.list(v)
	var list []AdminToken
	names, tokens := map[string]position{}, map[string]position{}
	if c.Admin.Token != "" {
		names[soleToken], tokens[c.Admin.Token.Reveal()] = r.given["admin.token"], r.given["admin.token"]
	}
	for _, item := range items {
		keys, ok := r.mapping(item, setting.AdminToken().Names()...)
		if !ok {
			continue
		}
		t := AdminToken{Name: r.needed(keys["name"], "set it to who has the token, such as monitoring"), Roles: r.roles(keys["roles"])}
		if t.Name != "" {
			r.checkName(keys["name"].position, t.Name, "token")
		}
		r.claim(names, keys["name"], t.Name, "token", "name")
		t.Token = r.adminToken(keys["token"])
		r.claim(tokens, keys["token"], t.Token.Reveal(), "token", "token")
		list = append(list, t)
	}
	return list
}

func (r *reader) adminToken(v value) onramp.Secret {
	text := r.needed(v, "onramp keys new admin creates one")
	if text != "" && utf8.RuneCountInString(text) < minAdminToken {
		r.report(v.position, "must have at least %d characters; onramp keys new admin creates one", minAdminToken)
	}
	return onramp.Secret(text)
}

// roles reads what a token may do.
func (r *reader) roles(v value) []onramp.Role {
	if !v.isSet() {
		r.report(v.position, "is missing: list what the token may do: read, operate or privacy")
	}
	items, ok := r.list(v)
	if ok && v.isSet() && len(items) == 0 {
		r.report(v.position, "is empty: list what the token may do: read, operate or privacy")
	}
	var known []string
	for _, role := range onramp.Roles() {
		known = append(known, string(role))
	}
	var roles []onramp.Role
	taken := map[string]position{}
	for _, item := range items {
		if word, ok := r.word(item, known...); ok {
			r.claim(taken, item, word, "entry", "role")
			roles = append(roles, onramp.Role(word))
		}
	}
	return roles
}
