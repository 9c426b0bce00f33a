package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
)

const (
	scanRows  = 2000 // rows that one reading of a list looks at
	scanTimes = 25   // readings for one page; then it ends early, with a cursor
)

func limit(f onramp.Filter) int {
	if f.Limit <= 0 {
		return 50
	}
	return min(f.Limit, 500)
}

// before is the seq below which the page begins.
func before(f onramp.Filter) (int64, error) {
	if f.Cursor == "" {
		return 1<<63 - 1, nil
	}
	seq, err := strconv.ParseInt(f.Cursor, 10, 64)
	if err != nil || seq <= 0 {
		return 0, &onramp.Error{Kind: onramp.Malformed, Message: "invalid cursor: use the value of next from the previous page"}
	}
	return seq, nil
}

// matches is the condition of Query, which is the parameter $4.
func matches(f onramp.Filter, events bool) (condition string, argument any) {
	if f.Query == "" {
		return `(CAST($4 AS TEXT) IS NULL)`, nil
	}
	columns := []string{"r.subscriber_key", "r.data"}
	if events {
		columns = append(columns, "e.body")
	}
	for i, c := range columns {
		columns[i] = `COALESCE(lower(` + c + `), '') LIKE $4 ESCAPE '\'`
	}
	return "(" + strings.Join(columns, " OR ") + ")", likeAnywhere(f.Query)
}

// likeAnywhere is the pattern for a text in any place and case.
func likeAnywhere(text string) string {
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	return "%" + escape.Replace(strings.ToLower(storable(text))) + "%"
}

// ListRegistrations returns registrations with their states, newest first, and
// the cursor of the next page, empty at the end. A page may hold less than the
// limit though more follow, when much had to be looked through.
func (s *Store) ListRegistrations(ctx context.Context, f onramp.Filter) (page []onramp.Registration, next string, err error) {
	if f.State != "" {
		if _, known := onramp.ParseRegistrationState(f.State); !known {
			return nil, "", invalidState(f.State, onramp.RegistrationStates())
		}
	}
	below, err := before(f)
	if err != nil {
		return nil, "", err
	}
	size := 0
	for range scanTimes {
		rows, lowest, err := s.scanRegistrations(ctx, f, below)
		if err != nil {
			return nil, "", readerErr("list registrations", err)
		}
		for _, r := range rows {
			if f.State != "" && r.State.String() != f.State {
				continue
			}
			size += len(r.Values)
			if page = append(page, r); len(page) == limit(f) || size >= pageBytes {
				return page, strconv.FormatInt(r.Seq, 10), nil
			}
		}
		if below = lowest; below <= 1 {
			return page, "", nil
		}
	}
	return page, strconv.FormatInt(below, 10), nil
}

// scanRegistrations reads what matches among the next scanRows registrations
// below a seq, and says how far down it has looked.
func (s *Store) scanRegistrations(ctx context.Context, f onramp.Filter, before int64) ([]onramp.Registration, int64, error) {
	lowest, err := s.scanFloor(ctx, "registration", before)
	if err != nil {
		return nil, 0, err
	}
	form := formArgument(f.Form, &s.names)
	condition, query := matches(f, false)
	rows, err := s.readers.QueryContext(ctx, `SELECT `+registrationColumns+` FROM registration r
		WHERE r.seq < $1 AND r.seq >= $2 AND r.form_id = COALESCE($3, r.form_id) AND `+condition+` ORDER BY r.seq DESC`,
		before, lowest, form, query)
	found, more, err := collectPage(rows, err, func(rows *sql.Rows) (row registrationRow, err error) {
		err = rows.Scan(row.into()...)
		return row, err
	}, func(row *registrationRow) int { return len(row.data) })
	if err != nil {
		return nil, 0, err
	}
	if more {
		lowest = found[len(found)-1].seq
	}
	registrations, err := s.withStates(ctx, found)
	return registrations, lowest, err
}

