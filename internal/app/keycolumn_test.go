package app_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// ownForm is the demo's configuration with another form of the same name.
func ownForm(form string) func(string) string {
	return func(cfg string) string {
		cfg, _, _ = strings.Cut(cfg, "forms:\n")
		return cfg + "forms:\n  registration:\n" + form
	}
}

// extension writes the setting of a data extension: columns in the primary key are marked
// with *, Booleans with ?.
func extension(key string, names ...string) string {
	var columns []sandbox.Column
	for _, name := range names {
		c := sandbox.Column{Name: strings.Trim(name, "*?"), Type: "Text", Length: 100, PrimaryKey: strings.HasSuffix(name, "*")}
		if c.Nullable = !c.PrimaryKey; strings.HasSuffix(name, "?") {
			c.Type, c.Length = "Boolean", 0
		}
		columns = append(columns, c)
	}
	text, _ := json.Marshal(columns)
	return fmt.Sprintf(`%q:{"columns":%s}`, key, text)
}

// rowsOf reads the rows of a data extension, in the order of their texts.
func (w *world) rowsOf(key string) []map[string]any {
	rows := w.sandbox.State().DataExtensions[key].Rows
	slices.SortFunc(rows, func(a, b map[string]any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return rows
}

// A data extension whose primary key is a field's own column, or several columns, gets its
// rows by every route, and an update finds its row.
func TestKeyColumns(t *testing.T) {
	t.Parallel()
	const fields = `    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName }
      - { name: brand, column: Brand, default: Main }
      - { name: no, column: No, type: integer, default: 1 }
    route:
`
	posts := []string{
		`{"email":"ana@example.org","first_name":"Old"}`,
		`{"email":"ana@example.org","first_name":"Ana","brand":"Other"}`,
		`{"email":"bob@example.org","first_name":"Bob","no":7}`,
		`{"email":"ana@example.org","first_name":"New"}`,
	}
	type row = map[string]any
	byEmail := []row{
		{"EmailAddress": "ana@example.org", "FirstName": "New", "Brand": "Main", "No": json.Number("1")},
		{"EmailAddress": "bob@example.org", "FirstName": "Bob", "Brand": "Main", "No": json.Number("7")},
	}
	byBrand := []row{
		{"EmailAddress": "ana@example.org", "SubscriberKey": "ana@example.org", "FirstName": "New", "Brand": "Main", "No": json.Number("1")},
		{"EmailAddress": "bob@example.org", "SubscriberKey": "bob@example.org", "FirstName": "Bob", "Brand": "Main", "No": json.Number("7")},
		{"EmailAddress": "ana@example.org", "SubscriberKey": "ana@example.org", "FirstName": "Ana", "Brand": "Other", "No": json.Number("1")},
	}
	without := func(rows []row, column string) (all []row) {
		for _, r := range rows {
			one := row{}
			for name, value := range r {
				if name != column {
					one[name] = value
				}
			}
			all = append(all, one)
		}
		return all
	}
	for _, mode := range []string{"sync", "async", "async, async_method: post"} {
		for _, c := range []struct {
			name, key, columns string
			form               string
			want               []row
		}{
			{"own", "EmailAddress", "EmailAddress* FirstName Brand No", "", byEmail},
			{"own, in a list and another case", "[emailaddress]", "EmailAddress* FirstName Brand No", "", byEmail},
			{"own of a UUID", "EmailAddress", "EmailAddress* FirstName Brand No", "    subscriber_key: uuid\n", byEmail},
			{"composite", "[SubscriberKey, Brand]", "SubscriberKey* EmailAddress FirstName Brand* No", "", byBrand},
			{"composite of fields only", "[Brand, EmailAddress]", "EmailAddress* FirstName Brand* No", "", without(byBrand, "SubscriberKey")},
			{"three columns, a number among them", "[Brand, No, SubscriberKey]", "SubscriberKey* EmailAddress FirstName Brand* No*", "", byBrand},
		} {
			t.Run(mode+" "+c.name, func(t *testing.T) {
				t.Parallel()
				w := newSandboxed(t)
				w.account(`{"data_extensions":{` + extension("Own", strings.Fields(c.columns)...) + `}}`)
				w.start(ownForm(c.form+fields+"      - data_extension: { key: Own, key_column: "+c.key+", mode: "+mode+" }\n"), t.TempDir()+"/onramp.db")
				for _, body := range posts {
					w.post(body, nil)
				}
				w.until("all is delivered", func() bool { return w.status().Registrations["delivered"] == 4 })
				want := slices.SortedFunc(slices.Values(c.want), func(a, b row) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
				if diff := gocmp.Diff(want, w.rowsOf("Own")); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// A form that has nothing but the key's fields stores its rows, too.
func TestKeyColumnsAlone(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"sync", "async"} {
		for _, key := range []string{"EmailAddress", "[EmailAddress, Source]"} {
			t.Run(mode+" "+key, func(t *testing.T) {
				t.Parallel()
				w := newSandboxed(t)
				w.account(`{"data_extensions":{` + extension("Own", "EmailAddress*", "Source*") + `}}`)
				want := map[string]any{"EmailAddress": "ana@example.org", "Source": "Web"}
				if key == "EmailAddress" {
					w.account(`{"data_extensions":{` + extension("Own", "EmailAddress*", "Source") + `}}`)
				}
				w.start(ownForm(`    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { column: Source, from: constant, value: Web }
    route: [ { data_extension: { key: Own, mode: `+mode+`, key_column: `+key+` } } ]
`), t.TempDir()+"/onramp.db")
				if a := w.post(`{"email":"ana@example.org"}`, map[string]string{"Prefer": wait}); a.Code != http.StatusCreated {
					t.Fatalf("answered %+v: %v", a, w.whats(a.ID))
				}
				if diff := gocmp.Diff([]map[string]any{want}, w.rowsOf("Own")); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// With on_existing: new the registration's id is the part of the key that no field fills;
// with skip a row that is there stays.
func TestKeyColumnsOfExistingRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, settings string
		want           func(ids []string) []map[string]any
	}{
		{"new", "on_existing: new, mode: sync", func(ids []string) []map[string]any {
			return []map[string]any{
				{"Id": ids[0], "Brand": "A", "EmailAddress": "ana@example.org", "FirstName": "1"},
				{"Id": ids[1], "Brand": "A", "EmailAddress": "ana@example.org", "FirstName": "2"},
				{"Id": ids[2], "Brand": "B", "EmailAddress": "ana@example.org", "FirstName": "3"},
			}
		}},
		{"skip", "on_existing: skip, mode: async", func([]string) []map[string]any {
			return []map[string]any{
				{"Id": "ana@example.org", "Brand": "A", "EmailAddress": "ana@example.org", "FirstName": "1"},
				{"Id": "ana@example.org", "Brand": "B", "EmailAddress": "ana@example.org", "FirstName": "3"},
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			w.account(`{"data_extensions":{` + extension("Own", "Id*", "Brand*", "EmailAddress", "FirstName") + `}}`)
			w.start(ownForm(`    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName }
      - { name: brand, column: Brand, required: true }
    route: [ { data_extension: { key: Own, key_column: [Id, Brand], `+c.settings+` } } ]
`), t.TempDir()+"/onramp.db")
			var ids []string
			for i, brand := range []string{"A", "A", "B"} {
				ids = append(ids, w.post(fmt.Sprintf(`{"email":"ana@example.org","first_name":"%d","brand":%q}`, i+1, brand), map[string]string{"Prefer": wait}).ID)
			}
			if diff := gocmp.Diff(c.want(ids), w.sandbox.State().DataExtensions["Own"].Rows); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A journey's event has the key columns of its data extension, and what an event changes
// finds the row by all of them.
func TestKeyColumnsOfEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, key, columns string }{
		{"own", "EmailAddress", "EmailAddress* FirstName Brand OptIn?"},
		{"composite", "[SubscriberKey, Brand]", "SubscriberKey* EmailAddress FirstName Brand* OptIn?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newSandboxed(t)
			w.account(`{"data_extensions":{` + extension("Own", strings.Fields(c.columns)...) + "," + extension("Events", strings.Fields(c.columns)...) +
				`},"journeys":{"Welcome":{"data_extension":"Events"}}}`)
			w.start(ownForm(`    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName }
      - { name: brand, column: Brand, required: true }
      - { name: opt_in, column: OptIn, type: boolean, default: true }
    route:
      - data_extension: { key: Own, key_column: `+c.key+` }
      - journey: { event_definition_key: Welcome, key_column: `+c.key+` }
    on_event: [ { type: EngagementEvents.EmailUnsubscribe, column: OptIn, value: false } ]
`), t.TempDir()+"/onramp.db")
			if err := w.gateway.SetUpEvents(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.post(`{"email":"ana+open+unsubscribe@example.org","first_name":"Ana","brand":"A"}`, map[string]string{"Prefer": wait})
			row := map[string]any{"EmailAddress": "ana+open+unsubscribe@example.org", "FirstName": "Ana", "Brand": "A", "OptIn": true}
			if c.name == "composite" {
				row["SubscriberKey"] = "ana+open+unsubscribe@example.org"
			}
			if diff := gocmp.Diff([]map[string]any{row}, w.rowsOf("Events")); diff != "" {
				t.Error(diff)
			}
			row["OptIn"] = false
			w.until("the change", func() bool { return w.status().Deliveries["delivered"] == 3 })
			if diff := gocmp.Diff([]map[string]any{row}, w.rowsOf("Own")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
