package sfmc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	// The vendor's limits of one SendMessages, the second if recipients have
	// attributes of their own.
	maxRecipients               = 2000
	maxRecipientsWithAttributes = 500
	// maxMessageKey is the vendor's limit of a message key, in characters.
	maxMessageKey = 100
)

// Recipient is one person to send a message to.
type Recipient struct {
	// ContactKey identifies the person. Required; a contact that does not
	// exist is created.
	ContactKey string
	// To is the email address. Required.
	To string
	// MessageKey identifies the message: at most 100 characters. Marketing
	// Cloud refuses a key that was used a short time ago in the business unit,
	// so that a call that is repeated with the same keys sends nothing twice;
	// see [Error.DuplicateMessageKey]. Empty lets Marketing Cloud make one up.
	//
	// How short is not certain: its pages say 72 hours in two places and 2
	// days in one, as does its message. Count on 2 days.
	MessageKey string
	// Attributes personalise the message: anything that marshals to a JSON
	// object. Nil leaves them out.
	Attributes any
}

// SentMessages is what became of the messages of a [Client.SendMessages].
type SentMessages struct {
	// RequestID is Marketing Cloud's id of the call, empty if it named none.
	RequestID string
	// Messages has one element for each recipient, in that order.
	Messages []SentMessage
}

// SentMessage is what became of the message to one recipient.
type SentMessage struct {
	// ContactKey is that of the recipient.
	ContactKey string
	// MessageKey is that of the recipient, or the one that Marketing Cloud
	// made up; empty if the answer does not name it.
	MessageKey string
	// Err says why the message was not accepted; nil if it was. It has the
	// Status of the whole answer, normally 202, and no Body.
	Err *Error
}

type messageRequest struct {
	DefinitionKey string             `json:"definitionKey"`
	Recipient     *recipientRequest  `json:"recipient,omitempty"`
	Recipients    []recipientRequest `json:"recipients,omitempty"`
}

type recipientRequest struct {
	ContactKey string          `json:"contactKey"`
	To         string          `json:"to"`
	MessageKey string          `json:"messageKey,omitempty"`
	Attributes json.RawMessage `json:"attributes,omitempty"`
}

// SendMessage sends the email of a send definition to one person: POST
// /messaging/v1/email/messages/MESSAGEKEY (vendor page of that name). It needs the
// scope email_send.
//
// The message key makes the call idempotent for some days: see [Recipient], whose
// own MessageKey has to be empty or the same here. A second call with a key is an
// [*Error] that says so by [Error.DuplicateMessageKey]; the first one stands.
//
// It returns Marketing Cloud's id of the call, empty if the answer names none.
// Success means that the message was queued; an event of the Event Notification
// Service reports whether it was sent. Keys that are missing, a message key that is
// too long, and Attributes of the wrong kind are refused with [ErrInvalid] before
// anything is sent.
func (c *Client) SendMessage(ctx context.Context, messageKey, definitionKey string, to Recipient) (requestID string, err error) {
	in, err := newMessageRequest(messageKey, definitionKey, to)
	if err != nil {
		return "", fmt.Errorf("%s: %w", OpSendMessage, err)
	}
	a, err := c.post(ctx, OpSendMessage, "messaging/v1/email/messages/"+url.PathEscape(messageKey), in)
	if err != nil {
		return "", err
	}
	return a.sentMessage(messageKey)
}

// sentMessage reads the answer to SendMessage: its only response names the message.
func (a *answer) sentMessage(messageKey string) (requestID string, err error) {
	v, err := a.success()
	if err != nil {
		return "", err
	}
	m, _ := v.(map[string]any)
	if responses := list(m, "responses"); len(responses) == 1 {
		if one, ok := responses[0].(map[string]any); ok && word(one, "messageKey") == messageKey {
			return a.cut(text(m, "requestId")), nil
		}
	}
	return "", a.unfit("no response with the message key")
}

// SendMessages sends the email of a send definition to up to 2,000 persons, or
// 500 if any of them has Attributes: POST /messaging/v1/email/messages (vendor
// page of that name). It needs the scope email_send.
//
// Each message is accepted or not by itself: the error of the call is nil if only
// some, or none, were accepted, and each [SentMessage] has its own. An error of
// the call means that no message was accepted or, if its Err is set or it is no
// [*Error], that this is not known: repeat it with the same message keys.
//
// No recipients, too many, missing keys or addresses, message keys that are too
// long, and Attributes of the wrong kind are refused with [ErrInvalid] before
// anything is sent.
func (c *Client) SendMessages(ctx context.Context, definitionKey string, recipients []Recipient) (SentMessages, error) {
	in, err := newMessagesRequest(definitionKey, recipients)
	if err != nil {
		return SentMessages{}, fmt.Errorf("%s: %w", OpSendMessages, err)
	}
	a, err := c.post(ctx, OpSendMessages, "messaging/v1/email/messages", in)
	if err != nil {
		return SentMessages{}, err
	}
	return a.sentMessages(recipients)
}

