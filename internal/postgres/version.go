package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Version connects to a server and asks for its version, such as "15.4", within the
// time of ctx. The error does not quote the URL.
func Version(ctx context.Context, rawURL string) (_ string, err error) {
	const patience = 5 * time.Second
	d, err := Parse(rawURL, Limits{Connect: patience, Check: patience, Lock: patience, Idle: patience, Unacked: patience})
	if err != nil {
		return "", err
	}
	pool := d.Pool(patience, nil)
	defer func() { err = errors.Join(err, pool.Close()) }()
	var version string
	if err := pool.QueryRowContext(ctx, `SHOW server_version`).Scan(&version); err != nil {
		return "", fmt.Errorf("the PostgreSQL server can't be used: %w", err)
	}
	return version, nil
}
