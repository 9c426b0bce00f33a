package app

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"onramp/internal/alert"
	"onramp/internal/health"
	"onramp/internal/web"
)

// newHealth is where the status of the gateway itself comes from.
func (a *App) newHealth(r *running) health.Sources {
	h := health.Sources{
		Trouble: a.store.Trouble,
		Token: func() health.Token {
			t := r.account.Token()
			return health.Token{Since: t.Since, ExpiresAt: t.ExpiresAt, FailedAt: t.FailedAt, Reason: t.Reason, Hint: t.Hint}
		},
		Clock:  func() health.Clock { return health.NewClock(r.account.Clock()) },
		Checks: r.checks.List,
		Calls:  a.calls.Usage,

		Certificates: a.certificateStatus,
	}
	h.Free = a.freeSpace()
	return h
}

// freeSpace tells the space on the database's disk; nil where it is not ours.
func (a *App) freeSpace() func() (free, total uint64, err error) {
	file := a.store.File()
	if file == "" {
		return nil
	}
	return func() (free, total uint64, err error) { return alert.FreeSpace(filepath.Dir(file)) }
}

// live answers 200 as long as the process answers at all: whoever restarts it when it
// does not must leave it alone while its disk is full.
func live(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// healthTimeout is how long the database may take to answer: load balancers wait
// for a few seconds.
const healthTimeout = 2 * time.Second

// health answers 200 while registrations can be taken, else 503.
func (a *App) health(w http.ResponseWriter, r *http.Request) error {
	status := http.StatusOK
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	if a.ready(ctx) != nil {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return nil
}

// readiness is health for operators, with the reason.
func (a *App) readiness(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	if err := a.ready(r.Context()); err != nil {
		return web.WriteJSON(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "reason": err.Error()})
	}
	return web.WriteJSON(w, http.StatusOK, map[string]any{"ready": true})
}

// ready returns why registrations can't be taken, or nil.
func (a *App) ready(ctx context.Context) error {
	if a.isEnding() {
		return errors.New("this process is ending")
	}
	if err := a.store.Trouble(); err != nil {
		return err
	}
	if err := a.quota.Full(); err != nil {
		return err
	}
	err := a.store.Ping(ctx)
	if trouble := a.store.Trouble(); trouble != nil {
		return trouble // which Ping has met, and which says more
	}
	return err
}
