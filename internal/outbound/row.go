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

// RowError is why a row could not be read or removed.
type RowError struct {
	onramp.Outcome // what the answer means; its Detail and Hint hold no values
	err            error
}

// Error is what came, for an operator.
func (e *RowError) Error() string { return e.Reason() }

// Unwrap gives the error of the call.
func (e *RowError) Unwrap() error { return e.err }

// CompareRow reads the row of a delivery to a data extension. found says whether there is
// one, different which of its columns are not stored as they were sent, each with what to
// do and none with a value. It makes one call. The error is ErrUnreadable, or a *RowError.
func (s *Sender) CompareRow(ctx context.Context, to onramp.Destination, d onramp.Delivery) (found bool, different []string, err error) {
	if o, ready := s.columns(to, &d); !ready {
		return false, nil, &RowError{o, nil}
	}
	limited, end := context.WithTimeout(ctx, s.timeout)
	defer end()
	stored, err := s.client.FindRow(limited, to.Key, rowKeys(to, &d))
	if isUnreadable(err) {
		return false, nil, ErrUnreadable
	}
	if err != nil {
		return false, nil, &RowError{Explain(err, to), err}
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
// no error. The error is a *RowError.
func (s *Sender) RemoveRow(ctx context.Context, to onramp.Destination, d onramp.Delivery) error {
	if o, ready := s.columns(to, &d); !ready {
		return &RowError{o, nil}
	}
	limited, end := context.WithTimeout(ctx, s.timeout)
	defer end()
	if err := s.client.DeleteRows(limited, to.Key, []sfmc.Row{{Keys: rowKeys(to, &d)}}); err != nil {
		return &RowError{Explain(err, to), err}
	}
	return nil
}

// isUnreadable says that a read was refused to the package, and would always be.
func isUnreadable(err error) bool {
	e, ok := errors.AsType[*sfmc.Error](err)
	return ok && e.Op != sfmc.OpToken && (e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized)
}
