package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
	"onramp/sfmc"
)

const (
	hintObject  = "compare the key in the configuration with Marketing Cloud, and see that the journey or definition is active; what waits goes out by itself" + SeeCheck + "data-extension,event-definition,message"
	hintColumns = "compare the form's columns with the data extension's; what waits goes out by itself" + SeeCheck + "data-extension"
)

// concernsAll says that a refusal is not for what was sent: it would be the same for
// every delivery to the destination.
func concernsAll(e *sfmc.Error) bool {
	if e.Op == sfmc.OpAsyncStatus || e.Op == sfmc.OpAsyncResults {
		return false // it is about a request whose rows may be stored
	}
	messages := append(texts(e.Additional), e.Message)
	switch e.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return true // address, method and type are always the same
	}
	switch {
	case e.Code == sfmc.CodeNotFound && e.Status >= 400, e.CodeText == sfmc.CodeTextNoDataExtension, e.Code == sfmc.CodeUnknownDefinition:
		return true
	case e.Code == sfmc.CodeInvalidOperation, e.Code == sfmc.CodeInvalidState:
		return !isOfRows(e.Op) // the journey, or the definition, is not in a state in which it takes anybody
	case e.Code == sfmc.CodeInvalidType:
		return sayBadAddress.in(messages...)
	}
	return sayNoPrimaryKey.in(messages...) || sayNoEventDefinition.in(messages...) || sayNoEventKey.in(messages...)
}

func isOfRows(op string) bool {
	return op == sfmc.OpUpsertRows || op == sfmc.OpUpsertRowsAsync || op == sfmc.OpInsertRowsAsync
}

// columns are the names that a delivery sends, in lower case: Marketing Cloud does
// not distinguish case in them.
type columns map[string]bool

func columnsOf(to onramp.Destination, d *onramp.Delivery) columns {
	var values map[string]json.RawMessage
	_ = json.Unmarshal(d.Values, &values) // they are an object, or the call would not have been made
	c := columns{}
	for name := range values {
		c[strings.ToLower(name)] = true
	}
	for _, column := range to.KeyColumns {
		c[strings.ToLower(column)] = true
	}
	return c
}

// blame tells refusals for columns from those for values. A row is refused for its
// columns when it sends one that there is not, or leaves one out that there must be.
// That a column is left out may be the form's fault, which has no such column, or the
// person's, who has left an optional field empty: it is the person's if others of the
// same form in the same call have sent it.
type blame struct {
	call   onramp.Call
	byForm map[string]columns // of all that the call sends for a form; made when it is needed
}

// ofForm tells apart what has its own columns: a form, and the rules of a form.
func ofForm(d *onramp.Delivery) string {
	if d.Event != nil {
		return d.Form + " by a rule"
	}
	return d.Form
}

func (b *blame) columnsOfForm(d *onramp.Delivery) columns {
	if b.byForm == nil {
		b.byForm = map[string]columns{}
		for i := range b.call.Deliveries {
			one := &b.call.Deliveries[i]
			if b.byForm[ofForm(one)] == nil {
				b.byForm[ofForm(one)] = columns{}
			}
			maps.Copy(b.byForm[ofForm(one)], columnsOf(b.call.Destination, one))
		}
	}
	return b.byForm[ofForm(d)]
}

// columns makes a block of a delivery's rejection if it is for its columns. alone
// says that the complaints can't be about others with other columns.
func (b *blame) columns(o *onramp.Outcome, complaints []sfmc.Detail, d *onramp.Delivery, alone bool) {
	if o.Verdict != onramp.Rejected {
		return
	}
	sent := columnsOf(b.call.Destination, d)
	for _, c := range complaints {
		if !alone && sayNoKnownColumn.in(c.Message) {
			continue
		}
		if sent.refusedBy(c, b.columnsOfForm(d), max(len(b.call.Destination.KeyColumns), 1)) {
			o.Verdict, o.Columns = onramp.Blocked, true
			switch names := missing(c); {
			case sayNull.in(c.Message) && len(names) > 0:
				o.Hint = "operator: add a field or a constant for the column " + names[0] + " to the form: " + b.call.Destination.Key + " requires it; what waits goes out by itself" + SeeCheck + "data-extension"
			case o.Hint == hintData:
				o.Hint = hintColumns
			}
			return
		}
	}
}

