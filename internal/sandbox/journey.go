package sandbox

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// Contact is one entry of a contact into a journey.
type Contact struct {
	ContactKey      string    `json:"contact_key"`
	EventInstanceID string    `json:"event_instance_id"` // what the call answered
	At              time.Time `json:"at"`                // on the sandbox's clock
	// Data is what the event carried, under the columns' exact names and with
	// the primary key filled in.
	Data map[string]any `json:"data"`
}

// eventFault is one of the documented failure classes of POST
// /interaction/v1/events.
type eventFault int

const (
	eventBadJSON eventFault = iota
	eventMissingParameter
	eventWrongType
	eventKeyHasPeriod
	eventUnknownDefinition
	eventNotRunning
	eventUnknownField
	eventMissingField
	eventBadValue
	eventTooMany
)

// eventError is the table of the 400s of that route and of its twin for many.
// Vendor page postEvent names the classes; undocumented: their codes and words.
// about is what the message is about: a parameter, a field, a key, or for
// eventBadValue the column's complaint.
func eventError(fault eventFault, about string) *wire.Error {
	row := func(code int, format string) *wire.Error {
		return wire.Failuref(http.StatusBadRequest, code, "%s", strings.ReplaceAll(format, "{}", about))
	}
	switch fault {
	case eventMissingParameter:
		return row(wire.CodeMissingField, "The parameter {} is required.")
	case eventWrongType:
		return row(wire.CodeInvalidType, "The parameter {} is not of the expected type.")
	case eventKeyHasPeriod:
		return row(wire.CodeIncorrectFormat, "The event definition key {} must not contain a period.")
	case eventUnknownDefinition:
		return row(wire.CodeNotFound, "Event Definition not found: {}")
	case eventUnknownField:
		return row(wire.CodeInvalidValue, "The field {} does not exist in the data extension of the event definition.")
	case eventNotRunning:
		return row(wire.CodeInvalidOperation, "The journey of the event definition {} is not published.")
	case eventMissingField:
		// The vendor's guide to the Interaction API shows this answer.
		e := row(wire.CodeAggregate, "Event Data contains errors:")
		e.Validation = []wire.Error{*row(wire.CodeGeneric, "Required Event Data fields are missing: "+strings.ToLower(about))}
		return e
	case eventBadValue:
		return row(wire.CodeInvalidType, "{}")
	case eventTooMany:
		// Vendor page enterContactsIntoJourneyInBatches names code and error;
		// undocumented: the sentence's end.
		return row(wire.CodeGeneric, "Interaction Count Limit Exceeded: a request has at most 100 members.")
	default: // eventBadJSON
		return wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
}

// member is what one event says about one contact. Its texts are parts of the
// body.
type member struct {
	contactKey table.Value
	data       string       // as it was written; "" when it was not sent
	columns    *table.Table // that the data was read for
}

// read reads the value of a name. Clients send the names in any case.
func (m *member) read(p *table.Scanner, name string) {
	switch {
	case strings.EqualFold(name, "ContactKey"):
		m.contactKey = p.Value()
	case strings.EqualFold(name, "Data"):
		m.data = p.Raw()
	default:
		p.Value() // EstablishContactKey, in old samples, is accepted and ignored
	}
}

// fireEvent answers POST /interaction/v1/events, vendor page postEvent: it
// writes the row of the event's data extension and enters the contact.
func (s *Sandbox) fireEvent(c *wire.Call) (wire.Answer, error) {
	p := table.NewScanner(string(c.Body))
	var m member
	var eventKey table.Value
	for more := p.Enter('{'); more; more = p.More('{') {
		if name := p.Name(); strings.EqualFold(name, "EventDefinitionKey") {
			eventKey = p.Value()
		} else {
			m.read(p, name)
		}
	}
	if !p.Done() {
		return wire.Answer{}, eventError(eventBadJSON, "")
	}
	if err := requireText("ContactKey", m.contactKey); err != nil {
		return wire.Answer{}, err
	}
	j, d, err := s.journey(c, "EventDefinitionKey", eventKey)
	if err != nil {
		return wire.Answer{}, err
	}
	id := wire.RandomGUID()
	m.columns = d
	r, err := readEvent(m, id)
	if err != nil {
		return wire.Answer{}, err
	}
	now := s.lock()
	s.enter(j, m, id, now, &r)
	s.mu.Unlock()
	return wire.JSON(http.StatusCreated, map[string]string{"eventInstanceId": id.String()}), nil
}

// journey finds the journey of an event definition key that was sent as the
// parameter, and the columns of its data extension at this moment. Undocumented: that an
// event definition which no journey uses refuses events.
func (s *Sandbox) journey(c *wire.Call, parameter string, eventKey table.Value) (*account.Journey, *table.Table, error) {
	if err := requireText(parameter, eventKey); err != nil {
		return nil, nil, err
	}
	if strings.Contains(eventKey.Text, ".") {
		return nil, nil, eventError(eventKeyHasPeriod, eventKey.Text)
	}
	s.lock()
	defer s.mu.Unlock()
	j := s.world.unit(c).Journeys[eventKey.Text]
	if j == nil {
		return nil, nil, eventError(eventUnknownDefinition, eventKey.Text)
	}
	if !j.TakesEvents() {
		return nil, nil, eventError(eventNotRunning, eventKey.Text)
	}
	return j, j.Extension.Table, nil
}

// requireText refuses a parameter that is not a string with something in it.
func requireText(name string, v table.Value) error {
	switch {
	case v.Empty(), v.Kind == table.KindText && v.Text == "":
		return eventError(eventMissingParameter, name)
	case v.Kind != table.KindText:
		return eventError(eventWrongType, name)
	}
	return nil
}

// readEvent finds and checks the columns of an event's data, which is stricter
// than a rowset: unknown fields are refused, and required ones must be there
// even when the row exists (vendor page how-to-fire-an-event). The primary key
// alone may be missing: the contact key stands in for it.
func readEvent(m member, id wire.GUID) (table.SentRow, error) {
	d := m.columns
	p := d.Reader(m.data)
	r := p.Row()
	if m.data != "" {
		p.FlatRow(&r)
	}
	unknown, hasUnknown := p.Unknown()
	switch {
	case p.Failed() || p.Deep:
		return table.SentRow{}, eventError(eventWrongType, "Data")
	case p.Twice:
		return table.SentRow{}, eventError(eventBadJSON, "")
	case hasUnknown:
		return table.SentRow{}, eventError(eventUnknownField, unknown)
	}
	// "eventInstanceId" is reserved: the value sent is dropped, and a column of
	// that name gets the id of the event (vendor page postEvent).
	if i, ok := d.Column(table.ReservedField); ok {
		r.Cells[i] = table.Value{Kind: table.KindText, Text: id.String()}
	}
	if len(d.Primary) == 1 && r.Cells[d.Primary[0]].Text == "" {
		r.Cells[d.Primary[0]] = m.contactKey
	}
	for i := range d.Columns {
		if err := checkEventCell(d, i, &r.Cells[i]); err != nil {
			return table.SentRow{}, err
		}
	}
	r.Identity = d.Identity(r.Cells)
	return r, nil
}

// checkEventCell checks the value of an event's data for column i. It turns null
// into no value: null counts as not sent.
func checkEventCell(d *table.Table, i int, v *table.Value) error {
	c := &d.Columns[i]
	if v.Kind == table.KindNull {
		*v = table.Value{}
	}
	if v.Empty() && !c.Nullable && !d.Defaulted(i) || c.PrimaryKey && v.Text == "" {
		return eventError(eventMissingField, c.Name)
	}
	if v.Empty() {
		return nil
	}
	if what := c.Check(*v); what != "" {
		return eventError(eventBadValue, c.Problem(what))
	}
	return nil
}

// enter saves the row of an accepted event and lets its contact enter, who then gets the journey's mail. It needs the sandbox's mutex.
func (s *Sandbox) enter(j *account.Journey, m member, id wire.GUID, at time.Time, r *table.SentRow) {
	if j.Extension.Table != m.columns {
		*r = j.Extension.Moved(m.columns, *r)
	}
	j.Enter(m.contactKey.Text, id, at, r)
	entry := j.Entries[len(j.Entries)-1]
	s.world.account.Establish(entry.ContactKey, mailTo(entry), at)
	s.ens.Mailed(at, func() (ens.Mail, bool) { return journeyMail(j, entry, len(j.Entries)) })
}

// viewEntry is an entry as a State shows it.
func viewEntry(e account.Entry) Contact {
	return Contact{ContactKey: e.ContactKey, EventInstanceID: e.ID.String(), At: e.At, Data: e.Table.AsMap(e.Data)}
}

// maxMembers is the most contacts in one call. Vendor page
// enterContactsIntoJourneyInBatches.
const maxMembers = 100

// memberResult is what became of one member of a batch: it has an errorcode and
// a message only when it was not queued. Undocumented: then it has no
// eventInstanceId.
type memberResult struct {
	ContactKey      string `json:"contactKey"`
	EventInstanceID string `json:"eventInstanceId,omitempty"`
	Errorcode       int    `json:"errorcode,omitempty"`
	Message         string `json:"message,omitempty"`
}

// readMembers reads the body of a batch of events. It is not ok when that is no
// JSON object.
func readMembers(body string) (eventKey table.Value, members []member, ok bool) {
	p := table.NewScanner(body)
	for more := p.Enter('{'); more; more = p.More('{') {
		switch name := p.Name(); {
		case strings.EqualFold(name, "eventDefinitionKey"):
			eventKey = p.Value()
		case strings.EqualFold(name, "members") && p.Peek() == '[':
			members = nil
			for more := p.Enter('['); more; more = p.More('[') {
				var m member
				for more := p.Enter('{'); more; more = p.More('{') {
					m.read(p, p.Name())
				}
				members = append(members, m)
			}
		default:
			p.Value()
		}
	}
	return eventKey, members, p.Done()
}

// fireEvents answers POST /interaction/v1/async/events, vendor page
// enterContactsIntoJourneyInBatches: every good member enters, whatever the
// others are. Undocumented: the status; third parties report 202. The vendor
// enters the contacts a little later; the sandbox does it at once.
func (s *Sandbox) fireEvents(c *wire.Call) (wire.Answer, error) {
	eventKey, members, ok := readMembers(string(c.Body))
	if !ok {
		return wire.Answer{}, eventError(eventBadJSON, "")
	}
	j, d, err := s.journey(c, "eventDefinitionKey", eventKey)
	if err != nil {
		return wire.Answer{}, err
	}
	if len(members) == 0 {
		return wire.Answer{}, eventError(eventMissingParameter, "members")
	}
	if len(members) > maxMembers {
		return wire.Answer{}, eventError(eventTooMany, "")
	}
	results := make([]memberResult, len(members))
	ids := make([]wire.GUID, len(members))
	rows := make([]table.SentRow, len(members))
	for i := range members {
		members[i].columns = d
		m := members[i]
		if m.contactKey.Kind == table.KindText {
			results[i].ContactKey = m.contactKey.Text
		}
		ids[i] = wire.RandomGUID()
		err := requireText("contactKey", m.contactKey)
		if err == nil {
			rows[i], err = readEvent(m, ids[i])
		}
		if e, ok := errors.AsType[*wire.Error](err); ok {
			if len(e.Validation) > 0 { // undocumented: a member has room for one
				e = &e.Validation[0]
			}
			results[i].Errorcode, results[i].Message = *e.Code, e.Message
		}
	}
	failed := 0
	now := s.lock()
	faults := s.world.late(c, now, FaultMemberError, FaultNotQueued)
	for i, m := range members {
		if results[i].Errorcode == 0 {
			if f := faults.strike(rows[i].Cells, m.contactKey); f != nil {
				results[i].Errorcode, results[i].Message = f.memberError()
			} else {
				results[i].EventInstanceID = ids[i].String()
				s.enter(j, m, ids[i], now, &rows[i])
				continue
			}
		}
		failed++
	}
	s.mu.Unlock()
	return wire.JSON(http.StatusAccepted, map[string]any{
		"requestId": wire.NewGUID(), "count": len(members), "notQueuedCount": failed, "members": results,
	}), nil
}