// scanFloor is the lowest seq of the next scanRows rows below a seq.
func (s *Store) scanFloor(ctx context.Context, table string, before int64) (int64, error) {
	var top int64
	err := s.readers.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM `+table+` WHERE seq < $1`, before).Scan(&top)
	return max(top-scanRows+1, 1), err
}

func formArgument(name string, n *names) sql.NullInt64 {
	if name == "" {
		return sql.NullInt64{}
	}
	id, known := n.form(name)
	if !known {
		id = -1 // matches nothing
	}
	return sql.NullInt64{Int64: int64(id), Valid: true}
}

// withStates derives the states of registrations that lie close together.
func (s *Store) withStates(ctx context.Context, found []registrationRow) ([]onramp.Registration, error) {
	if len(found) == 0 {
		return nil, nil
	}
	first, last := found[len(found)-1], found[0]
	// without what events have changed in their rows: that means nothing for their states
	rows, err := s.readers.QueryContext(ctx, `SELECT registration_seq, step, state, tries FROM delivery
		WHERE seq >= $1 AND seq < $2 AND event_seq IS NULL ORDER BY seq`,
		first.deliverySeq, last.deliverySeq+int64(last.steps))
	deliveries, err := collect(rows, err, func(rows *sql.Rows) (d onramp.Delivery, err error) {
		err = rows.Scan(&d.RegistrationSeq, &d.Step, &d.State, &d.Tries)
		return d, err
	})
	if err != nil {
		return nil, err
	}
	of := map[int64][]onramp.Delivery{}
	for _, d := range deliveries {
		of[d.RegistrationSeq] = append(of[d.RegistrationSeq], d)
	}
	registrations := make([]onramp.Registration, len(found))
	for i := range found {
		registrations[i] = found[i].registration(&s.names)
		registrations[i].State = stateOf(of[found[i].seq])
	}
	return registrations, nil
}

// ListDeliveries returns deliveries without their attempts, newest first, and
// the cursor of the next page, as ListRegistrations does. "sending" and
// "submitted" are known to the pump only: here such a delivery is "pending".
func (s *Store) ListDeliveries(ctx context.Context, f onramp.Filter) (page []onramp.Delivery, next string, err error) {
	states, failed, err := storedStates(f)
	if err != nil {
		return nil, "", err
	}
	below, err := before(f)
	if err != nil {
		return nil, "", err
	}
	condition, query := matches(f, true)
	where := `WHERE d.seq < $1 AND d.seq >= $2 AND (CAST($3 AS BIGINT) IS NULL OR r.form_id = $3) AND ` + condition + states + ` ORDER BY d.seq DESC LIMIT $5`
	for range scanTimes {
		lowest, err := s.scanFloor(ctx, "delivery", below)
		if err != nil {
			return nil, "", readerErr("list deliveries", err)
		}
		if failed {
			lowest = 1 // a small index holds just these: no need to look in portions
		}
		rows, more, err := s.pageDeliveries(ctx, where, below, lowest, formArgument(f.Form, &s.names), query, limit(f)-len(page), storable(f.Cause))
		if err != nil {
			return nil, "", readerErr("list deliveries", err)
		}
		if page = append(page, rows...); len(page) == limit(f) || more {
			return page, strconv.FormatInt(page[len(page)-1].Seq, 10), nil
		}
		if below = lowest; below <= 1 {
			return page, "", nil
		}
	}
	return page, strconv.FormatInt(below, 10), nil
}

// storedStates is the condition for the public state of a filter and for its
// cause, which is the parameter $6. failed says that all that match are in the
// index of the failed deliveries.
func storedStates(f onramp.Filter) (condition string, failed bool, err error) {
	state, known := onramp.ParseDeliveryState(f.State)
	switch {
	case f.State == "":
	case !known:
		return "", false, invalidState(f.State, onramp.DeliveryStates())
	case state == onramp.DeliveryWaiting:
		condition = numbered(` AND d.state IN ({{waiting}}, {{out of reach}})`)
	case state == onramp.DeliverySending || state == onramp.DeliverySubmitted:
		condition = numbered(` AND d.state = {{pending}}`) // the rest is known to the pump only
	default:
		condition = ` AND d.state = ` + number(state)
		failed = state == onramp.DeliveryDead || state == onramp.DeliveryDiscarded || state == onramp.DeliveryUnknown
	}
	if f.Cause == "" {
		condition += ` AND CAST($6 AS TEXT) = ''`
	} else {
		condition, failed = condition+` AND d.cause = $6`, true // only what has failed has a cause
	}
	if failed {
		condition += ` AND ` + inFailedIndex
	}
	return condition, failed, nil
}

// invalidState is the error of a filter with a state that is none of the valid ones.
func invalidState[T fmt.Stringer](name string, valid []T) error {
	names := make([]string, len(valid))
	for i, state := range valid {
		names[i] = state.String()
	}
	return &onramp.Error{Kind: onramp.Malformed, Message: "invalid state " + strconv.Quote(name) + ": use " + strings.Join(names, ", ")}
}

// findOldest finds the oldest of the fresh deliveries and of the parked ones.
var findOldest = numbered(`SELECT
	(SELECT COALESCE(e.received_at, r.received_at)` + fromDeliveries + `
		WHERE d.destination_id = $1 AND d.seq > (SELECT read_to FROM destination WHERE id = $1)
		AND d.state IN ({{waiting}}, {{pending}}) AND d.due_at IS NULL ORDER BY d.seq LIMIT 1),
	(SELECT MIN(COALESCE(e.received_at, r.received_at))` + fromDeliveries + `
		WHERE d.destination_id = $1 AND d.due_at > 0)`)

// Oldest returns when the oldest registration was accepted that is still to be
// sent to a destination; zero when there is none.
func (s *Store) Oldest(ctx context.Context, destination string) (time.Time, error) {
	id, _ := s.names.destination(destination)
	var fresh, parked sql.NullInt64
	err := s.readers.QueryRowContext(ctx, findOldest, id).Scan(&fresh, &parked)
	if err != nil {
		return time.Time{}, readerErr("find oldest delivery", err)
	}
	oldest, other := fromNull(fresh), fromNull(parked)
	if oldest.IsZero() || !other.IsZero() && other.Before(oldest) {
		oldest = other
	}
	return oldest, nil
}

// Timeline returns everything that happened to a registration, oldest first, or an
// error of kind NotFound.
func (s *Store) Timeline(ctx context.Context, id string) ([]onramp.TimelineItem, error) {
	r, err := s.FindRegistration(ctx, id)
	if err != nil {
		return nil, err
	}
	items := []onramp.TimelineItem{{At: r.ReceivedAt, What: "accepted", Detail: "form " + r.Form}}
	for i := range r.Deliveries {
		d := &r.Deliveries[i]
		if d.Attempts, err = s.listAttempts(ctx, d.Seq); err != nil {
			return nil, readerErr("list attempts", err)
		}
		items = append(items, deliveryItems(d)...)
	}
	events, err := s.eventItems(ctx, &r)
	if err != nil {
		return nil, readerErr("list events of registration", err)
	}
	items = append(items, events...)
	slices.SortStableFunc(items, func(a, b onramp.TimelineItem) int { return a.At.Compare(b.At) })
	return items, nil
}

// eventItems are the events about a registration and what they changed in its rows.
func (s *Store) eventItems(ctx context.Context, r *onramp.Registration) ([]onramp.TimelineItem, error) {
	events, err := s.eventsOf(ctx, r)
	if err != nil {
		return nil, err
	}
	late, err := s.lateItems(ctx, r)
	if err != nil {
		return nil, err
	}
	var items []onramp.TimelineItem
	for i := range events {
		e := &events[i]
		items = append(items, onramp.TimelineItem{At: e.HappenedAt(), What: "event", Detail: e.Detail()})
		items = append(items, late[e.Seq]...)
		changes, err := s.listDeliveries(ctx, `WHERE d.event_seq = $1 AND d.registration_seq = $2 ORDER BY d.seq`, e.Seq, r.Seq)
		if err != nil {
			return nil, err
		}
		for i := range changes {
			if changes[i].Attempts, err = s.listAttempts(ctx, changes[i].Seq); err != nil {
				return nil, err
			}
			items = append(items, deliveryItems(&changes[i])...)
		}
	}
	return items, nil
}

// lateItems say, by event, why the events about a registration that came too late have
// not changed its rows.
func (s *Store) lateItems(ctx context.Context, r *onramp.Registration) (map[int64][]onramp.TimelineItem, error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT event_seq, destination_id, decided_at, detail FROM unchanged WHERE registration_seq = $1
		ORDER BY event_seq, destination_id LIMIT $2`, r.Seq, mostEvents)
	late := map[int64][]onramp.TimelineItem{}
	_, err = collect(rows, err, func(rows *sql.Rows) (item onramp.TimelineItem, err error) {
		var event, at int64
		var destination int
		err = rows.Scan(&event, &destination, &at, &item.Detail)
		item.At, item.What, item.Destination = fromMicros(at), "skipped", s.names.destinationName(destination)
		late[event] = append(late[event], item)
		return item, err
	})
	return late, err
}

func deliveryItems(d *onramp.Delivery) []onramp.TimelineItem {
	var items []onramp.TimelineItem
	for _, a := range d.Attempts {
		detail := a.Detail
		if a.Hint != "" {
			detail += "; " + a.Hint
		}
		items = append(items,
			onramp.TimelineItem{At: a.StartedAt, What: "attempt", Destination: d.Destination, Detail: "attempt " + strconv.Itoa(a.Number)},
			onramp.TimelineItem{At: a.StartedAt.Add(a.Took), What: a.Verdict.String(), Destination: d.Destination, Detail: detail})
	}
	switch d.State {
	case onramp.DeliveryUnknown:
		if n := len(d.Attempts); n > 0 && d.Attempts[n-1].Verdict == onramp.Unknown {
			break // the attempt has said so
		}
		fallthrough
	case onramp.DeliveryDead, onramp.DeliveryDiscarded:
		items = append(items, onramp.TimelineItem{At: d.SettledAt, What: d.State.String(), Destination: d.Destination, Detail: d.Reason})
	}
	return items
}
