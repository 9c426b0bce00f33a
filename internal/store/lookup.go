package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store/eventtail"
)

// Registrations are found by a whole address or subscriber key in look_up, which holds keyed
// hashes of these: of the subscriber key, and of every value that is an address, whatever its
// field is called. Like the index of events it is filled in large sorted parts, a little
// after the registrations, so that none of them pays for a page; what it lacks is in memory,
// or, from before the start, read through.

const lookUpTo = "look_up_to" // the registrations up to here are in look_up

// lookUpHashes are those by which a registration is found.
func (h hashing) lookUpHashes(subscriberKey string, values json.RawMessage) []int64 {
	hashes := append(make([]int64, 0, 2), h.lookUp(subscriberKey))
	for text := range addressesIn(values) {
		if hash := h.lookUp(text); !slices.Contains(hashes, hash) {
			hashes = append(hashes, hash)
		}
	}
	return hashes
}

// addressesIn are the addresses in valid JSON. It reads no more of it than where texts begin
// and end: it is done with each registration.
func addressesIn(values []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			begin := bytes.IndexByte(values, '"')
			if begin < 0 {
				return
			}
			end, escaped := begin+1, false
			for end < len(values) && values[end] != '"' {
				if values[end] == '\\' {
					end, escaped = end+1, true
				}
				end++
			}
			if end >= len(values) {
				return
			}
			text := string(values[begin+1 : end])
			if escaped {
				_ = json.Unmarshal(values[begin:end+1], &text)
			}
			if isAddress(text) && !yield(text) {
				return
			}
			values = values[end+1:]
		}
	}
}

// isAddress says whether a text may be a whole e-mail address.
func isAddress(text string) bool {
	at := strings.LastIndexByte(text, '@')
	return at > 0 && at < len(text)-1 && len(text) <= 320 && !strings.ContainsAny(text, " \t\r\n")
}

// lookUpMarks are what registrations that are not indexed yet are found by in memory.
func lookUpMarks(keys []lookUpKey) []eventtail.Event {
	marks := make([]eventtail.Event, len(keys))
	for i, k := range keys {
		marks[i] = eventtail.Event{Seq: k.registration, Person: k.hash}
	}
	return marks
}

// findLookUps lists the seqs of registrations that may be those of an address or subscriber
// key, the newest first: at most so many below a seq.
func (s *Store) findLookUps(ctx context.Context, text string, below int64, most int) ([]int64, error) {
	hash := s.hashing.lookUp(text)
	fresh, from := s.lookUps.Find(hash)
	mark, err := s.lookedUpTo(ctx)
	if err != nil {
		return nil, err
	}
	older, err := s.scanLookUps(ctx, hash, mark, from-1)
	if err != nil {
		return nil, err
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT registration_seq FROM look_up WHERE hash = $1 AND registration_seq < $2
		ORDER BY registration_seq DESC LIMIT $3 + 0`, hash, below, most)
	found, err := collect(rows, err, scanSeq)
	if err != nil {
		return nil, readerErr("look up registrations", err)
	}
	for _, seq := range append(fresh, older...) {
		if seq < below {
			found = append(found, seq)
		}
	}
	slices.SortFunc(found, func(a, b int64) int { return cmp.Compare(b, a) })
	found = slices.Compact(found)
	return found[:min(len(found), most)], nil
}

func (s *Store) lookedUpTo(ctx context.Context) (int64, error) {
	value, err := findMeta(ctx, s.readers, lookUpTo)
	mark, _ := strconv.ParseInt(value, 10, 64) // never written: 0
	return mark, readerErr("find the mark of the index", err)
}

// scanLookUps reads the registrations through that are neither in the index nor in memory.
func (s *Store) scanLookUps(ctx context.Context, hash, after, to int64) (found []int64, err error) {
	for begun := time.Now(); after < to; {
		if time.Since(begun) > scanFor {
			return nil, &onramp.Error{
				Kind: onramp.Unavailable, RetryAfter: 5 * time.Second,
				Message: "registrations from before the start are still being indexed; please try again in a few seconds",
			}
		}
		var keys []lookUpKey
		if keys, after, err = s.listLookUps(ctx, after, to, scanTogether/10); err != nil {
			return nil, err
		}
		for _, k := range keys {
			if k.hash == hash {
				found = append(found, k.registration)
			}
		}
	}
	return found, nil
}

// lookUpKey is one way to find a registration.
type lookUpKey struct{ hash, registration int64 }

// listLookUps reads by what registrations after a seq are found, and says how far it has come.
func (s *Store) listLookUps(ctx context.Context, after, to int64, most int) (keys []lookUpKey, reached int64, err error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT `+registrationColumns+` FROM registration r WHERE r.seq > $1 AND r.seq <= $2 ORDER BY r.seq LIMIT $3 + 0`, after, to, most)
	found, more, err := collectPage(rows, err, func(rows *sql.Rows) (row registrationRow, err error) {
		err = rows.Scan(row.into()...)
		row.open(s)
		return row, err
	}, func(row *registrationRow) int { return len(row.data) })
	if err != nil {
		return nil, 0, readerErr("list registrations for the index", err)
	}
	for i := range found {
		if row := &found[i]; row.lost == nil {
			for _, hash := range s.hashing.lookUpHashes(row.subscriberKey, valuesOf(row.data, row.byField)) {
				keys = append(keys, lookUpKey{hash, row.seq})
			}
		}
	}
	if more || len(found) == most {
		to = found[len(found)-1].seq
	}
	return keys, to, nil
}

