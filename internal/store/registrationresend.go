package store

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/resend"
)

const insertResentRegistration = `INSERT INTO delivery
	(seq, registration_seq, step, destination_id, partition_id, ordering_key, state, tries, run_id, resent_at, steps)`

const (
	registrationsInPortion = 250  // that are looked at for one
	seqsInPortion          = 2000 // that they are looked for in
)

// each runs a query and hands over its rows: it is the writer's, or that of readers.
type each func(query string, args []any, row func(scan func(...any) error) error) error

func (s *Store) eachRead(ctx context.Context) each {
	return func(query string, args []any, row func(scan func(...any) error) error) error {
		rows, err := s.readers.QueryContext(ctx, query, args...)
		_, err = collect(rows, err, func(r *sql.Rows) (none struct{}, err error) {
			return none, row(r.Scan)
		})
		return readerErr("look at registrations", err)
	}
}

// PlanRegistrationResend counts what a resend of registrations would send. It changes
// nothing in them.
func (s *Store) PlanRegistrationResend(ctx context.Context, f resend.RegistrationFilter, forms map[string]*onramp.Form) (p resend.Plan, err error) {
	look, err := s.lookAgain(&f, forms)
	if err != nil {
		return p, err
	}
	if p.After, p.Last, err = s.resendRange(ctx, &f); err != nil {
		return p, err
	}
	if err := s.indexPersons(ctx); err != nil {
		return p, err
	}
	p.LeftOut, p.Destinations, p.StepsLeftOut, p.FieldsGone = map[string]int64{}, map[string]int64{}, map[string]int64{}, map[string]int64{}
	for after := p.After; after < p.Last; {
		var found []*again
		if found, after, err = look.portion(s.eachRead(ctx), after, p.Last); err != nil {
			return p, err
		}
		for _, a := range found {
			a.addTo(&p)
		}
	}
	return p, nil
}

// resendRange says between which seqs the registrations of a filter are.
func (s *Store) resendRange(ctx context.Context, f *resend.RegistrationFilter) (after, last int64, err error) {
	if f.ID != "" {
		r, err := s.FindRegistration(ctx, f.ID)
		return r.Seq - 1, r.Seq, err
	}
	end, below, err := s.period(ctx, "registration", f.Since, f.Until)
	if err != nil {
		return 0, 0, readerErr("find registrations of a time", err)
	}
	newest, err := s.lastBelow(ctx, "registration", "seq", math.MaxInt64)
	return end - 1, min(below-1, newest), readerErr("find newest registration", err)
}

// ResendRegistrations queues the next portion of a run. waits is true when it is too
// early for that: the one before it is still to be sent.
func (s *Store) ResendRegistrations(ctx context.Context, run *resend.Run, f resend.RegistrationFilter, forms map[string]*onramp.Form) (waits bool, err error) {
	if unsent, err := s.countUnsent(ctx, run); err != nil || unsent > registrationsInPortion/2 {
		return true, err
	}
	look, err := s.lookAgain(&f, forms)
	if err == nil {
		err = s.indexPersons(ctx)
	}
	if err != nil {
		return true, err
	}
	// readers skip what the filter doesn't select; the writer looks again at the rest
	found, to, err := look.portion(s.eachRead(ctx), run.Position, run.Last)
	if err != nil {
		return true, err
	}
	rows := 1
	for _, a := range found {
		rows += 1 + len(a.sends)
	}
	return false, s.stepRun(ctx, run, to, rows, func(t *tx) (sent int64, leftOut map[string]int64, err error) {
		if len(found) == 0 {
			return 0, nil, nil
		}
		now, _, err := look.portion(t.each, run.Position, to)
		if err != nil {
			return 0, nil, err
		}
		return t.resendRegistrations(run.ID, &f, now)
	})
}

