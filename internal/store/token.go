package store

import "context"

// A token of Marketing Cloud is kept across restarts, because asking for one is
// rationed. It is stored as the caller gives it.
const metaToken = "marketing_cloud_token"

// LoadToken returns what SaveToken was last given, or nil.
func (s *Store) LoadToken(ctx context.Context) ([]byte, error) {
	value, err := findMeta(ctx, s.readers, metaToken)
	if err != nil || value == "" {
		return nil, readerErr("find token", err)
	}
	return []byte(value), nil
}

// SaveToken replaces the kept token.
func (s *Store) SaveToken(ctx context.Context, token []byte) error {
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(saveMeta, metaToken, string(token)) }})
}
