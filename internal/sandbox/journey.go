package sandbox

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/wire"
)

// journey is a running journey with the API event that it listens to. The
// sandbox's mutex guards it.
type journey struct {
	eventKey  string
	extension *dataExtension
	entries   []entry // oldest first; they do not change
}

// entry is a contact in a journey, in little memory.
type entry struct {
	contactKey string
	id         wire.GUID
	at         time.Time
	data       row // of the journey's data extension, without defaults
}

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
	case eventMissingField:
		return row(wire.CodeMissingField, "The field {} is required by the data extension of the event definition.")
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
	contactKey value
	data       string // as it was written; "" when it was not sent
}

// read reads the value of a name. Clients send the names in any case.
func (m *member) read(p *scanner, name string) {
	switch {
	case strings.EqualFold(name, "ContactKey"):
		m.contactKey = p.value()
	case strings.EqualFold(name, "Data"):
		m.data = p.raw()
	default:
		p.value() // EstablishContactKey, in old samples, is accepted and ignored
	}
}

// fireEvent answers POST /interaction/v1/events, vendor page postEvent: it
// writes the row of the event's data extension and enters the contact.
func (s *Sandbox) fireEvent(c *wire.Call) (wire.Answer, error) {
	p := scanner{text: string(c.Body)}
	var m member
	var eventKey value
	for more := p.enter('{'); more; more = p.more('{') {
		if name := p.name(); strings.EqualFold(name, "EventDefinitionKey") {
			eventKey = p.value()
		} else {
			m.read(&p, name)
		}
	}
	if !p.done() {
		return wire.Answer{}, eventError(eventBadJSON, "")
	}
	if err := requireText("ContactKey", m.contactKey); err != nil {
		return wire.Answer{}, err
	}
	j, err := s.journey("EventDefinitionKey", eventKey)
	if err != nil {
		return wire.Answer{}, err
	}
	id := wire.RandomGUID()
	r, err := j.extension.readEvent(m, id)
	if err != nil {
		return wire.Answer{}, err
	}
	now := s.lock()
	s.enter(j, m, id, now, &r)
	s.mu.Unlock()
	return wire.JSON(http.StatusCreated, map[string]string{"eventInstanceId": id.String()}), nil
}