// resendRegistrations appends the deliveries. The dead letters of a registration whose
// whole route is sent again are discarded: retried, they would send it twice.
func (t *tx) resendRegistrations(run int64, f *resend.RegistrationFilter, all []*again) (sent int64, leftOut map[string]int64, err error) {
	var values []any
	woken := map[int]wakeUp{}
	leftOut = map[string]int64{}
	for _, a := range all {
		if a.leftOut != "" {
			leftOut[a.leftOut]++
			continue
		}
		sent++
		if f.Step == 0 {
			for _, seq := range a.dead {
				d, _, err := t.findChange(`WHERE d.seq = $1`, seq)
				if err == nil {
					_, err = t.discard(&d, "sent again by resend "+strconv.FormatInt(run, 10), woken)
				}
				if err != nil {
					return 0, nil, err
				}
			}
		}
		key := t.store.hashing.orderingKey(a.subscriberKey)
		first := t.deliverySeq + 1
		state := onramp.DeliveryPending
		for i, step := range a.sends {
			t.deliverySeq++
			values = append(values, t.deliverySeq, a.seq, int64(step.number), int64(step.to.ID), int64(uint64(key)%partitions), key, int64(state), int64(0),
				run, micros(t.now), int64(step.number+len(a.sends)-1-i))
			t.moveDelivery(step.to.ID, 0, state)
			woken[step.to.ID] |= freshUp
			state = onramp.DeliveryWaiting
		}
		if err := t.noteFollowed(&onramp.Registration{Route: a.route()}, key, first, woken); err != nil {
			return 0, nil, err
		}
	}
	t.wakeAfter(woken)
	return sent, leftOut, t.insert(t.store.writer.resentRegistrations, values)
}

// again is a registration that a filter selects, and what would become of it.
type again struct {
	registrationRow
	received time.Time
	sends    []againStep // the steps that would be sent
	got      int64       // steps that would not, since the person got them
	skipped  int64       // steps that would not, since their condition does not hold
	leftOut  string      // why none would be sent; "": some are
	dead     []int64     // its dead letters
	gone     []string    // the fields that its form no longer has, with the form's name
	past     []pastStep
	silent   bool // it was imported, and was to trigger no journey and no message
}

type againStep struct {
	number    int // in today's route, from 1
	to        onramp.Destination
	elsewhere bool // it has not gone there before
}

// pastStep is a delivery of a registration, of its acceptance or of a resend.
type pastStep struct {
	seq         int64
	destination int
	state       onramp.DeliveryState
	step, tries int
	resent      bool
}

func (a *again) route() (route []onramp.Destination) {
	for _, step := range a.sends {
		route = append(route, step.to)
	}
	return route
}

func (a *again) addTo(p *resend.Plan) {
	if a.leftOut != "" {
		p.LeftOut[a.leftOut]++
		return
	}
	if p.Count++; p.Count == 1 {
		p.From = a.received
	}
	p.To = a.received
	elsewhere := false
	for _, step := range a.sends {
		p.Destinations[step.to.Name()]++
		elsewhere = elsewhere || step.elsewhere
	}
	if elsewhere {
		p.Elsewhere++
	}
	if a.got > 0 {
		p.StepsLeftOut[resend.Got] += a.got
	}
	if a.skipped > 0 {
		p.StepsLeftOut[resend.Skipped] += a.skipped
	}
	for _, field := range a.gone {
		p.FieldsGone[field]++
	}
	p.DeadLetters += int64(len(a.dead))
}

// lookAgain looks at what a filter selects, portion by portion.
type lookAgain struct {
	s           *Store
	f           *resend.RegistrationFilter
	forms       map[string]*onramp.Form
	state       onramp.RegistrationState // 0: any
	destination int                      // 0: any
	where       chosen
}

func (s *Store) lookAgain(f *resend.RegistrationFilter, forms map[string]*onramp.Form) (l lookAgain, err error) {
	l = lookAgain{s: s, f: f, forms: forms}
	if f.State != "" {
		known := false
		if l.state, known = onramp.ParseRegistrationState(f.State); !known {
			return l, invalidState(f.State, onramp.RegistrationStates())
		}
	}
	if l.destination, err = s.names.named("destination", f.Destination); err != nil {
		return l, err
	}
	form, err := s.names.named("form", f.Form)
	if form != 0 {
		l.where.and(`r.form_id = ?`, form)
	}
	l.where.within("r.received_at", f.Since, f.Until)
	return l, err
}

// portion looks at the next registrations after a seq, and says how far it has come.
func (l *lookAgain) portion(query each, after, last int64) (found []*again, to int64, err error) {
	to = min(after+seqsInPortion, last)
	where := l.where.portion("r.seq", after+1, to+1)
	size := 0
	var all []*again
	err = query(`SELECT `+registrationColumns+` FROM registration r WHERE `+where.text+` ORDER BY r.seq LIMIT `+strconv.Itoa(registrationsInPortion), where.args,
		func(scan func(...any) error) error {
			a := &again{}
			err := scan(a.into()...)
			a.open(l.s)
			if size < pageBytes {
				all = append(all, a)
			}
			size += len(a.data)
			return err
		})
	if err != nil || len(all) == 0 {
		return nil, to, err
	}
	if len(all) == registrationsInPortion || size >= pageBytes {
		to = all[len(all)-1].seq
	}
	if err := l.readPast(query, all); err != nil {
		return nil, 0, err
	}
	if err := l.readImported(query, all); err != nil {
		return nil, 0, err
	}
	all = slices.DeleteFunc(all, func(a *again) bool { return !l.selects(a) })
	if len(all) == 0 {
		return nil, to, nil
	}
	newer, err := l.readNewer(query, all)
	for _, a := range all {
		if err == nil {
			err = l.judge(query, a, newer)
		}
	}
	return all, to, err
}

