package provision_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/provision"
	"onramp/internal/setup"
	"onramp/sfmc/metadata"
)

// forms reads the forms of a configuration.
func forms(t testing.TB, text string) []onramp.Form {
	t.Helper()
	cfg, err := config.Parse("onramp.yaml", []byte("marketing_cloud: { subdomain: mc01, client_id: a, client_secret: b }\nforms:\n"+text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Forms
}

const registration = `
  registration:
    fields:
      - { name: email,      column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName,    type: text, max: 100 }
      - { name: country,    column: Country,      type: choice, choices: [DE, FR] }
      - { name: opt_in,     column: OptInStatus,  type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
      - { column: PageURL,               from: page_url,   max: 500 }
    route:
      - data_extension: { key: Web_Registrations }
      - journey: { event_definition_key: APIEvent-1 }
`

// lines are steps as people read them.
func lines(steps []setup.Step) []string {
	var all []string
	for _, st := range steps {
		mark := "~ "
		if st.Kept {
			mark = "= "
		}
		all = append(all, mark+st.String()+": "+st.Detail)
	}
	return all
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// webRegistrations is what the form above needs.
func webRegistrations() *metadata.DataExtension {
	return &metadata.DataExtension{
		ID: "guid-1", Key: "Web_Registrations", Name: "Web_Registrations", CategoryID: 1, Sendable: true, SendableField: "SubscriberKey", SubscriberField: "_SubscriberKey",
		Fields: []metadata.Field{
			{Name: "SubscriberKey", Type: "Text", Length: 254, PrimaryKey: true, Required: true},
			{Name: "EmailAddress", Type: "EmailAddress", Length: 254, Required: true, Ordinal: 1},
			{Name: "FirstName", Type: "Text", Length: 100, Ordinal: 2},
			{Name: "Country", Type: "Text", Length: 50, Ordinal: 3},
			{Name: "OptInStatus", Type: "Boolean", Ordinal: 4},
			{Name: "RegistrationTimestamp", Type: "Date", Ordinal: 5},
			{Name: "PageURL", Type: "Text", Length: 500, Ordinal: 6},
		},
	}
}

// An empty account gets all, and a second run changes nothing.
func TestProvision(t *testing.T) {
	t.Parallel()
	a := newAccount()
	p := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration), Folder: "Website"})
	want := []string{
		"~ create folder Website: below Data Extensions",
		"~ create data extension Web_Registrations: SubscriberKey Text(254) key, EmailAddress EmailAddress(254) required, FirstName Text(100), Country Text(50), OptInStatus Boolean, RegistrationTimestamp Date, PageURL Text(500); sendable by SubscriberKey",
		"~ create event definition APIEvent-1: writes to the data extension Web_Registrations",
	}
	byHand := []provision.Task{{
		What: "create a journey that begins with the API event Onramp registration (APIEvent-1), and activate it",
		Menu: []string{"Journey Builder", "Create New Journey", "Multi-Step", "API Event", "Onramp registration", "Activate"},
	}}
	planned, err := p.Plan(within(t))
	if diff := cmp.Diff(want, lines(planned.Steps)) + cmp.Diff(byHand, planned.ByHand); diff != "" || err != nil || a.changes != nil {
		t.Error(err, diff, a.changes)
	}
	done, err := p.Apply(within(t))
	if diff := cmp.Diff(want, lines(done.Steps)) + cmp.Diff(byHand, done.ByHand); diff != "" || err != nil {
		t.Error(err, diff)
	}
	made := webRegistrations()
	made.CategoryID = 102
	if diff := cmp.Diff([]*metadata.DataExtension{made}, a.extensions); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"folder Website", "extension Web_Registrations", "event APIEvent-1"}, a.changes); diff != "" {
		t.Error(diff)
	}
	a.changes = nil
	a.journeys = []map[string]any{{"id": "j", "key": "k", "name": "Welcome", "version": 3, "status": "Published", "triggers": []any{map[string]any{"metaData": map[string]any{"eventDefinitionKey": "APIEvent-1"}}}}}
	again, err := p.Apply(within(t))
	want = []string{
		"= keep data extension Web_Registrations: 7 columns",
		"= keep event definition APIEvent-1: writes to the data extension Web_Registrations",
		"= keep journey Welcome: version 3 is published",
	}
	if diff := cmp.Diff(want, lines(again.Steps)); diff != "" || err != nil || a.changes != nil || again.ByHand != nil {
		t.Error(err, diff, a.changes, again.ByHand)
	}
}

