package store

import (
	"database/sql"
	"strconv"
	"strings"

	"onramp/internal/onramp"
)

// numbered puts the stored numbers of states into a query that names them:
// {{pending}} becomes 2.
func numbered(query string) string { return stateNumbers.Replace(query) }

var stateNumbers = strings.NewReplacer(
	"{{waiting}}", number(onramp.DeliveryWaiting),
	"{{pending}}", number(onramp.DeliveryPending),
	"{{delivered}}", number(onramp.DeliveryDelivered),
	"{{dead}}", number(onramp.DeliveryDead),
	"{{discarded}}", number(onramp.DeliveryDiscarded),
	"{{unknown}}", number(onramp.DeliveryUnknown),
	"{{out of reach}}", number(onramp.DeliveryOutOfReach),
	"{{skipped}}", number(onramp.DeliverySkipped),
	"{{held}}", number(onramp.DeliveryHeld),
	"{{erased}}", number(onramp.DeliveryErased),
	"{{suspicion}}", number(onramp.HoldSuspicion),
	"{{verdict delivered}}", number(onramp.Delivered),
	"{{verdict retry}}", number(onramp.Retry),
)

func number[T ~uint8](state T) string { return strconv.Itoa(int(state)) }

// inFailedIndex is true of the deliveries in the partial index delivery_failed.
// The index is used only where a query repeats its condition word for word.
var inFailedIndex = numbered(`(d.state = {{dead}} OR d.state = {{discarded}} OR d.state = {{unknown}})`)

// pageBytes is how much a reading takes of what strangers can make large. It ends
// with the row that reaches this, so that a page of large ones is a short one.
const pageBytes = 4 << 20

// collectPage is collect for rows that may be large: when it ends at pageBytes there
// may be more.
func collectPage[T any](rows *sql.Rows, err error, read func(*sql.Rows) (T, error), size func(*T) int) (page []T, more bool, err2 error) {
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for total := 0; rows.Next(); {
		one, err := read(rows)
		if err != nil {
			return nil, false, err
		}
		page = append(page, one)
		if total += size(&one); total >= pageBytes {
			return page, true, nil
		}
	}
	return page, false, rows.Err()
}

// collect reads all rows of a query, in their order, and closes them. It takes
// the query's two results as they are.
func collect[T any](rows *sql.Rows, err error, read func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := read(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
