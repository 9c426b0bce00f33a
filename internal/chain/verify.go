package chain

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"time"
)

// maxProblems bounds what a report lists.
const maxProblems = 100

// Problem is one thing that is wrong with a chain.
type Problem struct {
	Chain  int    `json:"chain"`
	Number int64  `json:"number"` // of the entry; 0: it concerns the chain as a whole
	Detail string `json:"detail"`
}

// Report is what a verification has found.
type Report struct {
	Log      Log       `json:"log"`
	Entries  int64     `json:"entries"`
	Erased   int64     `json:"erased"`           // entries whose personal part was erased
	Anchors  int       `json:"anchors"`          // signed heads that the chain agrees with
	Newest   time.Time `json:"newest,omitzero"`  // when the newest of these was made
	Unsigned bool      `json:"unsigned"`         // there is no key: neither the end of the chain nor its past is signed
	Problems []Problem `json:"problems"`         // the first hundred
	More     int64     `json:"more,omitempty"`   // problems that are not listed
	Advice   string    `json:"advice,omitempty"` // what to do about the problems
}

// Stored is what stands beside a chain: where it ends, and the guard of that.
type Stored struct {
	Head
	Guard string // "": it was written without a key
}

// Witness is what a chain is compared with.
type Witness struct {
	Anchors []Anchor // of any logs and chains: others are left out
	Keys    []Key    // that may have signed them, or the heads
}

// Verifier verifies the chains of a log, in the memory of one entry. Use Next for every entry in
// the order in which they were appended, then Report.
type Verifier struct {
	report Report
	chains map[int]*walked
	with   Witness
}

// walked is how far a chain was walked.
type walked struct {
	Head
	anchors []Anchor // still to come, by number
}

// NewVerifier begins a verification.
func NewVerifier(log Log, with Witness) *Verifier {
	v := &Verifier{report: Report{Log: log, Problems: []Problem{}, Unsigned: len(with.Keys) == 0}, chains: map[int]*walked{}, with: with}
	for i := range with.Anchors {
		a := with.Anchors[i]
		if a.Log != log {
			continue
		}
		if v.isGenuine(&a) {
			w := v.chain(a.Chain)
			w.anchors = append(w.anchors, a)
		}
	}
	for _, w := range v.chains {
		slices.SortStableFunc(w.anchors, func(a, b Anchor) int { return int(min(1, max(-1, a.Number-b.Number))) })
	}
	return v
}

func (v *Verifier) chain(id int) *walked {
	if v.chains[id] == nil {
		v.chains[id] = &walked{}
	}
	return v.chains[id]
}

func (v *Verifier) found(chain int, number int64, format string, args ...any) {
	if len(v.report.Problems) == maxProblems {
		v.report.More++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{chain, number, fmt.Sprintf(format, args...)})
}

// isGenuine checks the signature of an anchor.
func (v *Verifier) isGenuine(a *Anchor) bool {
	public := v.public(a.Key)
	switch {
	case public == nil:
		v.found(a.Chain, a.Number, "the anchor of %s was signed with a key that this database does not have", day(a.At))
	case !a.IsSignedBy(public):
		v.found(a.Chain, a.Number, "the signature of the anchor of %s is wrong: the anchor was changed", day(a.At))
	default:
		return true
	}
	return false
}

func (v *Verifier) public(id string) ed25519.PublicKey {
	for _, k := range v.with.Keys {
		if k.ID == id {
			return k.Public()
		}
	}
	return nil
}

// Next takes the next entry.
func (v *Verifier) Next(e *Entry) {
	w := v.chain(e.Chain)
	v.report.Entries++
	switch expected := w.Number + 1; {
	case e.Number > expected+1:
		v.found(e.Chain, expected, "entries %d to %d are missing", expected, e.Number-1)
	case e.Number > expected:
		v.found(e.Chain, expected, "entry %d is missing", expected)
	case e.Number < expected:
		v.found(e.Chain, e.Number, "this entry follows entry %d: it was added or moved", w.Number)
	case e.Sum(v.report.Log, w.Hash) != e.Hash:
		v.found(e.Chain, e.Number, "this entry was changed: its hash does not fit")
	}
	v.checkPersonal(e)
	w.Head = Head{max(e.Number, w.Number), e.Hash}
	v.passAnchors(e.Chain, w, e)
}

func (v *Verifier) checkPersonal(e *Entry) {
	switch {
	case e.Unreadable:
		v.found(e.Chain, e.Number, "the personal part of this entry can't be read: it was changed, or encrypted with another key")
	case e.Personal == "" && e.Commitment != "":
		v.report.Erased++
	case e.Personal != "" && Commit(e.Personal) != e.Commitment:
		v.found(e.Chain, e.Number, "the personal part of this entry was changed")
	}
}

// passAnchors compares the anchors of an entry, and of those that are missing before it.
func (v *Verifier) passAnchors(chain int, w *walked, e *Entry) {
	for len(w.anchors) > 0 && w.anchors[0].Number <= e.Number {
		a := w.anchors[0]
		w.anchors = w.anchors[1:]
		switch {
		case a.Number < e.Number:
			v.found(chain, a.Number, "the anchor of %s has signed this entry, which is missing", day(a.At))
		case a.Hash != e.Hash:
			v.found(chain, a.Number, "the anchor of %s has signed another hash: the chain up to here was rewritten", day(a.At))
		default:
			v.report.Anchors++
			if a.At.After(v.report.Newest) {
				v.report.Newest = a.At
			}
		}
	}
}

// Advice of a report with problems.
const advice = "keep the database as it is, and compare it with a backup; the newest anchor that fits says up to where nothing was changed"

// Report ends the verification: it compares the ends of the chains with what is stored of
// them, by chain, and with the anchors.
func (v *Verifier) Report(stored map[int]Stored) Report {
	ids := map[int]bool{}
	for id := range v.chains {
		ids[id] = true
	}
	for id := range stored {
		ids[id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		head, known := stored[id]
		v.checkEnd(id, v.chain(id), head, known)
	}
	if len(v.report.Problems) > 0 {
		v.report.Advice = advice
	}
	return v.report
}

func (v *Verifier) checkEnd(chain int, w *walked, stored Stored, known bool) {
	switch {
	case !known && w.Number == 0:
	case !known:
		v.found(chain, 0, "it is not known any more where this chain ends")
	case len(v.with.Keys) > 0 && !v.isGuarded(chain, stored):
		v.found(chain, 0, "what is stored of the end of this chain was changed")
	case stored.Number > w.Number:
		v.found(chain, w.Number+1, "the chain was cut: it ends with entry %d, and %d were written", w.Number, stored.Number)
	case stored.Number < w.Number:
		v.found(chain, stored.Number+1, "entries were added: %d were written, and the chain ends with entry %d", stored.Number, w.Number)
	case stored.Hash != w.Hash:
		v.found(chain, w.Number, "the last entry does not have the hash that was written")
	}
	for _, a := range w.anchors {
		v.found(chain, a.Number, "the chain was cut: the anchor of %s has signed this entry, and the chain ends with entry %d", day(a.At), w.Number)
	}
}

// isGuarded says whether one of the keys guards a head: the newest does, unless the chain has not
// grown since it was made.
func (v *Verifier) isGuarded(chain int, s Stored) bool {
	return slices.ContainsFunc(v.with.Keys, func(k Key) bool { return k.IsGuarded(v.report.Log, chain, s.Head, s.Guard) })
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
