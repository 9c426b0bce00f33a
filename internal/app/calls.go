package app

import (
	"context"
	"time"

	"onramp/internal/budget"
	"onramp/internal/config"
)

// contract is what a configuration says of the contract with the vendor.
func contract(cfg *config.Config) budget.Contract {
	mc := &cfg.MarketingCloud
	return budget.Contract{PerYear: mc.CallsPerYear, Month: mc.ContractStart.Month, Day: mc.ContractStart.Day}
}

// savesCalls says whether calls to Marketing Cloud are saved.
func (a *App) savesCalls() bool { return a.calls.Saving().Wait > 0 }

// longestFill is how long a call may wait to be filled because calls are saved.
func (a *App) longestFill() time.Duration { return a.calls.Saving().Wait }

func (a *App) uncounted(err error) {
	a.options.Log.Warn("counts of calls not stored, will retry in a minute; a crash until then would lose them", "err", err)
}

// lastSave is how long the end of the process waits for the counts of its last calls.
const lastSave = 5 * time.Second

// keepCalls stores the counts of the last calls, when all of them have ended.
func (a *App) keepCalls() {
	ctx, stop := context.WithTimeout(context.Background(), lastSave)
	defer stop()
	if err := a.calls.Save(ctx); err != nil {
		a.options.Log.Warn("counts of the last calls not stored", "err", err)
	}
}
