package sfmc

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Row is one row of a data extension.
type Row struct {
	// Keys are the primary key columns with their values. Required.
	Keys map[string]any `json:"keys"`
	// Values are the other columns: anything that marshals to a JSON object,
	// such as a map, a struct or a [json.RawMessage]. Nil stands for none.
	// Columns that are left out keep their value, if the row exists. Leave a
	// column out rather than send null, which is known to be refused.
	//
	// In a row that UpsertRows returned it is a map[string]any.
	Values any `json:"values"`
}

// UpsertRows stores rows and returns them as Marketing Cloud repeats them; use
// [Client.StoreRows] if you have no use for those.
//
// It inserts rows into the data extension with the given external key, or updates
// those whose keys exist: POST /hub/v1/dataevents/key:KEY/rowset
// (vendor page "Upsert a Data Extension Rowset by Key"). It needs the scope
// data_extensions_write. Doing it twice is harmless.
//
// Marketing Cloud recommends at most 50 rows of 50 columns in a call, and takes
// at most 5 MB; this is not checked here. An empty key, no rows, a row without
// Keys, or Values of the wrong kind are refused with [ErrInvalid] before
// anything is sent.
//
// On success it returns the rows that came back, with numbers as [json.Number]:
// normally the rows sent, and none if the answer is the {"results": […]} of some
// descriptions, which does not repeat them. A 2xx answer that does not tell of as
// many rows as were sent, such as an empty one, is an [*Error] with [ErrAnswer]. When several rows are sent and one is
// bad, the rows before it are saved, it and those after it are not, and the
// [*Error] does not tell which one it was.
func (c *Client) UpsertRows(ctx context.Context, key string, rows []Row) ([]Row, error) {
	a, err := c.upsertRows(ctx, key, rows)
	if err != nil {
		return nil, err
	}
	return a.rows(len(rows))
}

// StoreRows is [Client.UpsertRows] without the rows that come back: the same
// request, limits and errors, with [OpUpsertRows] as their operation, but the answer
// is only checked and not decoded, which saves most of the work of a call.
func (c *Client) StoreRows(ctx context.Context, key string, rows []Row) error {
	a, err := c.upsertRows(ctx, key, rows)
	if err != nil {
		return err
	}
	return a.stored(len(rows))
}

func (c *Client) upsertRows(ctx context.Context, key string, rows []Row) (*answer, error) {
	body, err := rowset(key, rows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", OpUpsertRows, err)
	}
	return c.call(ctx, OpUpsertRows, http.MethodPost, "hub/v1/dataevents/key:"+url.PathEscape(key)+"/rowset", body)
}

// rowset checks the arguments of UpsertRows and gives the body to send. It is
// written piece by piece: marshalled as a whole, each row would be read twice
// more, to check JSON that was checked already.
func rowset(key string, rows []Row) ([]byte, error) {
	if strings.TrimSpace(key) == "" {
		return nil, fmt.Errorf("data extension key: %w: empty", ErrInvalid)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("rows: %w: none", ErrInvalid)
	}
	var b bytes.Buffer
	b.Grow(2 + 64*len(rows) + rawSize(rows, func(r Row) any { return r.Values }))
	b.WriteByte('[')
	for i, row := range rows {
		if len(row.Keys) == 0 {
			return nil, fmt.Errorf("row %d: %w: no keys", i, ErrInvalid)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"keys":`)
		if _, err := writeObject(&b, row.Keys); err != nil {
			return nil, fmt.Errorf("row %d: keys: %w", i, err)
		}
		b.WriteString(`,"values":`)
		switch ok, err := writeObject(&b, row.Values); {
		case err != nil:
			return nil, fmt.Errorf("row %d: values: %w", i, err)
		case !ok:
			b.WriteString("{}")
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b.Bytes(), nil
}
