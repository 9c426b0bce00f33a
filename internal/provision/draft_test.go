package provision_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/provision"
	"onramp/sfmc/metadata"
)

// written is the configuration that is written for a draft.
func written(d provision.Draft) []byte {
	return config.TemplateFor("", config.FormText{
		Name: d.Form, SubscriberKey: d.SubscriberKey, Fields: d.Fields, Key: d.Key, KeyColumn: d.KeyColumn,
		Account: config.MarketingCloud{Subdomain: "mc01", AccountID: "510000001"},
	})
}

var credentials = []string{"SFMC_CLIENT_ID=a", "SFMC_CLIENT_SECRET=b"}

// A data extension becomes a form, and the form needs that data extension.
func TestDraftForm(t *testing.T) {
	t.Parallel()
	text := func(name string, length int) metadata.Field {
		return metadata.Field{Name: name, Type: "Text", Length: length}
	}
	key := func(f metadata.Field) metadata.Field {
		f.PrimaryKey, f.Required = true, true
		return f
	}
	email := metadata.Field{Name: "EmailAddress", Type: "EmailAddress", Length: 254}
	for name, row := range map[string]struct {
		key    string
		sender string
		fields []metadata.Field
		want   provision.Draft
	}{
		"the specification's": {"Web_Registrations", "SubscriberKey", []metadata.Field{
			key(text("SubscriberKey", 254)), email, text("FirstName", 100),
			{Name: "OptInStatus", Type: "Boolean", Required: true},
			{Name: "RegistrationTimestamp", Type: "Date", Required: true},
			text("Source", 50), text("IPAddress", 45), text("UserAgent", 255), text("PageURL", 500), text("utm_source", 60),
		}, provision.Draft{
			Form: "web_registrations", SubscriberKey: "email", Key: "Web_Registrations", KeyColumn: "SubscriberKey",
			Use: "The key column SubscriberKey receives the subscriber key, which is the email address in EmailAddress.",
			Fields: []string{
				"{ name: email_address, column: EmailAddress, type: email, required: true }", "{ name: first_name, column: FirstName, type: text, max: 100 }", "{ name: opt_in_status, column: OptInStatus, type: boolean, default: false }",
				"{ column: RegistrationTimestamp, from: received_at }", "{ name: source, column: Source, type: text, max: 50 }", "{ column: IPAddress, from: ip }", "{ column: UserAgent, from: user_agent, max: 255 }",
				"{ column: PageURL, from: page_url, max: 500 }", "{ column: utm_source, from: utm_source, max: 60 }",
			},
		}},
		"keyed by the address": {"K", "", []metadata.Field{key(metadata.Field{Name: "Mail", Type: "EmailAddress", Length: 100}), {Name: "Nr.", Type: "Number"}, {Name: "nr", Type: "Decimal"}, text("Größe in cm", 4000)}, provision.Draft{
			Form: "k", SubscriberKey: "email", Key: "K", KeyColumn: "Mail", Use: "The key column Mail is filled by the form. The subscriber key is the email address in Mail.",
			Fields: []string{
				"{ name: mail, column: Mail, type: email, max: 100, required: true }", `{ name: nr, column: "Nr.", type: integer }`, "{ name: nr_2, column: nr, type: decimal }", `{ name: größe_in_cm, column: "Größe in cm", type: text, max: 4000 }`,
			},
		}},
		"no address": {"2 Tage", "", []metadata.Field{key(text("Id", 36)), {Name: "No", Type: "Phone", Required: true}, {Name: "Lang", Type: "Locale", Required: true, Default: "de"}}, provision.Draft{
			Form: "2_tage", SubscriberKey: "uuid", Key: `"2 Tage"`, KeyColumn: "Id", Use: "The key column Id receives the subscriber key, which is a generated UUID, another one for each registration.",
			Fields: []string{`{ name: field_no, column: "No", type: phone, required: true }`, "{ name: lang, column: Lang, type: locale }"},
		}},
		"a short key": {"К", "", []metadata.Field{key(text("Code", 8)), text("A", 9)}, provision.Draft{
			Form: "registration", SubscriberKey: "field:code", Key: `"К"`, KeyColumn: "Code", Use: "The key column Code is filled by the form, and is the subscriber key.",
			Fields: []string{"{ name: code, column: Code, type: text, max: 8, required: true }", "{ name: a, column: A, type: text, max: 9 }"},
		}},
		"several key columns": {"K", "Contact", []metadata.Field{key(text("Brand", 9)), key(text("Contact", 254)), key(metadata.Field{Name: "Yes", Type: "Boolean"}), email}, provision.Draft{
			Form: "k", SubscriberKey: "email", Key: "K", KeyColumn: `[Brand, Contact, "Yes"]`, Use: "The key column Contact receives the subscriber key, which is the email address in EmailAddress; the form fills the others.",
			Fields: []string{"{ name: brand, column: Brand, type: text, max: 9, required: true }", `{ name: field_yes, column: "Yes", type: boolean, input: radio, required: true }`, "{ name: email_address, column: EmailAddress, type: email, required: true }"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &metadata.DataExtension{Key: row.key, SendableField: row.sender, Fields: row.fields}
			got, err := provision.DraftForm(d)
			if diff := cmp.Diff(row.want, got); diff != "" || err != nil {
				t.Fatal(err, diff)
			}
			cfg, err := config.Parse("onramp.yaml", written(got), credentials)
			if err != nil {
				t.Fatal(err)
			}
			form := &cfg.Forms[0]
			if form.Name != row.want.Form || form.Route[0].Key != row.key || cfg.MarketingCloud.AccountID != "510000001" || cfg.MarketingCloud.Subdomain != "mc01" {
				t.Error(form.Name, form.Route, cfg.MarketingCloud)
			}
			a := newAccount()
			d.ID, d.Sendable = "guid-1", true
			if d.SendableField == "" {
				d.SendableField = provision.Desired(form, form.Route[0]).SendableField
			}
			a.extensions = []*metadata.DataExtension{d}
			planned, err := provision.New(provision.Config{Account: a.client(t), Forms: []onramp.Form{*form}}).Plan(within(t))
			if err != nil || len(planned.Steps) != 1 || !strings.HasPrefix(planned.Steps[0].Detail, string(rune('0'+len(d.Fields)%10))) && len(d.Fields) < 10 {
				t.Error(err, lines(planned.Steps))
			}
		})
	}
}

// What can't be written to is refused.
func TestDraftRefused(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]metadata.Field{
		"no primary key": {{Name: "A", Type: "Text"}},
		"nothing else":   {{Name: "A", Type: "Text", PrimaryKey: true, Length: 254}},
	} {
		if got, err := provision.DraftForm(&metadata.DataExtension{Key: "K", Fields: fields}); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Whatever an admin has called things, the configuration is one that can be read.
func FuzzDraftForm(f *testing.F) {
	f.Add("Web Registrations", "Subscriber Key", "E-mail: {x}", "a, b]", uint8(3))
	f.Add("", "yes", "#", "\"'\\", uint8(0))
	f.Add("on", "$HOME", "${env:A}", "column:a", uint8(9))
	f.Fuzz(func(t *testing.T, key, id, one, two string, kind uint8) {
		types := []string{"Text", "EmailAddress", "Boolean", "Date", "Number", "Decimal", "Phone", "Locale"}
		for _, name := range []string{key, id, one, two} {
			if strings.ToValidUTF8(name, "") != name || strings.TrimSpace(name) == "" || strings.ContainsFunc(name, func(r rune) bool {
				return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff || r == 0x2028 || r == 0x2029 || r == 0x85
			}) {
				t.Skip("no such name")
			}
			if strings.Contains(name, "$") {
				t.Skip("looks like a reference")
			}
		}
		if strings.EqualFold(id, one) || strings.EqualFold(id, two) || strings.EqualFold(one, two) {
			t.Skip("names are unique")
		}
		d, err := provision.DraftForm(&metadata.DataExtension{Key: key, Fields: []metadata.Field{
			{Name: id, Type: "Text", Length: 254, PrimaryKey: true, Required: true}, {Name: one, Type: types[kind%8], Length: 10}, {Name: two, Type: types[kind/8%8], Required: true},
		}})
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Parse("onramp.yaml", written(d), credentials)
		if err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(d.Fields, "\n"))
		}
		form := cfg.Forms[0]
		if form.Route[0].Key != key || !form.Fills(one) || !form.Fills(two) {
			t.Errorf("%q: %q", form.Route[0].Key, d.Fields)
		}
	})
}
