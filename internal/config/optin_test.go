package config_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/onramp"
)

const optInHead = `public: { url: https://signup.example.com }
smtp: { url: "smtps://user:p%40ss@mail.example.com", from: News <news@example.com> }
marketing_cloud: { subdomain: mc563885gzs27c5t9-63k636ttgm, client_id: a, client_secret: b }
forms:
`

// optInForm is a form whose registrations are confirmed as its lines say.
func optInForm(name, how string) string {
	return fmt.Sprintf(`  %s:
    double_opt_in: %s
    fields:
      - { name: email, column: Mail, type: email, required: true }
      - { name: first_name, column: FirstName }
      - { column: At, from: confirmed_at }
    route:
      - data_extension: { key: d }
`, name, how)
}

func TestDoubleOptIn(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("test", []byte(optInHead+
		optInForm("a", "{ message: { definition_key: m }, include: [first_name], expire_after: 48h, link_expires_after: 1h, remind_after: 24h, success_url: /thanks, limits: { per_person: 2, per_person_all_forms: 4, per_domain: 6, per_form: 8 } }")+
		optInForm("b", "{ journey: { event_definition_key: j, on_unknown: retry, key_column: Key } }")+optInForm("c", "{ smtp: true }")), nil)
	if err != nil {
		t.Fatal(err)
	}
	week, days := 168*time.Hour, 72*time.Hour
	want := []*onramp.DoubleOptIn{
		{
			Confirmation: onramp.Destination{Kind: onramp.Message, Key: "m", ToColumn: "Mail"}, Include: []string{"first_name"}, ExpireAfter: 48 * time.Hour, LinkFor: time.Hour,
			RemindAfter: 24 * time.Hour, SuccessURL: "/thanks", Limits: onramp.ConfirmationLimits{PersonForm: 2, Person: 4, Domain: 6, Form: 8},
		},
		{Confirmation: onramp.Destination{
			Kind: onramp.Journey, Key: "j", ToColumn: "Mail", KeyColumns: []string{"Key"}, EstablishContactKey: true, OnUnknown: onramp.Again,
		}, ExpireAfter: week, LinkFor: days, Limits: onramp.DefaultLimits()},
		{Confirmation: onramp.Destination{Kind: onramp.SMTP, Key: "confirmation"}, ExpireAfter: week, LinkFor: days, Limits: onramp.DefaultLimits()},
	}
	for i := range want {
		if diff := cmp.Diff(want[i], c.Forms[i].DoubleOptIn); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Forms[i].Name, diff)
		}
	}
	if c.SMTP.URL.Reveal() != "smtps://user:p%40ss@mail.example.com" || c.SMTP.From != "News <news@example.com>" {
		t.Error(c.SMTP)
	}
}

func TestWrongDoubleOptIn(t *testing.T) {
	t.Parallel()
	const needsOne = "needs exactly one of message, journey and smtp, which carries the link"
	in := func(how string) string { return optInHead + optInForm("a", how) }
	for _, w := range []wrong{
		{"nothing carries it", in("{}"), nil, []config.Problem{{6, "forms.a.double_opt_in", needsOne}}},
		{"two carry it", in("{ smtp: true, message: { definition_key: m } }"), nil, []config.Problem{{6, "forms.a.double_opt_in", needsOne}}},
		{"smtp: false", in("{ smtp: false }"), nil, []config.Problem{{6, "forms.a.double_opt_in.smtp", "must be true, or left out"}}},
		{"no key", in("{ message: {} }"), nil, []config.Problem{{6, "forms.a.double_opt_in.message.definition_key", "is missing: set it to the definition key of the transactional message"}}},
		{"values", in("{ smtp: true, include: [nobody, email, email], expire_after: 7d, link_expires_after: 200h, remind_after: 1m, success_url: thanks, limits: { per_person: 0 } }"), nil, []config.Problem{
			{6, "forms.a.double_opt_in.include[0]", `"nobody" is not the name of a field that visitors fill in`},
			{6, "forms.a.double_opt_in.include[2]", "is listed twice: remove one"},
			{6, "forms.a.double_opt_in.limits.per_person", "must be a whole number from 1 to 1000000, without quotes"},
			{6, "forms.a.double_opt_in.expire_after", "must be a duration with a unit, such as 30s, 5m or 72h"},
			{6, "forms.a.double_opt_in.link_expires_after", "must be from 10m to 168h"},
			{6, "forms.a.double_opt_in.remind_after", "must be from 1h to 168h"},
			{6, "forms.a.double_opt_in.success_url", "must be an absolute http or https URL or a path that starts with /"},
		}},
		{"also a step", in("{ message: { definition_key: m } }") + "      - message: { definition_key: m }\n", nil, []config.Problem{
			{6, "forms.a.double_opt_in.message", "message:m takes the confirmations of double_opt_in, and is also a step of a route, on line 13: use another one for the confirmations"},
		}},
		{"without what it needs", "marketing_cloud: { auth_url: http://127.0.0.1:8090, client_id: a, client_secret: b }\ndatabase: postgres://x\nforms:\n" + optInForm("a", "{ smtp: true }"), nil, []config.Problem{
			{1, "public.url", "is missing: the links of double_opt_in begin with it, such as https://signup.example.com"},
			{1, "encryption_key", "is missing: with PostgreSQL, double_opt_in needs a key that all processes share; onramp keys new encryption creates one"},
			{1, "smtp.url", "is missing: a form sends its confirmations by smtp"},
			{1, "smtp.from", "is missing: a form sends its confirmations by smtp"},
		}},
		{"fields for nothing", optInHead + "  a:\n    fields:\n      - { name: email, column: Mail, type: email, required: true }\n      - { column: At, from: confirmed_at }\n      - { column: IP, from: confirmed_ip }\n    route: [ data_extension: { key: d } ]\n", nil, []config.Problem{
			{8, "forms.a.fields[1].from", "confirmed_at has no value without double_opt_in: add it to the form, or remove this field"},
			{9, "forms.a.fields[2].from", "confirmed_ip has no value without double_opt_in: add it to the form, or remove this field"},
		}},
		{"nobody to ask", optInHead + "  a:\n    subscriber_key: uuid\n    double_opt_in: { smtp: true }\n    fields: [ { name: n, column: N } ]\n    route: [ data_extension: { key: d } ]\n", nil, []config.Problem{
			{7, "forms.a.double_opt_in", "needs a field with type: email and required: true, for the address that is asked"},
		}},
	} {
		w.run(t, w.file)
	}
}
