package store_test

import (
	"database/sql"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// The fourth step moves the counts of events out of the table in which a callback
// stood in place of a state, and those of registrations to the state's new number.
func TestMoveTallies(t *testing.T) {
	t.Parallel()
	for _, e := range []engine{sqliteEngine, pgEngine} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			url := e.newURL(t)
			db, err := sql.Open(e.driver, url)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := store.MigrateTo(t.Context(), db, e.driver, 3); err != nil {
				t.Fatal(err)
			}
			for _, statement := range []string{
				`INSERT INTO callback (id, name) VALUES (1, 'events'), (7, 'other'), (9, 'silent')`,
				`INSERT INTO destination (id, name, read_to) VALUES (1, 'journey:y', 0)`,
				`INSERT INTO tally (destination_id, state, n) VALUES (-1, 1, 20), (-2, 1, 3), (-1, 7, 5), (-2, 9, 8), (0, 1, 4), (0, 2, 6), (1, 7, 2)`,
			} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // the second start finds it done
				s, err := store.Open(t.Context(), store.Config{URL: url})
				if err != nil {
					t.Fatal(err)
				}
				want := onramp.Counts{
					Registrations: map[onramp.RegistrationState]int64{onramp.RegistrationUnknown: 4, onramp.RegistrationQueued: 6},
					Deliveries:    map[string]map[onramp.DeliveryState]int64{"journey:y": {onramp.DeliveryDiscarded: 2}},
					Events:        map[string]int64{"events": 20, "other": 5, "silent": 0},
					Repeated:      map[string]int64{"events": 3, "other": 0, "silent": 8},
				}
				if diff := cmp.Diff(want, s.Count()); diff != "" {
					t.Error(diff)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			var left int
			if err := db.QueryRow(`SELECT COUNT(*) FROM tally WHERE destination_id < 0`).Scan(&left); err != nil || left > 0 {
				t.Errorf("%d counts of events are left in tally, %v", left, err)
			}
		})
	}
}
