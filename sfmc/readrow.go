package sfmc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// FindRow reads a row of a data extension: the first one whose columns have the values
// of keys, such as those of its primary key. Values are texts, or whatever marshals to a
// single JSON value. It is GET /data/v1/customobjectdata/key/KEY/rowset with a $filter,
// which the vendor's reference does not describe; clients in production use it. It needs
// the scope data_extensions_read.
//
// It returns the row's columns, of which the names come in lower case and the values as
// text, whatever their type; nil if there is no such row. No keys, or an empty name, are
// refused with [ErrInvalid]; a data extension that does not exist is an [*Error].
func (c *Client) FindRow(ctx context.Context, key string, keys map[string]any) (map[string]string, error) {
	if strings.TrimSpace(key) == "" {
		return nil, fmt.Errorf("%s: data extension key: %w: empty", OpFindRow, ErrInvalid)
	}
	filter, err := rowFilter(keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", OpFindRow, err)
	}
	// a plus for a blank is refused
	query := "?$pageSize=1&$filter=" + strings.ReplaceAll(url.QueryEscape(filter), "+", "%20")
	a, err := c.call(ctx, OpFindRow, http.MethodGet, "data/v1/customobjectdata/key/"+url.PathEscape(key)+"/rowset"+query, nil)
	if err != nil {
		return nil, err
	}
	v, err := a.success()
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, a.unfit("not an object")
	}
	items := list(m, "items")
	if len(items) == 0 {
		return nil, nil
	}
	row, ok := items[0].(map[string]any)
	if !ok {
		return nil, a.unfit("an item is not a row")
	}
	columns := map[string]string{}
	for _, part := range []string{"keys", "values"} {
		values, _ := member(row, part).(map[string]any)
		for name, v := range values {
			if v == nil {
				v = ""
			}
			columns[strings.ToLower(name)] = fmt.Sprint(v)
		}
	}
	return columns, nil
}

// rowFilter compares each column with its value.
func rowFilter(keys map[string]any) (string, error) {
	var all []string
	for _, column := range slices.Sorted(maps.Keys(keys)) {
		if strings.TrimSpace(column) == "" {
			return "", fmt.Errorf("column: %w: empty", ErrInvalid)
		}
		value, isText := keys[column].(string)
		if !isText {
			raw, err := json.Marshal(keys[column])
			if err != nil {
				return "", fmt.Errorf("column %s: %w: %w", column, ErrInvalid, err)
			}
			if json.Unmarshal(raw, &value) != nil { // a number or a Boolean, as it is written
				value = string(raw)
			}
		}
		all = append(all, column+" eq '"+strings.ReplaceAll(value, "'", "''")+"'")
	}
	if len(all) == 0 {
		return "", fmt.Errorf("columns: %w: none", ErrInvalid)
	}
	return strings.Join(all, " and "), nil
}