// refusedBy says whether a complaint is about the columns that a delivery has sent;
// ofForm are those that its call has sent for its form, keys how many are the key's.
func (sent columns) refusedBy(c sfmc.Detail, ofForm columns, keys int) bool {
	switch {
	case sayNoKnownColumn.in(c.Message):
		return len(sent) > keys
	case sayNull.in(c.Message), sayNoField.in(c.Message):
		return slices.ContainsFunc(missing(c), func(name string) bool { return !ofForm[name] })
	case c.Code == sfmc.CodeUnknownField:
		return true
	case sayUnknown.in(c.Message), sayInvalidColumn.in(c.Message):
		if sent[strings.ToLower(c.Name)] {
			return true
		}
		for name := range sent {
			if mentions(c.Message, name) {
				return true
			}
		}
	}
	return false
}

// missing are the columns that a complaint says have no value, in lower case.
func missing(c sfmc.Detail) []string {
	if c.Name != "" {
		return []string{strings.ToLower(c.Name)}
	}
	if _, list, found := strings.Cut(c.Message, sayNoField.text); found {
		names := strings.Split(strings.ToLower(list), ",")
		for i := range names {
			names[i] = strings.Trim(names[i], " .[]")
		}
		return names
	}
	_, rest, _ := strings.Cut(c.Message, "Column [")
	name, _, found := strings.Cut(rest, "]")
	if !found {
		return nil
	}
	return []string{strings.ToLower(name)}
}

// mentions says whether a text has a name in it, as a word or words of its own.
func mentions(text, name string) bool {
	inWord := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	for text = strings.ToLower(text); ; {
		before, after, found := strings.Cut(text, name)
		if !found {
			return false
		}
		last, _ := utf8.DecodeLastRuneInString(before)
		next, _ := utf8.DecodeRuneInString(after)
		if !inWord(last) && !inWord(next) {
			return true
		}
		text = after
	}
}

// refused gives the outcomes of deliveries whose call has failed as a whole, and the
// places of those that may be good.
func (b *blame) refused(err error, deliveries []onramp.Delivery, out *outgoing) (outcomes []onramp.Outcome, suspects []int) {
	o := judge(err, b.call.Destination, out.sent(err))
	outcomes = attempt.Alike(len(deliveries), o)
	if !isAboutSome(err) {
		return out.note(outcomes), nil
	}
	var complaints []sfmc.Detail
	if e, ok := errors.AsType[*sfmc.Error](err); ok {
		complaints = append(slices.Clone(e.Additional), sfmc.Detail{Code: e.Code, Message: e.Message})
	}
	alone := b.alike(deliveries)
	for i := range deliveries {
		b.columns(&outcomes[i], complaints, &deliveries[i], alone)
		if !outcomes[i].Columns {
			suspects = append(suspects, i)
		}
	}
	return out.note(outcomes), suspects
}

// alike says whether deliveries send the same columns.
func (b *blame) alike(deliveries []onramp.Delivery) bool {
	first := columnsOf(b.call.Destination, &deliveries[0])
	return !slices.ContainsFunc(deliveries[1:], func(d onramp.Delivery) bool {
		return !maps.Equal(first, columnsOf(b.call.Destination, &d))
	})
}

// renewal drops the token now and then while calls are refused for want of a scope: a
// token keeps the scopes that the package had when it was given out, and would hide a
// mend until it expires.
type renewal struct {
	tokens tokenSource
	mu     sync.Mutex
	last   time.Time
}

const renewEvery = 2 * time.Minute

func (r *renewal) after(ctx context.Context, outcomes []onramp.Outcome) {
	lacksScope := func(o onramp.Outcome) bool { return o.Verdict == onramp.Blocked && o.Status == http.StatusForbidden }
	if !slices.ContainsFunc(outcomes, lacksScope) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.last) < renewEvery {
		return
	}
	r.last = now
	if token, err := r.tokens.Token(ctx); err == nil {
		r.tokens.Invalidate(token.AccessToken.Reveal())
	}
}