// What exists is extended, and what only a person may change is left alone.
func TestExtend(t *testing.T) {
	t.Parallel()
	event := map[string]any{"id": "e", "name": "Welcome", "eventDefinitionKey": "APIEvent-1", "dataExtensionId": "guid-1"}
	draft := map[string]any{"id": "j", "key": "k", "name": "Welcome", "version": 1, "status": "Draft", "triggers": []any{map[string]any{"metaData": map[string]any{"eventDefinitionKey": "APIEvent-1"}}}}
	for name, row := range map[string]struct {
		change func(d *metadata.DataExtension)
		want   []string // of the data extension
		made   []string
	}{
		"columns are missing": {
			func(d *metadata.DataExtension) { d.Fields = slices.Delete(d.Fields, 3, 5) },
			[]string{"~ create column Web_Registrations.Country: Text(50)", "~ create column Web_Registrations.OptInStatus: Boolean"},
			[]string{"column Country", "column OptInStatus"},
		},
		"too short": {
			func(d *metadata.DataExtension) { d.Fields[2].Length, d.Fields[3].Length = 20, 2 },
			[]string{"~ update column Web_Registrations.FirstName: Text(20) becomes Text(100)"},
			[]string{"longer FirstName"},
		},
		"longer and wider types": {
			func(d *metadata.DataExtension) {
				d.Fields[2].Length, d.Fields[4].Type, d.Fields[4].Length, d.Fields[5].Type, d.Fields[5].Length = 4000, "Text", 5, "Text", 20
				d.Fields[0].Type = "EmailAddress"
			}, []string{"= keep data extension Web_Registrations: 7 columns"}, nil,
		},
		"a date as a short text": {
			func(d *metadata.DataExtension) { d.Fields[5].Type, d.Fields[5].Length = "Text", 10 },
			[]string{"~ update column Web_Registrations.RegistrationTimestamp: Text(10) becomes Text(20)"},
			[]string{"longer RegistrationTimestamp"},
		},
		"another type": {
			func(d *metadata.DataExtension) { d.Fields[2].Type, d.Fields[2].Length = "Number", 0 },
			[]string{"= leave column Web_Registrations.FirstName: left alone: it is Number, and the forms need Text(100); delete it in Marketing Cloud and run this again, or change the type of the field"},
			nil,
		},
		"required here": {
			func(d *metadata.DataExtension) { d.Fields[2].Required = true },
			[]string{"= leave column Web_Registrations.FirstName: left alone: it is required, and the forms don't always have a value; make it nullable in Marketing Cloud, or the field required"},
			nil,
		},
		"a default will do": {
			func(d *metadata.DataExtension) { d.Fields[2].Required, d.Fields[2].Default = true, "x" },
			[]string{"= keep data extension Web_Registrations: 7 columns"},
			nil,
		},
		"one more that is required": {
			func(d *metadata.DataExtension) {
				d.Fields = append(d.Fields, metadata.Field{Name: "Brand", Type: "Text", Length: 9, Required: true})
			},
			[]string{"= leave column Web_Registrations.Brand: left alone: it is required, and no form sends it; make it nullable in Marketing Cloud, or add a field for it"},
			nil,
		},
		"another primary key": {
			func(d *metadata.DataExtension) { d.Fields[0].PrimaryKey, d.Fields[1].PrimaryKey = false, true },
			[]string{"= leave data extension Web_Registrations: left alone: its primary key is EmailAddress, and key_column is SubscriberKey; change key_column, or create another data extension"},
			nil,
		},
		"no primary key": {
			func(d *metadata.DataExtension) { d.Fields[0].PrimaryKey = false },
			[]string{"= leave data extension Web_Registrations: left alone: it has no primary key, and key_column is SubscriberKey; change key_column, or create another data extension"},
			nil,
		},
		"not sendable": {
			func(d *metadata.DataExtension) { d.Sendable, d.SendableField, d.SubscriberField = false, "", "" },
			[]string{"= leave data extension Web_Registrations: left alone: it is not sendable, so no email can go to its rows; tick Is Sendable and relate SubscriberKey to Subscriber Key in Contact Builder → Data Extensions → the data extension → Edit"},
			nil,
		},
		"sends by another column": {
			func(d *metadata.DataExtension) { d.SendableField = "EmailAddress" },
			[]string{"= leave data extension Web_Registrations: left alone: its send relationship begins at EmailAddress, and the subscriber key is in SubscriberKey; change it in Contact Builder → Data Extensions → the data extension → Edit"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount()
			a.extensions, a.events, a.journeys = []*metadata.DataExtension{webRegistrations()}, []map[string]any{event}, []map[string]any{draft}
			row.change(a.extensions[0])
			p := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration)})
			done, err := p.Apply(within(t))
			want := append(slices.Clone(row.want), "= keep event definition APIEvent-1: writes to the data extension Web_Registrations")
			if diff := cmp.Diff(want, lines(done.Steps)) + cmp.Diff(row.made, a.changes); diff != "" || err != nil {
				t.Error(err, diff)
			}
			activate := []provision.Task{{What: "activate the journey Welcome: its version 1 is Draft", Menu: []string{"Journey Builder", "Welcome", "Activate"}}}
			if diff := cmp.Diff(activate, done.ByHand); diff != "" {
				t.Error(diff)
			}
			a.changes = nil
			if _, err := p.Apply(within(t)); err != nil || a.changes != nil {
				t.Error("the second run changes", a.changes, err)
			}
		})
	}
}