// DuplicateMessageKey reports whether the error says that a message key was used
// before, and nothing else: that the message is on its way already, by an earlier
// call. It is meant for errors of [Client.SendMessage] and of a [SentMessage].
//
// Documented are the code, 109110, and its name, DuplicateMessageKey, in the
// vendor page "Transactional API Response Level Error Codes". That it comes as the
// code of an element of "responses" is known from a user's log (issue 1236 of
// UnofficialSF/LightningFlowComponents), with the message
// "MCMS_UTM_Validation_DuplicateMessageKey: messageKey reused within the past 2
// days". With what status is not known, so that it is not looked at. That the
// name in a message means the same as the code is inferred.
func (e *Error) DuplicateMessageKey() bool {
	for _, d := range e.Additional {
		if !d.isDuplicateMessageKey() {
			return false
		}
	}
	own := Detail{Code: e.Code, Message: e.Message}
	return own.isDuplicateMessageKey() || e.isSummary() && len(e.Additional) > 0
}

func (d Detail) isDuplicateMessageKey() bool {
	return d.Code == CodeDuplicateMessageKey || strings.Contains(strings.ToLower(d.Message), "duplicatemessagekey")
}

// isSummary reports whether the code says no more than that there are others below.
func (e *Error) isSummary() bool {
	return e.Code == CodeResponsesHaveErrors || e.Code == CodeNoValidSubscribers || e.Code == 0
}

func newMessageRequest(messageKey, definitionKey string, to Recipient) (messageRequest, error) {
	if err := checkSegment("message key", messageKey); err != nil {
		return messageRequest{}, err
	}
	if definitionKey == "" {
		return messageRequest{}, fmt.Errorf("definition key: %w: empty", ErrInvalid)
	}
	if to.MessageKey != "" && to.MessageKey != messageKey {
		return messageRequest{}, fmt.Errorf("recipient: %w: has another message key", ErrInvalid)
	}
	to.MessageKey = messageKey
	r, err := newRecipientRequest(to)
	if err != nil {
		return messageRequest{}, fmt.Errorf("recipient: %w", err)
	}
	r.MessageKey = "" // it is in the address
	return messageRequest{DefinitionKey: definitionKey, Recipient: &r}, nil
}

func newMessagesRequest(definitionKey string, recipients []Recipient) (messageRequest, error) {
	if definitionKey == "" {
		return messageRequest{}, fmt.Errorf("definition key: %w: empty", ErrInvalid)
	}
	in := messageRequest{DefinitionKey: definitionKey}
	most := maxRecipients
	for i, to := range recipients[:min(len(recipients), maxRecipients)] {
		r, err := newRecipientRequest(to)
		if err != nil {
			return messageRequest{}, fmt.Errorf("recipient %d: %w", i, err)
		}
		if r.Attributes != nil {
			most = maxRecipientsWithAttributes
		}
		in.Recipients = append(in.Recipients, r)
	}
	if n := len(recipients); n == 0 || n > most {
		return messageRequest{}, fmt.Errorf("recipients: %w: %d, want 1 to %d", ErrInvalid, n, most)
	}
	return in, nil
}

func newRecipientRequest(to Recipient) (recipientRequest, error) {
	switch {
	case to.ContactKey == "":
		return recipientRequest{}, fmt.Errorf("%w: no contact key", ErrInvalid)
	case to.To == "":
		return recipientRequest{}, fmt.Errorf("%w: no address", ErrInvalid)
	case utf8.RuneCountInString(to.MessageKey) > maxMessageKey:
		return recipientRequest{}, fmt.Errorf("message key: %w: more than %d characters", ErrInvalid, maxMessageKey)
	}
	attributes, err := object(to.Attributes)
	if err != nil {
		return recipientRequest{}, fmt.Errorf("attributes: %w", err)
	}
	return recipientRequest{ContactKey: to.ContactKey, To: to.To, MessageKey: to.MessageKey, Attributes: attributes}, nil
}

// sentMessages reads the answer to SendMessages.
func (a *answer) sentMessages(recipients []Recipient) (SentMessages, error) {
	b, err := a.batch("responses", len(recipients))
	if err != nil {
		return SentMessages{}, err
	}
	order, ok := matchResponses(recipients, b)
	if !ok {
		return SentMessages{}, a.unfit("the message keys are not those that were sent")
	}
	sent := SentMessages{RequestID: a.cut(text(b.body, "requestId")), Messages: make([]SentMessage, len(recipients))}
	for i, to := range recipients {
		m := SentMessage{ContactKey: to.ContactKey, MessageKey: to.MessageKey, Err: b.errs[order[i]]}
		if m.MessageKey == "" {
			m.MessageKey = a.cut(text(b.elements[order[i]], "messageKey"))
		}
		sent.Messages[i] = m
	}
	return sent, nil
}

// matchResponses finds for each recipient which response is about it. The vendor
// does not say in what order they come; in its samples it is that of the
// recipients. That is taken, unless the message keys contradict it: then they
// decide, if each recipient has a different one.
func matchResponses(recipients []Recipient, b batch) (order []int, ok bool) {
	order = make([]int, len(recipients))
	inOrder := true
	byKey := make(map[string]int, len(recipients))
	for i, to := range recipients {
		order[i] = i
		key := word(b.elements[i], "messageKey")
		byKey[key] = i
		named := key != "" && (to.MessageKey == "" || key == to.MessageKey)
		inOrder = inOrder && (named || key == "" && b.errs[i] != nil)
	}
	if inOrder {
		return order, true
	}
	for i, to := range recipients {
		at, found := byKey[to.MessageKey]
		if !found || to.MessageKey == "" {
			return nil, false
		}
		order[i] = at
		delete(byKey, to.MessageKey) // a second recipient with that key does not fit
	}
	return order, true
}
