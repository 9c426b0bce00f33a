package sandbox

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"time"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": func(t time.Time) string { return t.UTC().Format(wire.TimeLayout) },
	"value": func(v any) string { return table.ValueOf(v).Text },
}).Parse(pageSource))

// pageRows is how many rows, contacts, messages and so on of a kind the page
// shows.
const pageRows = 50

// pageView is what the page's template sees.
type pageView struct {
	Origin       string
	Dialect      Dialect
	ClientID     string
	ClientSecret string
	AccountID    string
	State        State
	Tables       []tableView
	Entries      []entryView
	Calls        []callView
	Limit        int
}

// tableView is a data extension on the page, newest row first.
type tableView struct {
	Key   string
	Unit  string // MID; "" of the one at the top
	Total int
	DataExtension
}

// entryView is a journey on the page, newest contact first.
type entryView struct {
	Key   string
	Unit  string // MID; "" of the one at the top
	Total int
	Journey
}

// callView is one line of the calls by route.
type callView struct {
	Route string
	Count int
}

// addUnit adds what a business unit holds; of the one at the top the MID is "".
func (v *pageView) addUnit(mid string, u BusinessUnit) {
	for _, key := range slices.Sorted(maps.Keys(u.DataExtensions)) {
		d := u.DataExtensions[key]
		slices.Reverse(d.Rows)
		v.Tables = append(v.Tables, tableView{key, mid, u.Totals.Rows[key], d})
	}
	for _, key := range slices.Sorted(maps.Keys(u.Journeys)) {
		j := u.Journeys[key]
		slices.Reverse(j.Contacts)
		v.Entries = append(v.Entries, entryView{key, mid, u.Totals.Contacts[key], j})
	}
}

// page answers GET /_sandbox/.
func (s *Sandbox) page(r *http.Request) (wire.Answer, error) {
	v := pageView{
		Origin: origin(r), Dialect: s.dialect, ClientID: ClientID, ClientSecret: ClientSecret, AccountID: AccountID,
		State: s.state(pageRows), Limit: pageRows,
	}
	if v.Dialect == "" {
		v.Dialect = DialectFacts
	}
	v.addUnit("", BusinessUnit{
		v.State.DataExtensions, v.State.Journeys, v.State.MessageDefinitions, nil, UnitTotals{v.State.Totals.Rows, v.State.Totals.Contacts},
	})
	for _, mid := range slices.Sorted(maps.Keys(v.State.BusinessUnits)) {
		v.addUnit(mid, v.State.BusinessUnits[mid])
	}
	slices.Reverse(v.State.Tokens)
	slices.Reverse(v.State.Messages)
	slices.Reverse(v.State.Jobs)
	slices.Reverse(v.State.Callbacks)
	slices.Reverse(v.State.Subscriptions)
	slices.Reverse(v.State.Deliveries)
	for _, name := range slices.Sorted(maps.Keys(v.State.Calls)) {
		v.Calls = append(v.Calls, callView{name, v.State.Calls[name]})
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		return wire.Answer{}, fmt.Errorf("render page: %w", err)
	}
	return wire.Answer{Status: http.StatusOK, ContentType: wire.HTMLType, Body: b.Bytes()}, nil
}