// indexLookUps brings look_up up to the newest registration.
func (s *Store) indexLookUps(ctx context.Context) error {
	for ctx.Err() == nil {
		mark, err := s.lookedUpTo(ctx)
		newest := s.newestLookUp()
		if err != nil || mark >= newest {
			return err
		}
		keys, to := s.rememberedLookUps(mark, newest)
		if to == 0 {
			if keys, to, err = s.listLookUps(ctx, mark, newest, indexTogether); err != nil {
				return err
			}
		}
		slices.SortFunc(keys, func(a, b lookUpKey) int {
			return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.registration, b.registration))
		})
		if err := s.saveLookUps(ctx, keys, to); err != nil {
			return err
		}
		s.lookUps.DropTo(to)
	}
	return context.Cause(ctx)
}

// saveLookUps inserts keys in their order, and then moves the mark. After a crash in between
// they are inserted again, which changes nothing.
func (s *Store) saveLookUps(ctx context.Context, keys []lookUpKey, to int64) error {
	values := make([]any, 0, 2*indexSlice)
	for slice := range slices.Chunk(keys, indexSlice) {
		values = values[:0]
		for _, k := range slice {
			values = append(values, k.hash, k.registration)
		}
		err := s.writer.write(ctx, &op{rows: len(slice) / 4, run: func(t *tx) error { return t.insert(t.store.writer.lookUps, values) }})
		if err != nil {
			return err
		}
	}
	return s.writer.write(ctx, &op{run: func(t *tx) error { return t.exec(saveMeta, lookUpTo, strconv.FormatInt(to, 10)) }})
}

func newLookUpInsertion(d dialect) insertion {
	return newInsertion(d, `INSERT INTO look_up (hash, registration_seq)`, 2, "ON CONFLICT DO NOTHING")
}

// beginLookUps has what comes after a seq be remembered.
func (s *Store) beginLookUps(after int64) {
	s.lookUps.Begin(after + 1)
	s.registrationsCame(nil, after)
}

// registrationsCame has the index know of registrations that are on disk.
func (s *Store) registrationsCame(keys []lookUpKey, newest int64) {
	s.lookUps.Add(lookUpMarks(keys))
	s.mu.Lock()
	if len(s.remembered) < 4*indexTogether { // beyond that the index reads them from the table
		s.remembered = append(s.remembered, keys...)
	}
	s.lastLookUp = max(s.lastLookUp, newest)
	s.mu.Unlock()
	signal(s.unlooked)
}

