package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

const (
	// maxRecipients is the most recipients in one call, and
	// maxPersonalRecipients the most when there are attributes. Vendor page
	// sendMessageMultipleRecipients, which calls the second a recommendation;
	// the sandbox holds callers to it.
	maxRecipients         = 2000
	maxPersonalRecipients = 500
	// maxMessageKey is the longest message key, in characters, and
	// messageKeyLife how long it must not come again. Vendor page
	// transactional-messaging-best-practices: 72 hours. (Another page says two
	// days; the longer time is the safer one to be tested with.)
	maxMessageKey  = 100
	messageKeyLife = 72 * time.Hour
)

// The errorcodes of messages. Vendor page transactional-send-response lists
// them with their names.
const (
	codeResponsesHasErrors   = 109001
	codeTooManySubscribers   = 109101
	codeNoSubscribers        = 109102
	codeNoValidSubscribers   = 109103
	codeMissingSubscriberKey = 109105
	codeMissingTo            = 109106
	codeMissingDefinitionKey = 109107
	codeBadMessageKey        = 109108
	codeBadSubscriberKey     = 109109
	codeDuplicateMessageKey  = 109110
	codeBadDefinitionKey     = 109111
	codeBadTo                = 109121
	codeUnknownField         = 109122
)

// messageErrorName is the vendor's name of an errorcode of messages.
func messageErrorName(code int) string {
	switch code {
	case codeResponsesHasErrors:
		return "MCMS_UTM_ResponsesHasErrors"
	case codeTooManySubscribers:
		return "MCMS_UTM_Validation_TooManySubscribers"
	case codeNoSubscribers:
		return "MCMS_UTM_Validation_NoSubscribers"
	case codeNoValidSubscribers:
		return "MCMS_UTM_Validation_NoValidSubscribers"
	case codeMissingSubscriberKey:
		return "MCMS_UTM_Validation_MissingRequiredField_subscriberKey"
	case codeMissingTo:
		return "MCMS_UTM_Validation_MissingRequiredField_to"
	case codeMissingDefinitionKey:
		return "MCMS_UTM_Validation_MissingRequiredField_definitionKey"
	case codeBadMessageKey:
		return "MCMS_UTM_Validation_InvalidValue_messageKey"
	case codeBadSubscriberKey:
		return "MCMS_UTM_Validation_InvalidValue_subscriberKey"
	case codeDuplicateMessageKey:
		return "MCMS_UTM_Validation_DuplicateMessageKey"
	case codeBadDefinitionKey:
		return "MCMS_UTM_Validation_InvalidValue_definitionKey"
	case codeBadTo:
		return "MCMS_UTM_Validation_InvalidValue_to"
	case codeUnknownField:
		return "MCMS_UTM_Validation_UnknownFieldName"
	case wire.CodeNotFound:
		return "MCMS_UTM_Runtime_ObjectNotFound"
	default:
		return "MCMS_UTM_Validation"
	}
}

// messageError refuses a whole call. The vendor's words are its name for the
// code, a colon and a sentence. Undocumented: the sentences, and that the status
// is 400; the vendor's pages list 400 as "invalid request".
func messageError(code int, format string, args ...any) error {
	return wire.Failuref(http.StatusBadRequest, code, "%s: %s", messageErrorName(code), fmt.Sprintf(format, args...))
}

// message is one that was sent. It does not change.
type message struct {
	key, definition, contactKey, to string
	member                          int        // MID
	attributes                      attributes // the call's, then the recipient's
	at                              time.Time
	requestID, composite            string
}

// messages are those sent, oldest first.
type messages struct {
	sent  []message
	byKey map[string]int // the newest with the key
}

// find returns the newest message with the key.
func (ms *messages) find(key string) (message, bool) {
	i, ok := ms.byKey[key]
	if !ok {
		return message{}, false
	}
	return ms.sent[i], true
}

func (ms *messages) add(m message) {
	if ms.byKey == nil {
		ms.byKey = map[string]int{}
	}
	ms.byKey[m.key] = len(ms.sent)
	ms.sent = append(ms.sent, m)
}

// recipient is one of a call's recipients. encoding/json matches the names in
// any case.
type recipient struct {
	ContactKey json.RawMessage
	To         json.RawMessage
	MessageKey json.RawMessage
	Attributes attributes
}

// attributes is a JSON object as it was sent; "" when there is nothing in it.
type attributes string

// UnmarshalJSON refuses what is no object.
func (a *attributes) UnmarshalJSON(b []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(b, &object); err != nil {
		return err
	}
	if *a = ""; len(object) > 0 {
		*a = attributes(b)
	}
	return nil
}

