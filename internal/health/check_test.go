package health_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"onramp/internal/health"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

// away is an account that can't be reached; it counts the tries.
type away struct{ tries int }

func (a *away) RoundTrip(*http.Request) (*http.Response, error) {
	a.tries++
	return nil, errors.New("connection refused")
}

func (a *away) Token(context.Context) (*sfmc.Token, error) {
	return &sfmc.Token{AccessToken: "token", RESTInstanceURL: "https://mc0.rest.marketingcloudapis.com/"}, nil
}

// What fails is tried again every few minutes, and rarely while calls are saved.
func TestChecksAreTriedAgain(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		saving bool
		tries  int
	}{
		"usually":               {false, 42}, // 5 s, doubled up to 5 minutes
		"while calls are saved": {true, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &away{}
				checks := health.NewChecks(health.CheckConfig{
					Account: sfmc.NewClient(a, sfmc.WithHTTPClient(&http.Client{Transport: a})), Log: slog.New(slog.DiscardHandler),
					Explain: func(error, onramp.Destination) (o onramp.Outcome) { return o },
					Saving:  func() bool { return row.saving },
				})
				ctx, stop := context.WithTimeout(t.Context(), 3*time.Hour+time.Minute)
				defer stop()
				checks.Run(ctx)
				if a.tries != row.tries {
					t.Errorf("%d tries in three hours, want %d", a.tries, row.tries)
				}
			})
		})
	}
}