// rememberedLookUps takes from memory by what all registrations between two seqs are found; to is
// 0 when it does not have them.
func (s *Store) rememberedLookUps(after, newest int64) (keys []lookUpKey, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, s.remembered = s.remembered, nil
	keys = slices.DeleteFunc(keys, func(k lookUpKey) bool { return k.registration <= after })
	// each registration has a key, and their seqs have no gaps
	if len(keys) == 0 || keys[0].registration != after+1 || keys[len(keys)-1].registration < newest {
		return nil, 0
	}
	return keys, keys[len(keys)-1].registration
}

func (s *Store) newestLookUp() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastLookUp
}

// indexLookUpsWhenIdle does so in the background until ctx ends: when no registrations come, or
// when many have.
func (s *Store) indexLookUpsWhenIdle(ctx context.Context) {
	begun := s.newestLookUp()
	for ctx.Err() == nil {
		select {
		case <-s.unlooked:
		case <-ctx.Done():
			return
		}
		for waiting := true; waiting; {
			select {
			case <-s.unlooked:
				waiting = s.newestLookUp()-begun < indexTogether
			case <-time.After(indexIdle):
				waiting = false
			case <-ctx.Done():
				return
			}
		}
		begun = s.newestLookUp()
		if err := s.indexLookUps(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the index of registrations is behind; it is tried again with the next one", "err", err)
		}
	}
}

// isOf says whether a registration is that of an address or a subscriber key: the index has
// only hashes, and a registration can have been edited since.
func (r *registrationRow) isOf(text string) bool {
	if onramp.SamePerson(r.subscriberKey, text) {
		return true
	}
	for address := range addressesIn(valuesOf(r.data, r.byField)) {
		if onramp.SamePerson(address, text) {
			return true
		}
	}
	return false
}

// findOf reads the registrations of an address or a subscriber key below a seq, of the next so
// many, as far as a condition lets them through. reached is how far down it has looked: 1 at the
// end.
func (s *Store) findOf(ctx context.Context, text string, where chosen, below int64, most int) (found []registrationRow, reached int64, err error) {
	seqs, err := s.findLookUps(ctx, text, below, most)
	if err != nil || len(seqs) == 0 {
		return nil, 1, err
	}
	reached = 1
	if len(seqs) == most {
		reached = seqs[len(seqs)-1]
	}
	where = where.portion("r.seq", reached, below)
	found, more, err := s.pageRegistrations(ctx, where.text+` AND r.seq IN (`+numberList(seqs)+`) ORDER BY r.seq DESC`, where.args)
	if more {
		reached = found[len(found)-1].seq
	}
	return slices.DeleteFunc(found, func(r registrationRow) bool { return r.lost != nil || !r.isOf(text) }), reached, err
}

// lookUpTogether is how many registrations of one person are read at a time.
const lookUpTogether = 500

// RegistrationsOf returns the registrations of a person, the newest first, by an address or a
// subscriber key, in any case, with their states and without their deliveries: at most 500 below
// a seq, and the seq to go on below; 0 at the end. One that was erased is not found any more.
func (s *Store) RegistrationsOf(ctx context.Context, emailOrKey string, below int64) (found []onramp.Registration, next int64, err error) {
	rows, reached, err := s.findOf(ctx, emailOrKey, chosen{}, below, lookUpTogether)
	if err != nil {
		return nil, 0, readerErr("find registrations of a person", err)
	}
	found, err = s.withStates(ctx, rows)
	if reached > 1 {
		next = reached
	}
	return found, next, readerErr("find registrations of a person", err)
}

// isWhole says whether what a list is asked for is a whole address, or the subscriber key of
// somebody: then the index answers, instead of a look at all registrations.
// While the index is far behind, as after an upgrade, it doesn't answer.
func (s *Store) isWhole(ctx context.Context, query string) (bool, error) {
	if query == "" {
		return false, nil
	}
	mark, err := s.lookedUpTo(ctx)
	if _, from := s.lookUps.Find(0); err != nil || from-1-mark > scanTogether {
		return false, err
	}
	if isAddress(query) {
		return true, nil
	}
	found, _, err := s.findOf(ctx, query, chosen{}, 1<<63-1, 20)
	return slices.ContainsFunc(found, func(r registrationRow) bool { return onramp.SamePerson(r.subscriberKey, query) }), err
}
