package outbound_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/budget"
	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// nowhere keeps no counts, and begins with some of today.
type nowhere struct{ used int64 }

func (n nowhere) AddCalls(context.Context, budget.Batch, budget.Day) ([]budget.Count, error) {
	return []budget.Count{{Day: budget.DayOf(time.Now()), Kind: budget.Other, N: n.used}}, nil
}

// counts makes a sender whose calls are counted, with so many of a year's 100,000 used.
func counts(t *testing.T, used int64, cfg outbound.Config) (*outbound.Sender, *budget.Meter) {
	t.Helper()
	meter, err := budget.Open(t.Context(), nowhere{used}, budget.Contract{PerYear: 100_000}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	cfg.AuthURL, cfg.ClientID, cfg.ClientSecret, cfg.AccountID, cfg.Calls = "http://cloud.test", "id", "secret", "1", meter
	s, err := outbound.New(cfg, noKeeper{}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	return s, meter
}

func answering(r reply) outbound.Config {
	return outbound.Config{Transport: &account{answer: func(*http.Request, string) reply { return r }}}
}

// A call counts once it is on its way, also if it fails or its answer is lost; one for
// which there was no connection does not.
func TestCounted(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		cfg  outbound.Config
		want map[budget.Kind]int64
	}{
		"refused":         {answering(reply{status: 500}), map[budget.Kind]int64{budget.Token: 1, budget.Rows: 1}},
		"the answer lost": {answering(reply{drop: true}), map[budget.Kind]int64{budget.Token: 1, budget.Rows: 1}},
		"no connection":   {outbound.Config{Fence: func() error { return errors.New("closed") }}, map[budget.Kind]int64{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, meter := counts(t, 0, row.cfg)
			s.Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: several(1)})
			got := meter.Usage().Today
			delete(got, budget.Other)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// While calls are saved, the outcome of an asynchronous request is asked for rarely.
func TestRarePolls(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		used        int64
		least, most int // polls
	}{
		"usually":               {0, 150, 200},
		"while calls are saved": {100_000, 25, 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				polls := 0
				s, _ := counts(t, row.used, outbound.Config{Transport: &account{answer: func(r *http.Request, _ string) reply {
					if strings.HasSuffix(r.URL.Path, "/status") {
						polls++
						return status("Executing", "", false)
					}
					return reply{status: 202, body: `{"requestId":"j1"}`}
				}}})
				s.Send(t.Context(), onramp.Call{Destination: dataExtension, Async: true, Deliveries: several(2)})
				if polls < row.least || polls > row.most {
					t.Errorf("%d polls in a quarter of an hour, want %d to %d", polls, row.least, row.most)
				}
			})
		})
	}
}
