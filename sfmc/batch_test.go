package sfmc_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

func TestFireEventsRequest(t *testing.T) {
	t.Parallel()
	rec := &recorder{next: reply{status: 202, body: `{"members":[{},{}]}`}.ServeHTTP}
	_, err := newClient(t, newServer(t, rec)).FireEvents(within(t), "APIEvent-1", []sfmc.Member{
		{ContactKey: "u-1001", Data: map[string]any{"a": "b"}},
		{ContactKey: "u-1001"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []seen{{Method: "POST", Path: "/interaction/v1/async/events", Body: `{"eventDefinitionKey":"APIEvent-1","members":[{"contactKey":"u-1001","data":{"a":"b"}},{"contactKey":"u-1001"}]}`}}
	if diff := cmp.Diff(want, rec.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestFireEvents(t *testing.T) {
	t.Parallel()
	failed := func(status, code int, text, message string) *sfmc.Error {
		return &sfmc.Error{Op: sfmc.OpFireEvents, Status: status, Code: code, CodeText: text, Message: message}
	}
	answer := func(members ...sfmc.FiredEvent) sfmc.FiredEvents {
		return sfmc.FiredEvents{RequestID: "r-1", Members: members}
	}
	for name, tt := range map[string]struct {
		reply reply
		want  sfmc.FiredEvents
		err   *sfmc.Error // with Op, Status and Body left out
	}{
		"all": {
			reply{status: 202, body: `{"requestId":"r-1","count":2,"notQueuedCount":0,"members":[{"contactKey":"u-1","eventInstanceId":"e-1"},{"contactKey":"u-2","eventInstanceId":"e-2"}]}`},
			answer(sfmc.FiredEvent{"u-1", "e-1", nil}, sfmc.FiredEvent{"u-2", "e-2", nil}), nil,
		},
		"names in another case, code 0": {
			reply{status: 201, body: `{"RequestId":"r-1","Members":[{"ContactKey":"U-1","EventInstanceId":"e-1","ErrorCode":0,"Message":""},{"EVENTINSTANCEID":"e-2"}]}`},
			answer(sfmc.FiredEvent{"u-1", "e-1", nil}, sfmc.FiredEvent{"u-2", "e-2", nil}), nil,
		},
		"one failed": {
			reply{status: 202, body: `{"requestId":"r-1","count":2,"notQueuedCount":1,"members":[{"contactKey":"u-1","eventInstanceId":"e-1","errorcode":10005,"message":"no token-1"},{"contactKey":"u-2","eventInstanceId":"e-2"}]}`},
			answer(sfmc.FiredEvent{"u-1", "e-1", failed(202, 10005, "10005", "no redacted")}, sfmc.FiredEvent{"u-2", "e-2", nil}), nil,
		},
		"all failed, with an error of the whole": {
			reply{status: 200, body: `{"requestId":"r-1","errorcode":10000,"message":"whole","members":[{"errorcode":"10005"},{"message":"no code"}]}`},
			answer(sfmc.FiredEvent{"u-1", "", failed(200, 10005, "10005", "")}, sfmc.FiredEvent{"u-2", "", failed(200, 0, "", "no code")}), nil,
		},
		"bad request that tells of each": {
			reply{status: 400, body: `{"requestId":"r-1","errorcode":10000,"message":"whole","members":[{"errorcode":10005,"message":"m"},{}]}`},
			answer(sfmc.FiredEvent{"u-1", "", failed(400, 10005, "10005", "m")}, sfmc.FiredEvent{"u-2", "", failed(400, 10000, "10000", "whole")}), nil,
		},
		"bad request that blames none": {
			reply{status: 400, body: `{"members":[{},{}],"message":"whole"}`},
			sfmc.FiredEvents{},
			&sfmc.Error{Message: "whole"},
		},
		"forbidden": {
			reply{status: 403, body: `{"errorcode":20002,"message":"m","members":[{"errorcode":1},{"errorcode":1}]}`},
			sfmc.FiredEvents{},
			&sfmc.Error{Code: 20002, CodeText: "20002", Message: "m", Additional: []sfmc.Detail{{Code: 1, CodeText: "1"}, {Code: 1, CodeText: "1"}}},
		},
		"the whole batch": {
			reply{status: 202, body: `{"requestId":"r-1","errorcode":10000,"message":"Interaction Count Limit Exceeded"}`},
			sfmc.FiredEvents{},
			&sfmc.Error{Code: 10000, CodeText: "10000", Message: "Interaction Count Limit Exceeded"},
		},
		"the whole batch, members listed": {
			reply{status: 202, body: `{"errorcode":10000,"message":"m","members":[{"contactKey":"u-1"},{"contactKey":"u-2"}]}`},
			sfmc.FiredEvents{},
			&sfmc.Error{Code: 10000, CodeText: "10000", Message: "m"},
		},
		"too few members": {
			reply{status: 202, body: `{"requestId":"r-1","members":[{"contactKey":"u-1","eventInstanceId":"e-1"}]}`},
			sfmc.FiredEvents{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
		"too many members": {
			reply{status: 202, body: `{"members":[{},{},{}]}`},
			sfmc.FiredEvents{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
		"no members":            {reply{status: 202, body: `{"requestId":"r-1"}`}, sfmc.FiredEvents{}, &sfmc.Error{Err: sfmc.ErrAnswer}},
		"nothing":               {reply{status: 202}, sfmc.FiredEvents{}, &sfmc.Error{Err: sfmc.ErrAnswer}},
		"members of other type": {reply{status: 202, body: `{"members":["u-1",null]}`}, sfmc.FiredEvents{}, &sfmc.Error{Err: sfmc.ErrAnswer}},
		"members in another order": {
			reply{status: 202, body: `{"members":[{"contactKey":"u-2"},{"contactKey":"u-1"}]}`},
			sfmc.FiredEvents{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
		"more failed than are marked": {
			reply{status: 202, body: `{"notQueuedCount":2,"members":[{"errorcode":1},{"eventInstanceId":"e-2"}]}`},
			sfmc.FiredEvents{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t, newServer(t, tt.reply)).FireEvents(within(t), "e", []sfmc.Member{{ContactKey: "u-1"}, {ContactKey: "u-2"}})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			diffCall(t, sfmc.OpFireEvents, tt.reply, tt.err, err)
		})
	}
}

// diffCall compares the error of a call with want, which leaves out what follows
// from the operation and the answer; nil means none.
func diffCall(t *testing.T, op string, r reply, want *sfmc.Error, err error) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("error is %v; want none", err)
		}
		return
	}
	e := *want
	e.Op, e.Status = op, r.status
	if r.body != "" {
		e.Body = []byte(r.body)
	}
	diffError(t, e, err)
}

func TestSendMessageRequests(t *testing.T) {
	t.Parallel()
	rec := &recorder{next: func(w http.ResponseWriter, r *http.Request) {
		responses := `{"messageKey":"m/1 é"}`
		if strings.HasSuffix(r.URL.Path, "/messages") {
			responses = `{"messageKey":"made-up"},` + responses
		}
		_, _ = io.WriteString(w, `{"requestId":"r-1","errorcode":0,"responses":[`+responses+`]}`)
	}}
	c := newClient(t, newServer(t, rec))
	ana := sfmc.Recipient{ContactKey: "u-1001", To: "ana@example.org", Attributes: map[string]any{"FirstName": "Ana"}}
	bo := sfmc.Recipient{ContactKey: "u-1002", To: "bo@example.org", MessageKey: "m/1 é"}
	if _, err := c.SendMessage(within(t), "m/1 é", "welcome", ana); err != nil {
		t.Error(err)
	}
	if _, err := c.SendMessage(within(t), "m/1 é", "welcome", bo); err != nil {
		t.Error(err)
	}
	if _, err := c.SendMessages(within(t), "welcome", []sfmc.Recipient{ana, bo}); err != nil {
		t.Error(err)
	}
	want := []seen{
		{Method: "POST", Path: "/messaging/v1/email/messages/m%2F1%20%C3%A9", Body: `{"definitionKey":"welcome","recipient":{"contactKey":"u-1001","to":"ana@example.org","attributes":{"FirstName":"Ana"}}}`},
		{Method: "POST", Path: "/messaging/v1/email/messages/m%2F1%20%C3%A9", Body: `{"definitionKey":"welcome","recipient":{"contactKey":"u-1002","to":"bo@example.org"}}`},
		{Method: "POST", Path: "/messaging/v1/email/messages", Body: `{"definitionKey":"welcome","recipients":[{"contactKey":"u-1001","to":"ana@example.org","attributes":{"FirstName":"Ana"}},{"contactKey":"u-1002","to":"bo@example.org","messageKey":"m/1 é"}]}`},
	}
	if diff := cmp.Diff(want, rec.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

const duplicate = `"errorcode":109110,"message":"MCMS_UTM_Validation_DuplicateMessageKey: messageKey reused within the past 2 days"`

func TestSendMessage(t *testing.T) {
	t.Parallel()
	const message = "MCMS_UTM_Validation_DuplicateMessageKey: messageKey reused within the past 2 days"
	detail := sfmc.Detail{Code: 109110, CodeText: "109110", Message: message}
	for name, tt := range map[string]struct {
		reply reply
		want  string
		err   *sfmc.Error
	}{
		"queued": {reply{status: 202, body: `{"requestId":"r-1","errorcode":0,"responses":[{"messageKey":"m-1"}]}`}, "r-1", nil},
		"no id":  {reply{status: 202, body: `{"responses":[{"messageKey":"m-1"}]}`}, "", nil},
		"error of the whole": {
			reply{status: 202, body: `{"requestId":"r-1","errorcode":109001,"message":"MCMS_UTM_ResponsesHasErrors","responses":[{"messageKey":"m-1",` + duplicate + `}]}`},
			"", &sfmc.Error{Code: 109001, CodeText: "109001", Message: "MCMS_UTM_ResponsesHasErrors", Additional: []sfmc.Detail{detail}},
		},
		"error of the response alone": {
			reply{status: 202, body: `{"requestId":"r-1","errorcode":0,"message":"","responses":[{"messageKey":"m-1",` + duplicate + `}]}`},
			"", &sfmc.Error{CodeText: "0", Additional: []sfmc.Detail{detail}},
		},
		"error without a response": {
			reply{status: 202, body: `{"errorcode":109111,"message":"m"}`},
			"", &sfmc.Error{Code: 109111, CodeText: "109111", Message: "m"},
		},
		"bad request": {
			reply{status: 400, body: `{"requestId":"r-1","responses":[{"messageKey":"m-1",` + duplicate + `}]}`},
			"", &sfmc.Error{Code: 109110, CodeText: "109110", Message: message},
		},
		"a list": {reply{status: 202, body: `[]`}, "", &sfmc.Error{Err: sfmc.ErrAnswer}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := newClient(t, newServer(t, tt.reply)).SendMessage(within(t), "m-1", "welcome", sfmc.Recipient{ContactKey: "u-1", To: "a@example.org"})
			if id != tt.want {
				t.Errorf("request id is %q; want %q", id, tt.want)
			}
			diffCall(t, sfmc.OpSendMessage, tt.reply, tt.err, err)
		})
	}
}

func TestSendMessages(t *testing.T) {
	t.Parallel()
	failed := func(status, code int, text, message string) *sfmc.Error {
		return &sfmc.Error{Op: sfmc.OpSendMessages, Status: status, Code: code, CodeText: text, Message: message}
	}
	sent := func(messages ...sfmc.SentMessage) sfmc.SentMessages {
		return sfmc.SentMessages{RequestID: "r-1", Messages: messages}
	}
	to := []sfmc.Recipient{{ContactKey: "u-1", To: "a@example.org", MessageKey: "m-1"}, {ContactKey: "u-2", To: "b@example.org"}}
	keyed := []sfmc.Recipient{to[0], {ContactKey: "u-2", To: "b@example.org", MessageKey: "m-2"}}
	same := []sfmc.Recipient{to[0], {ContactKey: "u-2", To: "b@example.org", MessageKey: "m-1"}}
	for name, tt := range map[string]struct {
		to    []sfmc.Recipient
		reply reply
		want  sfmc.SentMessages
		err   *sfmc.Error
	}{
		"all": {
			to,
			reply{status: 202, body: `{"requestId":"r-1","errorcode":0,"responses":[{"messageKey":"m-1"},{"messageKey":"made-up"}]}`},
			sent(sfmc.SentMessage{"u-1", "m-1", nil}, sfmc.SentMessage{"u-2", "made-up", nil}), nil,
		},
		"mixed": {
			to,
			reply{status: 202, body: `{"requestId":"r-1","errorcode":109001,"message":"MCMS_UTM_ResponsesHasErrors: 1 subscribers failed to queue out of 2","responses":[{"messageKey":"m-1","errorcode":109106,"message":"MCMS_UTM_Validation_MissingRequiredField_to: Invalid token-1"},{"messageKey":"made-up"}]}`},
			sent(sfmc.SentMessage{"u-1", "m-1", failed(202, 109106, "109106", "MCMS_UTM_Validation_MissingRequiredField_to: Invalid redacted")}, sfmc.SentMessage{"u-2", "made-up", nil}), nil,
		},
		"mixed, in another order": {
			keyed,
			reply{status: 202, body: `{"requestId":"r-1","errorcode":109001,"responses":[{"messageKey":"m-2","errorcode":109106},{"messageKey":"m-1"}]}`},
			sent(sfmc.SentMessage{"u-1", "m-1", nil}, sfmc.SentMessage{"u-2", "m-2", failed(202, 109106, "109106", "")}), nil,
		},
		"responses without keys": {
			keyed,
			reply{status: 202, body: `{"requestId":"r-1","responses":[{},{"errorcode":5}]}`},
			sfmc.SentMessages{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
		"an error without a key": {
			keyed,
			reply{status: 202, body: `{"requestId":"r-1","responses":[{"messageKey":"m-1"},{"errorcode":5}]}`},
			sent(sfmc.SentMessage{"u-1", "m-1", nil}, sfmc.SentMessage{"u-2", "m-2", failed(202, 5, "5", "")}), nil,
		},
		"a key twice": {
			same,
			reply{status: 202, body: `{"requestId":"r-1","responses":[{"messageKey":"m-1"},{"messageKey":"m-1","errorcode":5}]}`},
			sent(sfmc.SentMessage{"u-1", "m-1", nil}, sfmc.SentMessage{"u-2", "m-1", failed(202, 5, "5", "")}), nil,
		},
		"all refused as a bad request": {
			keyed,
			reply{status: 400, body: `{"requestId":"r-1","errorcode":109103,"message":"none","responses":[{"errorcode":7,"message":"m"},{}]}`},
			sent(sfmc.SentMessage{"u-1", "m-1", failed(400, 7, "7", "m")}, sfmc.SentMessage{"u-2", "m-2", failed(400, 109103, "109103", "none")}), nil,
		},
		"keys of others": {
			keyed,
			reply{status: 202, body: `{"responses":[{"messageKey":"m-2"},{"messageKey":"m-3"}]}`},
			sfmc.SentMessages{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
		"one key for both": {
			same,
			reply{status: 202, body: `{"responses":[{"messageKey":"m-1"},{"messageKey":"m-2"}]}`},
			sfmc.SentMessages{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
		"another order than is known": {
			to,
			reply{status: 202, body: `{"responses":[{"messageKey":"made-up"},{"messageKey":"m-1"}]}`},
			sfmc.SentMessages{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
		"a key that is missing here and there": {
			[]sfmc.Recipient{to[0], to[1], {ContactKey: "u-3", To: "c@example.org", MessageKey: "m-3"}},
			reply{status: 202, body: `{"responses":[{"messageKey":"m-3"},{},{"messageKey":"m-1"}]}`},
			sfmc.SentMessages{},
			&sfmc.Error{Err: sfmc.ErrAnswer},
		},
		"too few":   {to, reply{status: 202, body: `{"responses":[{"messageKey":"m-1"}]}`}, sfmc.SentMessages{}, &sfmc.Error{Err: sfmc.ErrAnswer}},
		"none":      {to, reply{status: 202, body: `{"requestId":"r-1"}`}, sfmc.SentMessages{}, &sfmc.Error{Err: sfmc.ErrAnswer}},
		"the whole": {to, reply{status: 202, body: `{"errorcode":109111,"message":"m"}`}, sfmc.SentMessages{}, &sfmc.Error{Code: 109111, CodeText: "109111", Message: "m"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := newClient(t, newServer(t, tt.reply)).SendMessages(within(t), "welcome", tt.to)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			diffCall(t, sfmc.OpSendMessages, tt.reply, tt.err, err)
		})
	}
}

func TestDuplicateMessageKey(t *testing.T) {
	t.Parallel()
	message := strings.Trim(duplicate[strings.Index(duplicate, "MCMS"):], `"`)
	for name, tt := range map[string]struct {
		err  sfmc.Error
		want bool
	}{
		"code":                 {sfmc.Error{Code: 109110}, true},
		"name":                 {sfmc.Error{CodeText: "Error", Message: message}, true},
		"below, code":          {sfmc.Error{Code: 109001, Additional: []sfmc.Detail{{Code: 109110}}}, true},
		"below, name":          {sfmc.Error{Code: 109001, Additional: []sfmc.Detail{{Message: message}, {Code: 109110}}}, true},
		"one of two below":     {sfmc.Error{Code: 109001, Additional: []sfmc.Detail{{Code: 109110}, {Code: 109106}}}, false},
		"name of one of two":   {sfmc.Error{Code: 109001, Message: message, Additional: []sfmc.Detail{{Code: 109106}}}, false},
		"below no code":        {sfmc.Error{CodeText: "0", Additional: []sfmc.Detail{{Code: 109110}}}, true},
		"first of two":         {sfmc.Error{Code: 109110, Additional: []sfmc.Detail{{Code: 109106}}}, false},
		"second of two":        {sfmc.Error{Code: 109106, Additional: []sfmc.Detail{{Code: 109110}}}, false},
		"both of two":          {sfmc.Error{Code: 109110, Additional: []sfmc.Detail{{Code: 109110}}}, true},
		"another":              {sfmc.Error{Code: 109106, Message: "MCMS_UTM_Validation_MissingRequiredField_to"}, false},
		"a duplicate of other": {sfmc.Error{Code: 6, Message: "DuplicateEmail"}, false},
		"nothing":              {sfmc.Error{Status: 400}, false},
	} {
		if got := tt.err.DuplicateMessageKey(); got != tt.want {
			t.Errorf("%s: DuplicateMessageKey = %t; want %t", name, got, tt.want)
		}
	}
}
