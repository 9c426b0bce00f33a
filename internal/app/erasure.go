package app

import (
	"context"
	"errors"
	"time"

	"onramp/internal/erasure"
	"onramp/internal/importer"
	"onramp/internal/onramp"
	"onramp/internal/outbound"
	"onramp/internal/sink"
)

// newErasures makes the desk for erasures of a configuration.
func (a *App) newErasures(r *running) *erasure.Desk {
	return erasure.New(erasure.Config{
		Store: a.store, Account: erasureAccount{r.account}, Files: erasureFiles{r.sinks}, Forms: r.byName,
		Forget: a.pump.Forget, Now: time.Now, Log: a.options.Log.With("part", "erasure"),
	})
}

// erasureAccount is the account as package erasure needs it.
type erasureAccount struct{ *outbound.Sender }

// HasRow says whether a data extension has a row with these keys.
func (a erasureAccount) HasRow(ctx context.Context, to onramp.Destination, keys map[string]any) (bool, error) {
	has, err := a.Sender.HasRow(ctx, to, keys)
	if errors.Is(err, outbound.ErrUnreadable) {
		err = erasure.ErrUnreadable
	}
	return has, err
}

// erasureFiles are the files that sinks write.
type erasureFiles struct{ sinks *sink.Sender }

// Files are the names of the sinks.
func (f erasureFiles) Files() []string {
	if f.sinks == nil {
		return nil
	}
	return f.sinks.Files()
}

// RemoveLines takes a person's events out of a sink's file.
func (f erasureFiles) RemoveLines(ctx context.Context, name string, who erasure.About) (int64, error) {
	return f.sinks.RemoveLines(ctx, name, sink.About(who))
}

// mayImport keeps an import from bringing back who was erased since.
func (a *App) mayImport(ctx context.Context, subscriberKey string, at time.Time) (reason string, err error) {
	erased, err := a.store.ErasedAt(ctx, subscriberKey)
	if err != nil || !erased.After(at) {
		return "", err
	}
	return importer.Erased, nil
}
