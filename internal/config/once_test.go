package config_test

import "onramp/internal/config"

func wrongOnce() []wrong {
	const lifeHint = "must be from 1s to 24h"
	form := func(name, keys string) string {
		return "  " + name + ":\n" + rightFields + rightRoute + "    " + keys + "\n"
	}
	return []wrong{
		{"once_per", "forms:\n" + form("a", "once_per: 10") + form("b", "once_per: 0s") + form("c", "once_per: 25h") +
			form("d", "once_per: 500ms") + form("e", "once_per: [10m]") + form("f", "once_per: 24h") + form("g", "once_per: 1s"), nil, []config.Problem{
			{6, "forms.a.once_per", durationHint},
			{10, "forms.b.once_per", "must be greater than zero"},
			{14, "forms.c.once_per", lifeHint},
			{18, "forms.d.once_per", lifeHint},
			{22, "forms.e.once_per", "must be a single value, not a list"},
		}},
		{"once_per without a person", `forms:
  a:
    subscriber_key: uuid
    once_per: 10m
    fields: [ { name: note, column: Note } ]
` + rightRoute + `  b:
    subscriber_key: uuid
    once_per: 10m
` + rightFields + rightRoute, nil, []config.Problem{
			{5, "forms.a.once_per", "has no effect: without a field with type: email, subscriber_key: uuid makes every submission another person's"},
		}},
		{"idempotency_field", "forms:\n" + form("a", `idempotency_field: ""`) + form("b", "idempotency_field: _once") + form("c", "idempotency_field: _charset_") +
			form("d", "idempotency_field: { name: x }") + `  e:
    idempotency_field: yes_no
    fields:
` + rightEmail + `      - { name: yes_no, column: YesNo, type: boolean }
      - { name: _once, column: Once }
` + rightRoute + form("f", "idempotency_field: email"), nil, []config.Problem{
			{6, "forms.a.idempotency_field", "is empty: set it to the name of the input that holds the key, or remove it"},
			{10, "forms.b.idempotency_field", `"_once" is a name that Onramp's own pages use: choose another one`},
			{14, "forms.c.idempotency_field", `"_charset_" is a name that Onramp's own pages use: choose another one`},
			{18, "forms.d.idempotency_field", "must be a single value, not a map"},
			{20, "forms.e.idempotency_field", "a field of type boolean can't be the key: use one whose values are all different, or a name that no field has"},
		}},
	}
}
