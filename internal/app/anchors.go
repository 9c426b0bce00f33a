package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"onramp/internal/chain"
)

// anchorEvery is how often is looked whether an anchor is due: there is one a day.
const anchorEvery = time.Hour

// anchorChains signs the heads of the consent log and the audit log, once a day, until ctx ends.
func (a *App) anchorChains(ctx context.Context) {
	for ctx.Err() == nil {
		if err := a.store.AnchorChains(ctx, func(made []chain.Anchor) error { return a.publish(ctx, made) }); err != nil && ctx.Err() == nil {
			a.options.Log.ErrorContext(ctx, "the logs could not be anchored; it is tried again in an hour", "err", err)
		}
		select {
		case <-time.After(anchorEvery):
		case <-ctx.Done():
		}
	}
}

// publish puts anchors where who can change the database can't change them: into the log of the
// program, and into a file.
func (a *App) publish(ctx context.Context, made []chain.Anchor) error {
	if file := a.running.Load().cfg.Consent.AnchorFile; file != "" {
		if err := appendAnchors(file, made); err != nil {
			return fmt.Errorf("consent.anchor_file: %w", err)
		}
	}
	for _, m := range made {
		a.options.Log.InfoContext(ctx, "anchor", "log", string(m.Log), "chain", m.Chain, "number", m.Number, "hash", m.Hash, "at", m.At.Format(time.RFC3339Nano), "key", m.Key, "signature", m.Signature)
	}
	return nil
}

// appendAnchors returns once the anchors are on disk. A line that was written by half before is ended.
func appendAnchors(name string, made []chain.Anchor) (err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var lines bytes.Buffer
	if end, err := f.Seek(0, io.SeekEnd); err == nil && end > 0 {
		last := []byte{0}
		if _, err := f.ReadAt(last, end-1); err == nil && last[0] != '\n' {
			lines.WriteByte('\n')
		}
	}
	for i := range made {
		line, err := made[i].Line()
		if err != nil {
			return err
		}
		lines.Write(line)
	}
	if _, err := f.Write(lines.Bytes()); err != nil {
		return err
	}
	return f.Sync()
}
