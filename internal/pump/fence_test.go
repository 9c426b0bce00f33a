package pump_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/pump"
)

// While another process may be delivering no call begins; what waits goes soon
// after.
func TestFence(t *testing.T) {
	var closed atomic.Bool
	fence := func() error {
		if closed.Load() {
			return errors.New("another process may be delivering")
		}
		return nil
	}
	run(t, pump.Config{Fence: fence}, always(ok), func(r running) {
		r.o.save(1, x)
		r.wait(time.Second)
		closed.Store(true)
		r.o.save(2, x, y)
		r.wait(time.Minute)
		if got := len(r.s.times(x.ID)) + len(r.s.times(y.ID)); got != 1 {
			t.Errorf("%d calls, want the one before the fence was closed", got)
		}
		closed.Store(false)
		r.wait(time.Minute + time.Second)
		if got := len(r.s.times(x.ID)) + len(r.s.times(y.ID)); got != 3 {
			t.Errorf("%d calls after the fence was opened, want 3", got)
		}
	})
}
