package budget_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/budget"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

// Calls are saved only when the year's run short, and then only once today's share of
// what is left is used up.
func TestDecide(t *testing.T) {
	t.Parallel()
	type decision struct {
		Saving budget.Saving
		Share  int64
		Ends   time.Time
	}
	var (
		noon = at("2026-12-01 12:00") // 31 days are left, with today
		end  = at("2027-01-01 00:00")
	)
	figures := func(perYear, used, today int64, pace float64) budget.Figures {
		return budget.Figures{PerYear: perYear, Used: used, Today: today, Pace: pace, Now: noon, End: end}
	}
	for name, row := range map[string]struct {
		figures budget.Figures
		want    decision
	}{
		"no number is known":                {figures(0, 5_000, 5_000, 1e6), decision{}},
		"nothing was called":                {figures(3100, 0, 0, 0), decision{Share: 100}},
		"the pace is right":                 {figures(3100, 1000, 5000, 10), decision{Share: 229}},
		"the pace is just right":            {figures(6050, 3000, 100, 100), decision{Share: 101}},
		"the pace is a little too high":     {figures(6049, 3000, 100, 100), decision{Share: 101, Ends: end.Add(-864 * time.Second)}},
		"too high, and today has its share": {figures(3100, 99, 99, 1e4), decision{Share: 100, Ends: noon.Add(25_928_640 * time.Millisecond)}},
		"too high, today's share is used up": {
			figures(3100, 100, 100, 1e4),
			decision{budget.Saving{Wait: time.Minute, Reason: budget.PaceTooHigh}, 100, noon.Add(25_920 * time.Second)},
		},
		"too high, today's share is nearly used up twice": {
			figures(3100, 199, 199, 1e4),
			decision{budget.Saving{Wait: time.Minute, Reason: budget.PaceTooHigh}, 100, noon.Add(25_064_640 * time.Millisecond)},
		},
		"too high, today's share is used up twice": {
			figures(3100, 200, 200, 1e4),
			decision{budget.Saving{Wait: 5 * time.Minute, Reason: budget.PaceTooHigh}, 100, noon.Add(25_056 * time.Second)},
		},
		"90 percent, and today has its share":   {figures(31000, 28000, 10, 1), decision{Share: 97}},
		"90 percent, today's share is used up":  {figures(31000, 28000, 100, 1), decision{Saving: budget.Saving{Wait: time.Minute, Reason: budget.AlmostUsed}, Share: 100}},
		"less than 90 percent":                  {figures(31000, 27899, 200, 1), decision{Share: 106}},
		"all are used":                          {figures(3100, 3100, 1, 1), decision{budget.Saving{Wait: 5 * time.Minute, Reason: budget.NothingLeft}, 0, noon}},
		"more than all":                         {figures(3100, 9000, 0, 1), decision{budget.Saving{Wait: 5 * time.Minute, Reason: budget.NothingLeft}, 0, noon}},
		"a share of less than one call":         {figures(30, 20, 0, 1), decision{budget.Saving{Wait: 5 * time.Minute, Reason: budget.PaceTooHigh}, 0, noon.Add(240 * time.Hour)}},
		"figures as large as can be configured": {figures(1e12, 1e12-1, 1, 1), decision{Share: 0, Saving: budget.Saving{Wait: 5 * time.Minute, Reason: budget.AlmostUsed}, Ends: noon.Add(24 * time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decision{budget.Decide(row.figures), row.figures.Share(), row.figures.Ends()}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The contract's year begins on its own day, in UTC.
func TestYear(t *testing.T) {
	t.Parallel()
	type year struct{ From, To time.Time }
	april := budget.Contract{Month: time.April, Day: 1}
	for _, row := range []struct {
		contract budget.Contract
		now      time.Time
		want     year
	}{
		{budget.Contract{}, at("2026-01-01 00:00"), year{at("2026-01-01 00:00"), at("2027-01-01 00:00")}},
		{budget.Contract{}, at("2026-12-31 23:59"), year{at("2026-01-01 00:00"), at("2027-01-01 00:00")}},
		{april, at("2026-03-31 23:59"), year{at("2025-04-01 00:00"), at("2026-04-01 00:00")}},
		{april, at("2026-04-01 00:00"), year{at("2026-04-01 00:00"), at("2027-04-01 00:00")}},
		{april, at("2026-04-01 00:30").In(time.FixedZone("", -3600)), year{at("2026-04-01 00:00"), at("2027-04-01 00:00")}},
	} {
		from, to := row.contract.Year(row.now)
		if diff := cmp.Diff(row.want, year{from, to}); diff != "" {
			t.Errorf("%v: %s", row.now, diff)
		}
	}
}

// Every route that is called has its kind.
func TestKindOf(t *testing.T) {
	t.Parallel()
	for route, want := range map[[2]string]budget.Kind{
		{"POST", "/v2/token"}:                                      budget.Token,
		{"POST", "/hub/v1/dataevents/key:Web/rowset"}:              budget.Rows,
		{"PUT", "/data/v1/async/dataextensions/key:Web/rows"}:      budget.AsyncRows,
		{"POST", "/data/v1/async/dataExtensions/key:Web/rows"}:     budget.AsyncRows,
		{"PUT", "/hub/v1/dataeventsasync/key:Web/rowset"}:          budget.AsyncRows,
		{"GET", "/data/v1/async/6d0b/status"}:                      budget.AsyncPoll,
		{"GET", "/data/v1/async/6d0b/results"}:                     budget.AsyncPoll,
		{"POST", "/interaction/v1/events"}:                         budget.Journey,
		{"POST", "/interaction/v1/async/events"}:                   budget.Journey,
		{"POST", "/messaging/v1/email/messages/key"}:               budget.Message,
		{"POST", "/messaging/v1/email/messages"}:                   budget.Message,
		{"GET", "/platform/v1/ens-callbacks"}:                      budget.ENS,
		{"DELETE", "/platform/v1/ens-subscriptions/5"}:             budget.ENS,
		{"GET", "/platform/v1/tokenContext"}:                       budget.Read,
		{"GET", "/data/v1/customobjectdata/key/Web/rowset"}:        budget.Read,
		{"GET", "/interaction/v1/eventDefinitions/key:APIEvent-1"}: budget.Read,
		{http.MethodPost, "/Service.asmx"}:                         budget.Read,
		{http.MethodPost, "/contacts/v1/contacts"}:                 budget.Other,
	} {
		if got := budget.KindOf(route[0], route[1]); got != want {
			t.Errorf("%v is %q, want %q", route, got, want)
		}
	}
}
