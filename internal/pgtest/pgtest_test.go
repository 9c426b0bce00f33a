package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"onramp/internal/pgtest"
)

// Two tests never see each other's tables, neither at once nor one after the
// other, even when a connection stays open.
func TestURL(t *testing.T) {
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			for _, url := range []string{pgtest.URL(t), pgtest.URL(t)} {
				conn, err := pgx.Connect(t.Context(), url)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (n INTEGER)"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
