package sfmc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// DeleteRows removes rows from a data extension: those with the Keys of the given ones,
// whose Values don't matter. It is POST /hub/v1/dataevents/key:KEY/rowset/delete, which
// the vendor's reference does not describe; it stands in the API's own index and in the
// vendor's Postman collection. It needs the scope data_extensions_write. Rows that don't
// exist are no error, so doing it twice is harmless.
//
// An empty key, no rows, or a row without Keys are refused with [ErrInvalid] before
// anything is sent. A nil error says that Marketing Cloud has taken the request; read the
// rows with [Client.FindRow] to be sure that they are gone.
func (c *Client) DeleteRows(ctx context.Context, key string, rows []Row) error {
	body, err := rowset(key, rows)
	if err != nil {
		return fmt.Errorf("%s: %w", OpDeleteRows, err)
	}
	a, err := c.call(ctx, OpDeleteRows, http.MethodPost, "hub/v1/dataevents/key:"+url.PathEscape(key)+"/rowset/delete", body)
	if err != nil {
		return err
	}
	_, err = a.verdict(a.decode()) // what it says is not known: it may say nothing
	return err
}
