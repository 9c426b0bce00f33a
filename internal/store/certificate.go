package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// keptCertificate are certificates with their keys, the key of the account with their
// authority, and what proves to it that a host is ours. All nodes share them.
const keptCertificate = "certificate"

// LoadCertificate returns what SaveCertificate was last given under a name, or nil when
// there is none. One that can't be decrypted is none: another one is asked for.
func (s *Store) LoadCertificate(ctx context.Context, name string) ([]byte, error) {
	if storable(name) != name {
		return nil, nil // nothing is kept under such a name
	}
	row := keptRow{name: name}
	err := s.readers.QueryRowContext(ctx, `SELECT data FROM kept WHERE kind = $1 AND name = $2`, keptCertificate, name).Scan(&row.text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, readerErr("find certificate", err)
	}
	data, err := openKept[[]byte](s.cipher, keptCertificate, row)
	if err != nil {
		s.log.Warn("what belongs to a certificate can't be read, and is replaced", "err", err)
		return nil, nil
	}
	return data, nil
}

// SaveCertificate keeps it under a name, encrypted, in place of the one before.
func (s *Store) SaveCertificate(ctx context.Context, name string, data []byte) error {
	return s.keep(ctx, keptCertificate, name, data)
}

// DeleteCertificate forgets what is kept under a name, if there is anything.
func (s *Store) DeleteCertificate(ctx context.Context, name string) error {
	return s.drop(ctx, keptCertificate, name)
}

// reservation is the name in meta of who asks for the certificate of a host; the value
// is until when, as a text that can be compared.
func reservation(host string) string { return "certificate_reserved:" + host }

func reservedUntil(t time.Time) string { return fmt.Sprintf("%020d", micros(t)) }

// ReserveCertificate says whether the caller alone may ask for the certificate of a host:
// until it is released, or for life if its process ends before that.
func (s *Store) ReserveCertificate(ctx context.Context, host string, life time.Duration) (reserved bool, err error) {
	err = s.writer.write(ctx, &op{run: func(t *tx) error {
		n, err := t.update(`INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE meta.value < $3`,
			reservation(host), reservedUntil(t.now.Add(life)), reservedUntil(t.now))
		reserved = n > 0
		return err
	}})
	if err != nil {
		return false, fmt.Errorf("reserve certificate: %w", err)
	}
	return reserved, nil
}

// ReleaseCertificate ends a reservation of the caller's.
func (s *Store) ReleaseCertificate(ctx context.Context, host string) error {
	err := s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(`DELETE FROM meta WHERE name = $1`, reservation(host)) }})
	if err != nil {
		return fmt.Errorf("release certificate: %w", err)
	}
	return nil
}
