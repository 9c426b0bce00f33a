package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"
)

// kept is what is kept over a restart.
type kept struct {
	Ledger  ledger
	Growths map[string]*growth
	Silence silence
}

// keeping is how far that is.
type keeping struct {
	saved []byte    // what is in the store
	at    time.Time // when it was last looked at
	busy  bool      // it is being written
	done  chan bool // whether it was written
}

// ended notes that a write has.
func (k *keeping) ended(written bool) {
	if k.busy = false; !written {
		k.saved = nil // it may be there or not
	}
}

// load goes on where the process before this one has ended.
func (w *Watcher) load(ctx context.Context) {
	if w.from.Kept == nil {
		return
	}
	ctx, stop := context.WithTimeout(ctx, slowFor)
	defer stop()
	data, err := w.from.Kept.LoadAlerts(ctx)
	before := kept{Ledger: w.ledger, Growths: w.growths}
	if err == nil && data != nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil {
		w.log.WarnContext(ctx, "it is not known which alerts were sent before; some may come again", "err", err)
		return
	}
	w.ledger, w.growths, w.silence, w.keeping.saved = before.Ledger, before.Growths, before.Silence, data
	for cause, g := range w.growths {
		if !strings.HasPrefix(cause, "dead:") {
			g.Seen = 0 // it counts since the start of the process
		}
	}
}

// keep writes what has changed: at once after an alert, else from time to time. It
// does not wait for the store.
func (w *Watcher) keep(ctx context.Context, now time.Time, sent bool) {
	k := &w.keeping
	if w.from.Kept == nil || k.busy || !sent && now.Sub(k.at) < slowEvery {
		return
	}
	k.at = now
	data, changed := w.changed()
	if !changed {
		return
	}
	k.busy, k.saved = true, data
	go func() { k.done <- w.save(ctx, data) }()
}

// keepLast writes what has changed since, and waits for it, and for what is still
// being written.
func (w *Watcher) keepLast(ctx context.Context) {
	if w.from.Kept == nil {
		return
	}
	if w.keeping.busy {
		w.keeping.ended(<-w.keeping.done)
	}
	if data, changed := w.changed(); changed {
		_ = w.save(ctx, data) // it was the last try
	}
}

func (w *Watcher) changed() (data []byte, changed bool) {
	data, err := json.Marshal(kept{w.ledger, w.growths, w.silence})
	return data, err == nil && !bytes.Equal(data, w.keeping.saved)
}

// save says whether it was done. While the store can't be written there is an alert about that,
// and the next save comes soon.
func (w *Watcher) save(ctx context.Context, data []byte) bool {
	ctx, stop := context.WithTimeout(ctx, slowFor)
	defer stop()
	err := w.from.Kept.SaveAlerts(ctx, data)
	if err != nil {
		w.log.DebugContext(ctx, "what alerts were sent could not be kept", "err", err)
	}
	return err == nil
}