const (
	listPast = `SELECT registration_seq, seq, destination_id, state, step, tries, FALSE FROM delivery
		WHERE seq >= $1 AND seq < $2 AND event_seq IS NULL AND steps IS NULL ORDER BY seq`
	listPastResent = `SELECT registration_seq, seq, destination_id, state, step, tries, TRUE FROM delivery
		WHERE steps IS NOT NULL AND registration_seq >= $1 AND registration_seq <= $2 ORDER BY seq`
)

// readPast reads the deliveries of registrations.
func (l *lookAgain) readPast(query each, all []*again) error {
	bySeq := make(map[int64]*again, len(all))
	for _, a := range all {
		bySeq[a.seq] = a
		a.received = fromMicros(a.receivedAt)
	}
	take := func(scan func(...any) error) error {
		var registration int64
		var past pastStep
		err := scan(&registration, &past.seq, &past.destination, &past.state, &past.step, &past.tries, &past.resent)
		if a := bySeq[registration]; a != nil {
			a.past = append(a.past, past)
		}
		return err
	}
	first, last := all[0], all[len(all)-1]
	if err := query(listPast, []any{first.deliverySeq, last.deliverySeq + int64(last.steps)}, take); err != nil {
		return err
	}
	return query(listPastResent, []any{first.seq, last.seq}, take)
}

// readImported notes which of them were imported without journeys and messages, and when
// all that were imported happened.
func (l *lookAgain) readImported(query each, all []*again) error {
	bySeq := make(map[int64]*again, len(all))
	for _, a := range all {
		bySeq[a.seq] = a
	}
	return query(`SELECT registration_seq, original_at, silent FROM imported WHERE registration_seq >= $1 AND registration_seq <= $2`,
		[]any{all[0].seq, all[len(all)-1].seq}, func(scan func(...any) error) error {
			var seq, at int64
			var silent bool
			err := scan(&seq, &at, &silent)
			if a := bySeq[seq]; a != nil {
				a.received, a.silent = fromMicros(at), silent
			}
			return err
		})
}

// selects is what of a filter the query leaves to be looked at.
func (l *lookAgain) selects(a *again) bool {
	var first []onramp.Delivery
	for _, p := range a.past {
		if !p.resent {
			first = append(first, onramp.Delivery{State: p.state, Step: p.step, Tries: p.tries, DestinationID: p.destination})
		}
	}
	if l.f.ID != "" && l.f.ID != a.id || l.state != 0 && stateOf(first) != l.state {
		return false
	}
	return l.destination == 0 || slices.ContainsFunc(first, func(d onramp.Delivery) bool { return d.DestinationID == l.destination })
}

// isOnItsWay is true of deliveries that were made, that will be, or that may have been.
var isOnItsWay = numbered(`n.state IN ({{waiting}}, {{pending}}, {{held}}, {{delivered}}, {{unknown}})`)

var (
	// the newest registration of each key and destination, of those that person holds
	listNewer = `SELECT p.hash, n.destination_id, MAX(p.registration_seq) FROM person p JOIN registration r ON r.seq = p.registration_seq
		JOIN delivery n ON n.seq >= r.delivery_seq AND n.seq < r.delivery_seq + r.steps
		WHERE p.hash IN (SELECT d.ordering_key FROM delivery d WHERE d.seq >= $1 AND d.seq < $2 AND d.event_seq IS NULL AND d.steps IS NULL)
		AND p.registration_seq > $3 AND ` + isOnItsWay + ` GROUP BY p.hash, n.destination_id`
	listNewerResent = `SELECT p.hash, n.destination_id, MAX(p.registration_seq) FROM person p
		JOIN delivery n ON n.steps IS NOT NULL AND n.registration_seq = p.registration_seq
		WHERE p.hash IN (SELECT d.ordering_key FROM delivery d WHERE d.seq >= $1 AND d.seq < $2 AND d.event_seq IS NULL AND d.steps IS NULL)
		AND p.registration_seq > $3 AND ` + isOnItsWay + ` GROUP BY p.hash, n.destination_id`
	// and of those that were accepted since
	listNewest = `SELECT n.ordering_key, n.destination_id, MAX(n.registration_seq) FROM delivery n
		WHERE n.seq >= (SELECT MIN(delivery_seq) FROM registration WHERE seq > $1) AND n.event_seq IS NULL AND n.steps IS NULL
		AND ` + isOnItsWay + ` GROUP BY n.ordering_key, n.destination_id`
)

