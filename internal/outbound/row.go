package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"onramp/internal/onramp"
	"onramp/sfmc"
)

// ErrUnreadable is that rows can't be read back, since the package may not.
var ErrUnreadable = errors.New("rows can't be read back: the scope data_extensions_read is missing")

// CallError is why a call has failed that delivers nothing.
type CallError struct {
	onramp.Outcome // what the answer means; its Detail and Hint hold no values
	err            error
}

// Error is what came, for an operator.
func (e *CallError) Error() string { return e.Reason() }

// Judgement is what the answer means.
func (e *CallError) Judgement() onramp.Outcome { return e.Outcome }

// Unwrap gives the error of the call.
func (e *CallError) Unwrap() error { return e.err }

// CompareRow reads the row of a delivery to a data extension. found says whether there is
// one, different which of its columns are not stored as they were sent, each with what to
// do and none with a value. It makes one call. The error is ErrUnreadable, or a *CallError.
func (s *Sender) CompareRow(ctx context.Context, to onramp.Destination, d onramp.Delivery) (found bool, different []string, err error) {
	if o, ready := s.columns(to, &d); !ready {
		return false, nil, &CallError{o, nil}
	}
	limited, end := context.WithTimeout(ctx, s.timeout)
	defer end()
	stored, err := s.client.FindRow(limited, to.Key, rowKeys(to, &d))
	if isUnreadable(err) {
		return false, nil, ErrUnreadable
	}
	if err != nil {
		return false, nil, &CallError{Explain(err, to), err}
	}
	if stored == nil {
		return false, nil, nil
	}
	sent := map[string]json.RawMessage{}
	_ = json.Unmarshal(d.Values, &sent) // columns has made an object
	values := to.OnExisting != onramp.Skip && !s.readback.mayBeWrittenLate(personOf(&d), d.Age)
	for column, value := range sent {
		if what := compare(value, stored, column, values); what != "" {
			different = append(different, "column "+column+" "+what)
		}
	}
	slices.Sort(different)
	return true, different, nil
}

// RemoveRow removes the row of a delivery from its data extension; that there is none is
// no error. The error is a *CallError.
func (s *Sender) RemoveRow(ctx context.Context, to onramp.Destination, d onramp.Delivery) error {
	keys, err := s.RowKeys(to, d)
	if err != nil {
		return err
	}
	return s.RemoveRows(ctx, to, []map[string]any{keys})
}

// RowKeys are the key columns of a delivery's row in a data extension, with their values.
// The error is a *CallError: the row can't be told from others.
func (s *Sender) RowKeys(to onramp.Destination, d onramp.Delivery) (map[string]any, error) {
	if o, ready := s.columns(to, &d); !ready {
		return nil, &CallError{o, nil}
	}
	return rowKeys(to, &d), nil
}

// RemoveRows removes rows from a data extension by their keys, in one call, as many as one
// takes at most. The error is a *CallError.
func (s *Sender) RemoveRows(ctx context.Context, to onramp.Destination, keys []map[string]any) error {
	rows := make([]sfmc.Row, len(keys))
	for i := range keys {
		rows[i].Keys = keys[i]
	}
	return s.ask(ctx, to, func(ctx context.Context) error { return s.client.DeleteRows(ctx, to.Key, rows) })
}

// HasRow says whether a data extension has a row with these keys. The error is
// ErrUnreadable, or a *CallError.
func (s *Sender) HasRow(ctx context.Context, to onramp.Destination, keys map[string]any) (has bool, err error) {
	err = s.ask(ctx, to, func(ctx context.Context) error {
		row, err := s.client.FindRow(ctx, to.Key, keys)
		has = row != nil
		if isUnreadable(err) {
			err = errors.Join(ErrUnreadable, err)
		}
		return err
	})
	if errors.Is(err, ErrUnreadable) {
		err = ErrUnreadable
	}
	return has, err
}

// ask makes a call within the time-out for calls. The error is a *CallError.
func (s *Sender) ask(ctx context.Context, to onramp.Destination, call func(context.Context) error) error {
	limited, end := context.WithTimeout(ctx, s.timeout)
	defer end()
	if err := call(limited); err != nil {
		return &CallError{Explain(err, to), err}
	}
	return nil
}

// isUnreadable says that a read was refused to the package, and would always be.
func isUnreadable(err error) bool {
	e, ok := errors.AsType[*sfmc.Error](err)
	return ok && e.Op != sfmc.OpToken && (e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized)
}
