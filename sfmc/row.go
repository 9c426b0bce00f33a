package sfmc

import (
	"context"
	"encoding/json"
	"fmt"
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

// UpsertRows inserts rows into the data extension with the given external key,
// or updates those whose keys exist: POST /hub/v1/dataevents/key:KEY/rowset
// (vendor page "Upsert a Data Extension Rowset by Key"). It needs the scope
// data_extensions_write. Doing it twice is harmless.
//
// Marketing Cloud recommends at most 50 rows of 50 columns in a call, and takes
// at most 5 MB; this is not checked here. An empty key, no rows, a row without
// Keys, or Values of the wrong kind are refused with [ErrInvalid] before
// anything is sent.
//
// On success it returns the rows that came back, with numbers as [json.Number]:
// normally the rows sent, but their number is not checked, and there are none
// if the answer does not repeat them. When several rows are sent and one is
// bad, the rows before it are saved, it and those after it are not, and the
// [*Error] does not tell which one it was.
func (c *Client) UpsertRows(ctx context.Context, key string, rows []Row) ([]Row, error) {
	in, err := rowset(key, rows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", OpUpsertRows, err)
	}
	a, err := c.post(ctx, OpUpsertRows, "hub/v1/dataevents/key:"+url.PathEscape(key)+"/rowset", in)
	if err != nil {
		return nil, err
	}
	return a.rows()
}

// rowset checks the arguments of UpsertRows and gives the body to send.
func rowset(key string, rows []Row) ([]Row, error) {
	if strings.TrimSpace(key) == "" {
		return nil, fmt.Errorf("data extension key: %w: empty", ErrInvalid)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("rows: %w: none", ErrInvalid)
	}
	in := make([]Row, len(rows))
	for i, row := range rows {
		if len(row.Keys) == 0 {
			return nil, fmt.Errorf("row %d: %w: no keys", i, ErrInvalid)
		}
		values, err := object(row.Values)
		if err != nil {
			return nil, fmt.Errorf("row %d: values: %w", i, err)
		}
		if values == nil {
			values = json.RawMessage("{}")
		}
		in[i] = Row{Keys: row.Keys, Values: values}
	}
	return in, nil
}
