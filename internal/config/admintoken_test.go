package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/onramp"
)

// Further admin tokens have names and roles.
func TestAdminTokens(t *testing.T) {
	t.Parallel()
	const file = shortAccount + `admin:
  listen: 0.0.0.0:8081
  tokens:
    - { name: monitoring, token: "${env:READER}", roles: [read] }
    - { name: dpo, token: token-of-the-officer, roles: [operate, privacy] }
` + shortForms
	cfg, err := config.Parse("onramp.yaml", []byte(file), []string{"READER=token-of-the-reader"})
	if err != nil {
		t.Fatal(err)
	}
	want := []config.AdminToken{
		{Name: "monitoring", Token: "token-of-the-reader", Roles: []onramp.Role{onramp.RoleRead}},
		{Name: "dpo", Token: "token-of-the-officer", Roles: []onramp.Role{onramp.RoleOperate, onramp.RolePrivacy}},
	}
	if diff := cmp.Diff(want, cfg.Admin.Tokens); diff != "" {
		t.Error(diff)
	}
}

// What is wrong with admin tokens is told, and never a token.
func TestWrongAdminTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ tokens, want string }{
		"no name":    {`{ token: token-of-somebody, roles: [read] }`, "admin.tokens[0].name: is missing: set it to who has the token"},
		"a bad name": {`{ name: Ana Smith, token: token-of-somebody, roles: [read] }`, "a token name must start with a lower-case letter"},
		"taken":      {`{ name: admin, token: token-of-somebody, roles: [read] }`, "already has this name"},
		"no token":   {`{ name: a, roles: [read] }`, "admin.tokens[0].token: is missing: onramp keys new admin creates one"},
		"short":      {`{ name: a, token: s3cret, roles: [read] }`, "must have at least 16 characters"},
		"the same":   {`{ name: a, token: token-of-the-operator, roles: [read] }`, "already has this token"},
		"no roles":   {`{ name: a, token: token-of-somebody }`, "admin.tokens[0].roles: is missing: list what the token may do"},
		"none":       {`{ name: a, token: token-of-somebody, roles: [] }`, "admin.tokens[0].roles: is empty: list what the token may do"},
		"unknown":    {`{ name: a, token: token-of-somebody, roles: [operater] }`, "did you mean operate?"},
		"twice":      {`{ name: a, token: token-of-somebody, roles: [read, read] }`, "already has this role"},
		"more":       {`{ name: a, token: token-of-somebody, roles: [read], role: x }`, "admin.tokens[0].role: unknown key; did you mean roles?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse("onramp.yaml", []byte(shortAccount+"admin:\n  token: token-of-the-operator\n  tokens:\n    - "+c.tokens+"\n"+shortForms), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "token-of") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
