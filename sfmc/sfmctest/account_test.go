package sfmctest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
	"onramp/internal/sandbox/account"
	"onramp/sfmc"
	"onramp/sfmc/sfmctest"
)

// A server holds the parts that it is made with, from the start and after a reset.
func TestParts(t *testing.T) {
	t.Parallel()
	columns := []sfmctest.Column{
		{Name: "Shop", Type: "Text", Length: 10, PrimaryKey: true},
		{Name: "Number", Type: "Number", PrimaryKey: true},
		{Name: "Since", Type: "Date", Nullable: true},
		{Name: "Points", Type: "Decimal", Length: 8, Scale: 2, Default: json.Number("1.5")},
	}
	server := sfmctest.NewServer(t,
		sfmctest.Journey{EventDefinition: "Joined", DataExtension: "Members", Status: "Draft", BusinessUnit: "510000002"},
		sfmctest.DataExtension{Key: "Members", Columns: columns, BusinessUnit: "510000002"},
		sfmctest.BusinessUnit{ID: "510000002", Name: "Shop"},
		sfmctest.Package{ClientID: "shop", ClientSecret: "secret", Scopes: []string{"data_extensions_write"}, BusinessUnits: []string{"510000002"}},
		sfmctest.MessageDefinition{Key: "bye", Status: "Inactive"},
		sfmctest.DataExtension{
			Key: "Cities", SendableBy: "City", Columns: []sfmctest.Column{{Name: "City", Type: "Text", PrimaryKey: true}},
			Rows: []map[string]any{{"City": "Rome"}},
		},
	)
	tokens, err := sfmc.NewTokenRequester(server.URL, sfmc.Credentials{ClientID: "shop", ClientSecret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	shop := sfmc.NewClient(sfmc.NewTokenCache(tokens), sfmc.WithOrigin(server.URL))
	upsert := func() {
		t.Helper()
		_, err := shop.UpsertRows(t.Context(), "Members", []sfmc.Row{{Keys: map[string]any{"Shop": "north", "Number": 7}, Values: map[string]any{"Since": "2026-06-23"}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	upsert()
	check := func(rows ...map[string]any) {
		t.Helper()
		state := server.State()
		id := state.BusinessUnits["510000002"].DataExtensions["Members"].ID
		want := map[string]sfmctest.UnitState{"510000002": {
			DataExtensions:     map[string]sfmctest.DataExtension{"Members": {ID: id, Name: "Members", Columns: columns, Rows: append([]map[string]any{}, rows...)}},
			Journeys:           map[string]sfmctest.Journey{"Joined": {Contacts: []sfmctest.Contact{}}},
			MessageDefinitions: map[string]sfmctest.MessageDefinition{},
			Totals:             sfmctest.UnitTotals{Rows: map[string]int{"Members": len(rows)}, Contacts: map[string]int{"Joined": 0}},
		}}
		if diff := cmp.Diff(want, state.BusinessUnits); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]map[string]any{{"City": "Rome"}}, state.DataExtensions["Cities"].Rows); diff != "" {
			t.Error(diff)
		}
		if got := state.MessageDefinitions["bye"].Status; got != "Inactive" {
			t.Errorf("bye is %s", got)
		}
	}
	check(map[string]any{"Shop": "north", "Number": json.Number("7"), "Since": "2026-06-23", "Points": json.Number("1.5")})
	server.Reset()
	check()
	upsert()
}

// A State of a server has all that a State of the sandbox has.
func TestStateIsWhole(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)
	whole := sandbox.State{
		DataExtensions:     map[string]sandbox.DataExtension{"d": {Columns: []sandbox.Column{{Name: "c", Default: "x", Length: 1, Scale: 1, Drops: true, Truncates: true}}, Rows: []map[string]any{}}},
		Journeys:           map[string]sandbox.Journey{"j": {Contacts: []sandbox.Contact{{At: moment}}}},
		MessageDefinitions: map[string]sandbox.MessageDefinition{"m": {Name: "m"}},
		BusinessUnits:      map[string]sandbox.BusinessUnit{"510000002": {Subscribers: []account.Subscriber{{ID: 1}}}},
		Subscribers:        []account.Subscriber{{ID: 1, Unsubscribed: moment}},
		Contacts:           []account.Contact{{ID: 1, Restricted: true}}, ContactOperations: []account.Operation{{ID: 1, List: "d", Keys: []string{"k"}, Due: moment}},
		Messages: []sandbox.Message{{Attributes: map[string]any{"a": "b"}}},
		Jobs:     []sandbox.Job{{Rows: 1}}, Tokens: []sandbox.Token{{Scope: "s"}},
		Callbacks:     []sandbox.Callback{{AuthID: "a", NextAt: &moment, SuspendedUntil: &moment, LastAt: &moment, LastStatus: 1, LastProblem: "p"}},
		Subscriptions: []sandbox.Subscription{{StatusReason: "r"}}, Deliveries: []sandbox.Delivery{{Status: 1, Problem: "p"}},
		Faults: []sandbox.Fault{{
			Name: "n", Match: "m", Method: "m", Contains: "c", Status: 1, Errorcode: 1, Message: "m", RetryAfter: 1, RetryAfterDate: true,
			Count: 1, For: "f", DelayMS: 1, Apply: true, ApplyAfterMS: 1, Body: "b", Location: "l",
		}},
	}
	sent, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	var state sfmctest.State
	if err := json.Unmarshal(sent, &state); err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	if json.Unmarshal(sent, &want) != nil || json.Unmarshal(back, &got) != nil {
		t.Fatal("no JSON object")
	}
	if missing := missing("", want, got); len(missing) > 0 {
		t.Errorf("a State lacks %v", missing)
	}
}

// missing lists what of want is not in got, or differs.
func missing(path string, want, got any) (list []string) {
	switch want := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for key, v := range want {
			list = append(list, missing(path+"."+key, v, g[key])...)
		}
	case []any:
		g, _ := got.([]any)
		for i, v := range want {
			if len(g) <= i {
				return append(list, path)
			}
			list = append(list, missing(path, v, g[i])...)
		}
	default:
		if !cmp.Equal(want, got) {
			list = append(list, path)
		}
	}
	return list
}
