package certificate

import (
	"context"
	"log/slog"

	"golang.org/x/crypto/acme/autocert"
)

// cache is a Keeper as the manager wants it. The manager drops most of the errors, and
// shows others to clients: so they are in the log, and the manager gets an empty cache.
type cache struct {
	kept Keeper
	log  *slog.Logger
}

// Get finds what was put.
func (c cache) Get(ctx context.Context, name string) ([]byte, error) {
	data, err := c.kept.LoadCertificate(ctx, name)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, autocert.ErrCacheMiss
	}
	return data, nil
}

// Put keeps it for all nodes.
func (c cache) Put(ctx context.Context, name string, data []byte) error {
	err := c.kept.SaveCertificate(ctx, name, data)
	if err != nil {
		c.log.Warn("what belongs to a certificate could not be stored", "name", name, "err", err)
	}
	return err
}

// Delete forgets it.
func (c cache) Delete(ctx context.Context, name string) error {
	return c.kept.DeleteCertificate(ctx, name)
}
