package store_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"onramp/internal/onramp"
)

// A row is delivered while it is looked up what was delivered since a late call: it is
// the one to be sent once more, and not the one before it.
func TestDeliveredWhileLateCallsEnd(t *testing.T) {
	for name, deliver := range map[string]func(w *world, end, settle func()){
		"before it is written what was found": func(w *world, end, settle func()) {
			release := w.s.HoldWriter(w.t.Context())
			settle()
			w.s.Queued(w.t.Context(), 1)
			end()
			w.s.Queued(w.t.Context(), 2)
			release()
		},
		"after it was looked up": func(w *world, end, settle func()) {
			release := w.s.HoldWriter(w.t.Context())
			end()
			w.s.Queued(w.t.Context(), 1)
			begun, releaseNext := w.s.HoldUpNext(w.t.Context(), 1)
			settle()
			w.s.Queued(w.t.Context(), 3)
			release()
			<-begun
			w.s.Queued(w.t.Context(), 1)
			releaseNext()
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.save("both", "ana1", "ana2", "ana3") // the journey's event of each may write the row late
				w.settle("ana1.1", onramp.DeliveryDelivered, 0)
				w.settle("ana2.1", onramp.DeliveryDelivered, 0)
				newest := w.find("ana3.1")
				x, later := w.destination("x"), w.clock.now().Add(time.Hour)
				var both sync.WaitGroup
				var due []onramp.Delivery
				deliver(w, func() {
					both.Go(func() {
						var err error
						if due, _, err = w.s.ListDue(t.Context(), x, math.MaxInt64, later, 10); err != nil {
							t.Error(err)
						}
					})
				}, func() {
					both.Go(func() { w.settleRead(newest, onramp.DeliveryDelivered, 0) })
				})
				both.Wait()
				if got := w.deliveryNames(due); got != "ana3.1" {
					t.Errorf("sent once more: %s", got)
				}
				if keys, resends, _, err := w.s.Late(t.Context(), "data_extension:x"); err != nil || keys != 0 || resends != 1 {
					t.Errorf("%d late calls, and %d to be sent once more, %v", keys, resends, err)
				}
			})
		})
	}
}