// journey finds the journey of an event definition key that was sent as the
// parameter.
func (s *Sandbox) journey(parameter string, eventKey value) (*journey, error) {
	if err := requireText(parameter, eventKey); err != nil {
		return nil, err
	}
	if strings.Contains(eventKey.text, ".") {
		return nil, eventError(eventKeyHasPeriod, eventKey.text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.world.journeys[eventKey.text]
	if j == nil {
		return nil, eventError(eventUnknownDefinition, eventKey.text)
	}
	return j, nil
}

// requireText refuses a parameter that is not a string with something in it.
func requireText(name string, v value) error {
	switch {
	case v.empty(), v.kind == kindText && v.text == "":
		return eventError(eventMissingParameter, name)
	case v.kind != kindText:
		return eventError(eventWrongType, name)
	}
	return nil
}

// readEvent finds and checks the columns of an event's data, which is stricter
// than a rowset: unknown fields are refused, and required ones must be there
// even when the row exists (vendor page how-to-fire-an-event). The primary key
// alone may be missing: the contact key stands in for it.
func (d *dataExtension) readEvent(m member, id wire.GUID) (sentRow, error) {
	p := d.reader(m.data)
	r := p.row()
	if m.data != "" {
		p.object(&r, allColumns)
	}
	switch {
	case p.bad || p.deep:
		return sentRow{}, eventError(eventWrongType, "Data")
	case p.twice:
		return sentRow{}, eventError(eventBadJSON, "")
	case p.hasStranger:
		return sentRow{}, eventError(eventUnknownField, p.stranger)
	}
	// "eventInstanceId" is reserved: the value sent is dropped, and a column of
	// that name gets the id of the event (vendor page postEvent).
	if i, ok := d.column(reservedField); ok {
		r.cells[i] = value{kindText, id.String()}
	}
	if len(d.primary) == 1 && r.cells[d.primary[0]].text == "" {
		r.cells[d.primary[0]] = m.contactKey
	}
	for i := range d.columns {
		c, v := &d.columns[i], &r.cells[i]
		if v.kind == kindNull {
			*v = value{} // null counts as not sent
		}
		switch {
		case v.empty() && !c.Nullable && !d.defaulted(i), c.PrimaryKey && v.text == "":
			return sentRow{}, eventError(eventMissingField, c.Name)
		case !v.empty():
			if what := c.check(*v); what != "" {
				return sentRow{}, eventError(eventBadValue, c.problem(what))
			}
		}
	}
	r.identity = d.identity(r.cells)
	return r, nil
}

// enter lets a contact enter, who then gets the journey's mail. It needs the
// sandbox's mutex.
func (s *Sandbox) enter(j *journey, m member, id wire.GUID, at time.Time, r *sentRow) {
	j.enter(m, id, at, r)
	s.ens.Mailed(at, func() (ens.Mail, bool) { return j.mail(j.entries[len(j.entries)-1], len(j.entries)) })
}

// enter saves the row of an accepted event and enters its contact. It needs the
// sandbox's mutex.
func (j *journey) enter(m member, id wire.GUID, at time.Time, r *sentRow) {
	d := j.extension
	e := entry{id: id, at: at, data: d.save(r)}
	b := d.scratch[:0]
	for _, v := range r.cells {
		b = appendCell(b, v)
	}
	d.scratch = b
	if string(e.data) != string(b) { // often the event has all that the row has
		e.data = row(b)
	}
	if len(d.primary) == 1 { // nearly always the contact key itself
		e.contactKey = e.data.cell(d.primary[0]).text
	}
	if e.contactKey != m.contactKey.text {
		e.contactKey = strings.Clone(m.contactKey.text)
	}
	j.entries = append(j.entries, e)
}

// contact is an entry as a State shows it.
func (d *dataExtension) contact(e entry) Contact {
	return Contact{ContactKey: e.contactKey, EventInstanceID: e.id.String(), At: e.at, Data: d.asMap(e.data)}
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

// fireEvents answers POST /interaction/v1/async/events, vendor page
// enterContactsIntoJourneyInBatches: every good member enters, whatever the
// others are. Undocumented: the status; third parties tell of 202. The vendor
// enters the contacts a little later; the sandbox does it at once.
func (s *Sandbox) fireEvents(c *wire.Call) (wire.Answer, error) {
	p := scanner{text: string(c.Body)}
	var members []member
	var eventKey value
	for more := p.enter('{'); more; more = p.more('{') {
		switch name := p.name(); {
		case strings.EqualFold(name, "eventDefinitionKey"):
			eventKey = p.value()
		case strings.EqualFold(name, "members") && p.peek() == '[':
			members = nil
			for more := p.enter('['); more; more = p.more('[') {
				var m member
				for more := p.enter('{'); more; more = p.more('{') {
					m.read(&p, p.name())
				}
				members = append(members, m)
			}
		default:
			p.value()
		}
	}
	if !p.done() {
		return wire.Answer{}, eventError(eventBadJSON, "")
	}
	j, err := s.journey("eventDefinitionKey", eventKey)
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
	rows := make([]sentRow, len(members))
	for i, m := range members {
		if m.contactKey.kind == kindText {
			results[i].ContactKey = m.contactKey.text
		}
		ids[i] = wire.RandomGUID()
		err := requireText("contactKey", m.contactKey)
		if err == nil {
			rows[i], err = j.extension.readEvent(m, ids[i])
		}
		if e, ok := errors.AsType[*wire.Error](err); ok {
			results[i].Errorcode, results[i].Message = *e.Code, e.Message
		}
	}
	failed := 0
	now := s.lock()
	faults := s.world.late(c, now, FaultMemberError, FaultNotQueued)
	for i, m := range members {
		if results[i].Errorcode == 0 {
			if f := faults.strike(rows[i].cells, m.contactKey); f != nil {
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
