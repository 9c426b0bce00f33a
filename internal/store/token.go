package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const (
	keptToken  = "access token"
	tokenName  = "marketing cloud"
	clearToken = "marketing_cloud_token" // where older databases have it in clear text, until seal finds it
)

// LoadToken returns the access token of Marketing Cloud that SaveToken was last
// given, or nil when there is none. The error of one that can't be decrypted does
// no harm: the next SaveToken replaces it.
func (s *Store) LoadToken(ctx context.Context) ([]byte, error) {
	if s.cipher == nil {
		return nil, nil
	}
	row := keptRow{name: tokenName}
	err := s.readers.QueryRowContext(ctx, `SELECT data FROM kept WHERE kind = $1 AND name = $2`, keptToken, tokenName).Scan(&row.text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, readerErr("find token", err)
	}
	token, err := openKept[[]byte](s.cipher, keptToken, row)
	if err != nil {
		return nil, fmt.Errorf("%w; a new one is requested", err)
	}
	return token, nil
}

// SaveToken keeps an access token across restarts, in place of the one before:
// Marketing Cloud rations the requests for tokens. It is encrypted. Without a
// cipher it is not kept, which is no error: every start then asks for a token.
func (s *Store) SaveToken(ctx context.Context, token []byte) error {
	if s.cipher == nil {
		return nil
	}
	return s.keep(ctx, keptToken, tokenName, token)
}