// What did not take effect although the answer said so is an error, and the next run goes
// on from there.
func TestIgnored(t *testing.T) {
	t.Parallel()
	const hint = "run the command again; if that changes nothing, a Marketing Cloud admin does it by hand"
	for name, row := range map[string]struct {
		have   *metadata.DataExtension
		ignore string
		want   setup.Error
	}{
		"data extension": {nil, "extension Web_Registrations", setup.Error{Step: "create data extension Web_Registrations", Cause: "Marketing Cloud answered that it was done, but read back, there is no data extension Web_Registrations", Hint: hint}},
		"folder":         {nil, "folder Website", setup.Error{Step: "create folder Website", Cause: "Marketing Cloud answered that it was done, but read back, there is no folder Website", Hint: hint}},
		"event":          {nil, "event APIEvent-1", setup.Error{Step: "create event definition APIEvent-1", Cause: "Marketing Cloud answered that it was done, but read back, there is no event definition APIEvent-1", Hint: hint}},
		"column": {&metadata.DataExtension{Fields: webRegistrations().Fields[:6]}, "column PageURL", setup.Error{
			Step: "create column Web_Registrations.PageURL", Cause: "Marketing Cloud answered that it was done, but read back, there is no column PageURL", Hint: hint,
		}},
		"length": {&metadata.DataExtension{Fields: append(webRegistrations().Fields[:6], metadata.Field{Name: "PageURL", Type: "Text", Length: 50})}, "longer PageURL", setup.Error{
			Step: "update column Web_Registrations.PageURL", Cause: "Marketing Cloud answered that it was done, but read back, the column PageURL is Text(50) and not Text(500)", Hint: hint,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount()
			if row.have != nil {
				d := webRegistrations()
				d.Fields = row.have.Fields
				a.extensions = []*metadata.DataExtension{d}
			}
			a.ignores = func(change string) bool { return change == row.ignore }
			p := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration), Folder: "Website"})
			_, err := p.Apply(within(t))
			got, ok := errors.AsType[*setup.Error](err)
			if !ok {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, setup.Error{Step: got.Step, Cause: got.Cause, Hint: got.Hint}); diff != "" {
				t.Error(diff)
			}
			a.ignores = nil
			if _, err := p.Apply(within(t)); err != nil {
				t.Error(err)
			}
			a.changes = nil
			if _, err := p.Apply(within(t)); err != nil || a.changes != nil {
				t.Error("the third run changes", a.changes, err)
			}
		})
	}
}

