package sfmc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Get reads what there is no other method for: it calls GET path, below the REST
// base and without a slash in front, such as "platform/v1/tokenContext", and decodes
// the JSON of the answer into a pointer. Escape what the path is made of by
// [net/url.PathEscape]. It retries and fails like every other call; an answer that
// is not the JSON that into wants is an [*Error] with [ErrAnswer].
func (c *Client) Get(ctx context.Context, path string, into any) error {
	if path == "" || strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s: %w: path %.80q", OpGet, ErrInvalid, path)
	}
	a, err := c.call(ctx, OpGet, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if _, err := a.success(); err != nil {
		return err
	}
	if err := json.Unmarshal(a.trimmed(), into); err != nil {
		return a.unfit("JSON of another kind")
	}
	return nil
}