// readNewer finds the newest registration of each person and destination.
func (l *lookAgain) readNewer(query each, all []*again) (map[orderingKey]int64, error) {
	newer := map[orderingKey]int64{}
	if l.f.OverwriteNewer {
		return newer, nil
	}
	take := func(scan func(...any) error) error {
		var k orderingKey
		var seq int64
		err := scan(&k.key, &k.destination, &seq)
		newer[k] = max(newer[k], seq)
		return err
	}
	first, last := all[0], all[len(all)-1]
	between := []any{first.deliverySeq, last.deliverySeq + int64(last.steps), first.seq}
	if err := query(listNewer, between, take); err != nil {
		return nil, err
	}
	if err := query(listNewerResent, between, take); err != nil {
		return nil, err
	}
	var indexed int64
	err := query(`SELECT value FROM meta WHERE name = $1`, []any{personsTo}, func(scan func(...any) error) error {
		var value string
		err := scan(&value)
		indexed, _ = strconv.ParseInt(value, 10, 64) // never written: 0
		return err
	})
	if err != nil {
		return nil, err
	}
	return newer, query(listNewest, []any{indexed}, take)
}

// judge decides what becomes of a registration.
func (l *lookAgain) judge(query each, a *again, newer map[orderingKey]int64) error {
	form := l.forms[l.s.names.formName(a.form)]
	if a.leftOut = a.notNow(); a.leftOut != "" {
		return nil
	}
	switch {
	case form == nil:
		a.leftOut = resend.Unconfigured
		return nil
	case l.f.Step > len(form.Route):
		a.leftOut = resend.NoStep
		return nil
	}
	r := a.registration(l.s)
	for i, to := range form.Route {
		if l.f.Step != 0 && l.f.Step != i+1 {
			continue
		}
		if form.Skips(to.ID, &r) != "" {
			a.skipped++
			continue
		}
		overtaken, err := l.isOvertaken(query, a, form, to, newer)
		if overtaken || err != nil {
			a.sends, a.leftOut = nil, resend.Superseded
			return err
		}
		l.addStep(a, i+1, to)
	}
	if len(a.sends) == 0 {
		if a.leftOut = resend.Skipped; a.got > 0 {
			a.leftOut = resend.Got
		}
		return nil
	}
	_, gone, err := form.Columns(&r)
	for _, field := range gone {
		a.gone = append(a.gone, form.Name+"."+field)
	}
	return err
}

// notNow says why a registration can't be sent again at all, "" when it can, and
// collects its dead letters.
func (a *again) notNow() (leftOut string) {
	if a.lost != nil {
		return resend.Erased
	}
	for _, p := range a.past {
		switch p.state {
		case onramp.DeliveryErased:
			return resend.Erased
		case onramp.DeliveryWaiting, onramp.DeliveryPending, onramp.DeliveryHeld:
			leftOut = resend.Waiting
		case onramp.DeliveryDead:
			a.dead = append(a.dead, p.seq)
		}
	}
	return leftOut
}

// addStep adds a step of today's route, unless the person got it.
func (l *lookAgain) addStep(a *again, number int, to onramp.Destination) {
	been, got := false, false
	for _, p := range a.past {
		if p.destination == to.ID {
			been, got = true, got || p.state == onramp.DeliveryDelivered || p.state == onramp.DeliveryUnknown
		}
	}
	if (got || a.silent) && !l.f.RepeatJourneys && (to.Kind == onramp.Journey || to.Kind == onramp.Message) {
		a.got++
		return
	}
	a.sends = append(a.sends, againStep{number, to, !been})
}

// isOvertaken says whether a row would overwrite a newer one of its person: that of a
// newer registration, or a column that an event has set since.
func (l *lookAgain) isOvertaken(query each, a *again, form *onramp.Form, to onramp.Destination, newer map[orderingKey]int64) (bool, error) {
	if l.f.OverwriteNewer || !to.Upserts() {
		return false, nil
	}
	if newer[orderingKey{to.ID, l.s.hashing.orderingKey(a.subscriberKey)}] > a.seq {
		return true, nil
	}
	set, err := columnsSet(query, to.ID, l.s.hashing.digest(a.subscriberKey))
	for name, at := range set {
		sent := slices.ContainsFunc(form.Fields, func(f onramp.Field) bool { return strings.EqualFold(f.Column, name) })
		if sent && at.After(a.received) {
			return true, err
		}
	}
	return false, err
}