// What is otherwise than it was to be is an error, too.
func TestReadBack(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		spoil func(a *account)
		want  string
	}{
		"not sendable":    {func(a *account) { a.extensions[0].Sendable = false }, "the data extension is not sendable"},
		"another type":    {func(a *account) { a.extensions[0].Fields[2].Type = "Number" }, "the column FirstName is Number and not Text(100)"},
		"another key":     {func(a *account) { a.extensions[0].Fields[0].PrimaryKey = false }, "the primary key is another one: see the column SubscriberKey"},
		"bound elsewhere": {func(a *account) { a.events[0]["dataExtensionId"] = "guid-9" }, "the event definition is bound to another data extension, with the id guid-9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount()
			a.spoils = func() {
				if len(a.extensions) > 0 && (name != "bound elsewhere" || len(a.events) > 0) {
					row.spoil(a)
				}
			}
			_, err := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration)}).Apply(within(t))
			if got, ok := errors.AsType[*setup.Error](err); !ok || got.Cause != "Marketing Cloud answered that it was done, but read back, "+row.want {
				t.Error(err)
			}
		})
	}
}

// A column that is added to a data extension is nullable, since its rows have no value.
func TestAddedColumn(t *testing.T) {
	t.Parallel()
	a := newAccount()
	d := webRegistrations()
	d.Fields = append(d.Fields[:1], d.Fields[2:]...)
	a.extensions = []*metadata.DataExtension{d}
	if _, err := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration)}).Apply(within(t)); err != nil {
		t.Fatal(err)
	}
	want := metadata.Field{Name: "EmailAddress", Type: "EmailAddress", Length: 254, Ordinal: 6}
	if diff := cmp.Diff(want, d.Fields[len(d.Fields)-1]); diff != "" {
		t.Error(diff)
	}
}

// Columns that REST leaves out come by SOAP.
func TestLeftOutByREST(t *testing.T) {
	t.Parallel()
	a := newAccount()
	a.ignoring = []string{"FirstName", "PageURL"}
	done, err := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration)}).Apply(within(t))
	if err != nil || len(done.Steps) != 2 {
		t.Error(err, lines(done.Steps))
	}
	if diff := cmp.Diff([]string{"extension Web_Registrations", "column FirstName", "column PageURL", "event APIEvent-1"}, a.changes); diff != "" {
		t.Error(diff)
	}
}

// An interrupted run is continued by the next one, wherever it was.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for n := range 20 {
		a := newAccount()
		p := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration), Folder: "Website"})
		ctx, cancel := context.WithCancel(within(t))
		calls := 0
		a.refuses = func(string) (int, string) {
			if calls++; calls == n {
				cancel()
			}
			return 0, ""
		}
		_, first := p.Apply(ctx)
		cancel()
		if _, err := p.Apply(within(t)); err != nil {
			t.Fatalf("stopped at call %d (%v): %v", n, first, err)
		}
		if got := strings.Join(a.changes, ", "); got != "folder Website, extension Web_Registrations, event APIEvent-1" {
			t.Errorf("stopped at call %d (%v): %s", n, first, got)
		}
	}
}