// messageRequest is the body of both sending routes.
type messageRequest struct {
	DefinitionKey json.RawMessage
	Recipient     json.RawMessage
	Recipients    json.RawMessage
	Attributes    attributes // of all recipients
}

// recipientResult is what became of one recipient.
type recipientResult struct {
	MessageKey string `json:"messageKey"`
	Errorcode  int    `json:"errorcode,omitempty"`
	Message    string `json:"message,omitempty"`
}

// sendMessage answers POST /messaging/v1/email/messages/{messageKey}, vendor
// page sendMessageSingleRecipient.
func (s *Sandbox) sendMessage(c *wire.Call) (wire.Answer, error) {
	sent, definition, err := s.readMessages(c)
	if err != nil {
		return wire.Answer{}, err
	}
	if len(sent.Recipients) > 0 {
		return wire.Answer{}, messageError(codeUnknownField, "Unrecognized email field name 'recipients'")
	}
	var one *recipient
	if len(sent.Recipient) > 0 && json.Unmarshal(sent.Recipient, &one) != nil {
		return wire.Answer{}, wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
	if one == nil {
		return wire.Answer{}, messageError(codeNoSubscribers, "The recipient is required.")
	}
	// The path names the message, whatever the body says.
	one.MessageKey, _ = json.Marshal(c.Param("messageKey")) // a string always encodes
	return s.send(c, definition, "", []recipient{*one}), nil
}

// sendMessages answers POST /messaging/v1/email/messages, vendor page
// sendMessageMultipleRecipients.
func (s *Sandbox) sendMessages(c *wire.Call) (wire.Answer, error) {
	sent, definition, err := s.readMessages(c)
	if err != nil {
		return wire.Answer{}, err
	}
	if len(sent.Recipient) > 0 {
		// Reported, in these words.
		return wire.Answer{}, messageError(codeUnknownField, "Unrecognized email field name 'recipient'")
	}
	var list []*recipient
	if len(sent.Recipients) > 0 && json.Unmarshal(sent.Recipients, &list) != nil {
		return wire.Answer{}, wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
	if len(list) == 0 {
		return wire.Answer{}, messageError(codeNoSubscribers, "The recipients are required.")
	}
	most := maxRecipients
	recipients := make([]recipient, len(list))
	for i, r := range list {
		if r == nil {
			return wire.Answer{}, wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
		}
		recipients[i] = *r
		if r.Attributes != "" || sent.Attributes != "" {
			most = maxPersonalRecipients
		}
	}
	if len(list) > most {
		return wire.Answer{}, messageError(codeTooManySubscribers, "%d recipients; the most is %d.", len(list), most)
	}
	return s.send(c, definition, sent.Attributes, recipients), nil
}

// readMessages reads what both sending routes have in common. Undocumented: an
// unknown definition refuses the call; its errorcode is the vendor's.
func (s *Sandbox) readMessages(c *wire.Call) (sent *messageRequest, definition string, err error) {
	if err := wire.Decode(c.Body, &sent); err != nil {
		return nil, "", err
	}
	if sent == nil {
		return nil, "", wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
	definition, ok := wire.Text(sent.DefinitionKey)
	if definition == "" && ok {
		return nil, "", messageError(codeMissingDefinitionKey, "The definitionKey is required.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world.unit(c).Definitions[definition] == nil {
		return nil, "", messageError(codeBadDefinitionKey, "The definition does not exist.")
	}
	return sent, definition, nil
}

// send sends to those recipients that it can. Undocumented: a call none of
// whose recipients is good, which a single bad one is too, answers 400; with a
// good one it is 202, as the vendor shows.
func (s *Sandbox) send(c *wire.Call, definition string, common attributes, recipients []recipient) wire.Answer {
	results := make([]recipientResult, len(recipients))
	prepared := make([]message, len(recipients))
	for i, r := range recipients {
		prepared[i], results[i] = r.prepare(definition, common)
	}
	requestID := wire.NewGUID()
	now := s.lock()
	failed := 0
	u := s.world.unit(c)
	active := u.Definitions[definition] != nil && u.Definitions[definition].Status == account.Active
	for i, m := range prepared {
		if before, ok := s.world.messages.find(m.key); ok && results[i].Errorcode == 0 && now.Before(before.at.Add(messageKeyLife)) {
			results[i].refuse(codeDuplicateMessageKey, "Duplicate message key")
		}
		if results[i].Errorcode != 0 {
			failed++
			continue
		}
		m.at, m.requestID, m.member = now, requestID, u.Number()
		m.composite = fmt.Sprintf("%s.%d.%d.1.%d", strings.ToUpper(account.RegistrationsID), m.member, len(s.world.messages.sent)+1, account.UserID)
		s.world.messages.add(m)
		s.world.account.Establish(m.contactKey, m.to, now)
		if active {
			s.ens.Mailed(now, func() (ens.Mail, bool) { return m.mail(len(s.world.messages.sent)), true })
		}
	}
	s.mu.Unlock()

	body := map[string]any{"requestId": requestID, "errorcode": 0, "responses": results}
	status := http.StatusAccepted
	switch {
	case failed == len(results):
		status = http.StatusBadRequest
		body["errorcode"] = codeNoValidSubscribers
		body["message"] = messageErrorName(codeNoValidSubscribers) + ": No valid subscribers in the request"
	case failed > 0:
		body["errorcode"] = codeResponsesHasErrors
		body["message"] = fmt.Sprintf("%s: %d subscribers failed to queue out of %d", messageErrorName(codeResponsesHasErrors), failed, len(results))
	}
	return wire.JSON(status, body)
}

// refuse notes why a recipient gets no message.
func (r *recipientResult) refuse(code int, what string) {
	r.Errorcode, r.Message = code, messageErrorName(code)+": "+what
}

// prepare makes the message of one recipient, or says why there is none. The
// words of a missing address are the vendor's; undocumented: the others.
func (r recipient) prepare(definition string, common attributes) (message, recipientResult) {
	var result recipientResult
	key, keyOK := wire.Text(r.MessageKey)
	if key == "" && keyOK {
		key = wire.NewGUID()
	}
	result.MessageKey = key
	contactKey, contactOK := wire.Text(r.ContactKey)
	to, toOK := wire.Text(r.To)
	switch {
	case !keyOK || len([]rune(key)) > maxMessageKey:
		result.refuse(codeBadMessageKey, "Invalid message key")
	case !contactOK:
		result.refuse(codeBadSubscriberKey, "Invalid subscriber")
	case contactKey == "":
		result.refuse(codeMissingSubscriberKey, "Invalid subscriber")
	case to == "" && toOK:
		result.refuse(codeMissingTo, "Invalid subscriber")
	case !toOK || !table.ValidEmail(to):
		result.refuse(codeBadTo, "Invalid subscriber")
	}
	return message{
		key: key, definition: definition, contactKey: contactKey, to: to, attributes: common + r.Attributes,
	}, result
}

// messageStatus answers GET /messaging/v1/email/messages/{messageKey}, vendor
// page getSendStatusForRecipient: a message is sent as soon as it is taken, or
// never, when its address says so (see ens.NotSent).
// Undocumented: the answer for a key that is not known.
func (s *Sandbox) messageStatus(c *wire.Call) (wire.Answer, error) {
	s.mu.Lock()
	m, ok := s.world.messages.find(c.Param("messageKey"))
	s.mu.Unlock()
	if !ok {
		return wire.Answer{}, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "%s: Message not found", messageErrorName(wire.CodeNotFound))
	}
	kind, info := "EmailSent", map[string]any{"messageKey": m.key, "contactKey": m.contactKey, "to": m.to}
	if ens.NotSent(m.to) {
		kind, info["statusCode"], info["statusMessage"] = "EmailNotSent", 1, "Unsubscribed"
	}
	return wire.JSON(http.StatusOK, map[string]any{
		"requestId": wire.NewGUID(), "eventCategoryType": "TransactionalSendEvents." + kind, "timestamp": table.ServerTime(m.at),
		"compositeId": m.composite, "info": info,
	}), nil
}

// Message is a message that was sent.
type Message struct {
	MessageKey    string `json:"message_key"`
	DefinitionKey string `json:"definition_key"`
	ContactKey    string `json:"contact_key"`
	To            string `json:"to"`
	// Attributes are the call's and the recipient's, which win. Numbers are
	// json.Number.
	Attributes map[string]any `json:"attributes,omitempty"`
	At         time.Time      `json:"at"`         // on the sandbox's clock
	RequestID  string         `json:"request_id"` // what the call answered
}

// view is the message as a State shows it.
func (m message) view() Message {
	v := Message{
		MessageKey: m.key, DefinitionKey: m.definition, ContactKey: m.contactKey, To: m.to, At: m.at, RequestID: m.requestID,
	}
	if m.attributes != "" {
		d := json.NewDecoder(strings.NewReader(string(m.attributes)))
		d.UseNumber()
		for d.More() { // one object after the other, into one map
			if d.Decode(&v.Attributes) != nil {
				break // cannot be: both have been read before
			}
		}
	}
	return v
}