// What Marketing Cloud refuses is an error that says what to do.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		call   string
		status int
		body   string
		want   setup.Error
	}{
		"scope to write": {"POST /data/v1/customobjects ", 403, `{"message":"Insufficient privileges to complete this action."}`, setup.Error{
			Step:  "create data extension Web_Registrations",
			Cause: "create data extension: 403 Forbidden: Insufficient privileges to complete this action.; the installed package seems to lack the scope data_extensions_write",
			Hint:  "Marketing Cloud admin: give the installed package the scope data_extensions_write (Setup → Apps → Installed Packages → the package → Edit → Data, Data Extensions: Write), then run the command again",
		}},
		"scope to read events": {"GET /interaction/v1/eventDefinitions/key:APIEvent-1 ", 401, `{"message":"Not Authorized","errorcode":0}`, setup.Error{
			Step:  "read the account in Marketing Cloud",
			Cause: "get event definition: 401 Unauthorized: code 0: Not Authorized; the installed package seems to lack the scope journeys_read",
			Hint:  "Marketing Cloud admin: give the installed package the scope journeys_read (Setup → Apps → Installed Packages → the package → Edit → Automation, Journeys: Read), then run the command again",
		}},
		"credentials": {"POST /v2/token ", 401, `{"error":"invalid_client","error_description":"no"}`, setup.Error{
			Step: "read the account in Marketing Cloud", Cause: "get event definition: request token: 401 Unauthorized: code invalid_client: no", Hint: "check marketing_cloud.client_id, client_secret and account_id",
		}},
		"name taken": {"POST /data/v1/customobjects ", 409, `{"message":"exists","errorcode":30004}`, setup.Error{
			Step: "create data extension Web_Registrations", Cause: "create data extension: 409 Conflict: code 30004: exists",
			Hint: "something of that name has another key, perhaps in another folder: rename one of them in Marketing Cloud, or use its key in the configuration",
		}},
		"busy": {"POST /Service.asmx Retrieve", 503, ``, setup.Error{
			Step: "read the account in Marketing Cloud", Cause: "retrieve data extension: 503 Service Unavailable", Hint: "try again later: it continues where it stopped",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount()
			a.refuses = func(call string) (int, string) {
				if call == row.call {
					return row.status, row.body
				}
				return 0, ""
			}
			_, err := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration)}).Apply(within(t))
			got, ok := errors.AsType[*setup.Error](err)
			if !ok {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, setup.Error{Step: got.Step, Cause: got.Cause, Hint: got.Hint}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Which folder is meant.
func TestFolder(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		folders []metadata.Folder // beside the topmost one
		named   string
		want    int64 // of the data extension
		failed  string
	}{
		"none named":          {nil, "", 1, ""},
		"the topmost one":     {nil, "data extensions", 1, ""},
		"right below it":      {[]metadata.Folder{{ID: 7, ParentID: 3, Name: "Web"}, {ID: 8, ParentID: 1, Name: "web"}}, "Web", 8, ""},
		"deeper, alone":       {[]metadata.Folder{{ID: 7, ParentID: 3, Name: "Web"}}, "Web", 7, ""},
		"deeper, two of them": {[]metadata.Folder{{ID: 7, ParentID: 3, Name: "Web"}, {ID: 8, ParentID: 4, Name: "Web"}}, "Web", 0, "there are 2 folders with the name Web"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount()
			a.folders = append(a.folders[:1], row.folders...)
			_, err := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, registration), Folder: row.named}).Apply(within(t))
			if got, ok := errors.AsType[*setup.Error](err); row.failed != "" {
				if !ok || got.Cause != row.failed {
					t.Error(err)
				}
				return
			}
			if err != nil || a.extensions[0].CategoryID != row.want {
				t.Error(err, a.extensions)
			}
		})
	}
}

// Several forms share a data extension: it fits all of them.
func TestShared(t *testing.T) {
	t.Parallel()
	a := newAccount()
	text := registration + `
  short:
    fields:
      - { name: mail,    column: EmailAddress, type: email, required: true }
      - { name: first,   column: firstname,    max: 200, required: true }
      - { name: country, column: Country,      type: integer }
      - { name: brand,   column: Brand,        max: 9, required: true }
    route:
      - data_extension: { key: Web_Registrations }
`
	if _, err := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, text)}).Apply(within(t)); err != nil {
		t.Fatal(err)
	}
	want := webRegistrations()
	want.Fields[2].Length = 200
	want.Fields = append(want.Fields, metadata.Field{Name: "Brand", Type: "Text", Length: 50, Ordinal: 7})
	if diff := cmp.Diff([]*metadata.DataExtension{want}, a.extensions); diff != "" {
		t.Error(diff)
	}
}

// A journey without a data extension in its route gets one of its own.
func TestJourneyAlone(t *testing.T) {
	t.Parallel()
	a := newAccount()
	_, rest, _ := strings.Cut(registration, "      - data_extension: { key: Web_Registrations }\n")
	text := strings.TrimSuffix(registration, "      - data_extension: { key: Web_Registrations }\n"+rest) + rest
	if _, err := provision.New(provision.Config{Account: a.client(t), Forms: forms(t, text)}).Apply(within(t)); err != nil {
		t.Fatal(err)
	}
	want := webRegistrations()
	want.Key, want.Name = "onramp_registration", "onramp_registration"
	if diff := cmp.Diff([]*metadata.DataExtension{want}, a.extensions); diff != "" || a.events[0]["dataExtensionId"] != "guid-1" {
		t.Error(diff, a.events)
	}
}
