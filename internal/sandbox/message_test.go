package sandbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const messagesPath = "/messaging/v1/email/messages"

// posted sends a message, or many, and returns the answer without its id, and
// the id.
func posted(t *testing.T, s *sandbox.Sandbox, auth, target, body string, status int) (got map[string]any, id string) {
	t.Helper()
	w := send(t, s, "POST", target, body, auth)
	got, _ = decode(t, w.Body.String()).(map[string]any)
	id, _ = got["requestId"].(string)
	if w.Code != status || !guidForm.MatchString(id) {
		t.Fatalf("got %d %s, want %d", w.Code, w.Body, status)
	}
	delete(got, "requestId")
	return got, id
}

func oneMessage(recipient string) string {
	return `{"definitionKey":"welcome","recipient":{` + recipient + `}}`
}

const ana = `"contactKey":"ana","to":"ana@example.org"`

func TestSendMessage(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	got, first := posted(t, s, auth, messagesPath+"/m-1", oneMessage(ana+`,"attributes":{"FirstName":"Ana","Age":12.50}`), 202)
	wantJSON(t, got, `{"errorcode":0,"responses":[{"messageKey":"m-1"}]}`)
	got, second := posted(t, s, auth, messagesPath+"/a%2Fb%20c", oneMessage(ana+`,"messageKey":"not this","attributes":null`), 202)
	wantJSON(t, got, `{"errorcode":0,"responses":[{"messageKey":"a/b c"}]}`)
	at, _ := time.Parse(time.RFC3339, start)
	want := []sandbox.Message{
		{
			MessageKey: "m-1", DefinitionKey: "welcome", ContactKey: "ana", To: "ana@example.org", At: at, RequestID: first,
			Attributes: map[string]any{"FirstName": "Ana", "Age": json.Number("12.50")},
		},
		{MessageKey: "a/b c", DefinitionKey: "welcome", ContactKey: "ana", To: "ana@example.org", At: at, RequestID: second},
	}
	if diff := cmp.Diff(want, s.State().Messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}

	for n, key := range []string{"m-1", "a%2Fb%20c"} {
		w := send(t, s, "GET", messagesPath+"/"+key, "", auth)
		got, _ := decode(t, w.Body.String()).(map[string]any)
		delete(got, "requestId")
		wantJSON(t, got, fmt.Sprintf(`{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestamp":"2026-06-23T08:52:45.00",
			"compositeId":"5A0D8C1E-7B1F-4C55-9D52-0F5100000001.510000001.%d.1.510000777",
			"info":{"messageKey":"%s","contactKey":"ana","to":"ana@example.org"}}`, n+1, want[n].MessageKey))
	}
	same(t, send(t, s, "GET", messagesPath+"/nobody", "", auth), 404,
		`{"message":"MCMS_UTM_Runtime_ObjectNotFound: Message not found","errorcode":30003,"documentation":""}`)
}

func TestSendMessages(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	auth := authorize(t, s)
	long := strings.Repeat("é", 100)
	for _, target := range []string{messagesPath, messagesPath + "/"} {
		s.Reset()
		auth = authorize(t, s)
		got, _ := posted(t, s, auth, target, `{"DefinitionKey":"welcome","attributes":{"Shop":"A","FirstName":"you"},"recipients":[
			{"contactKey":"a","to":"a@example.org","messageKey":"m-1","attributes":{"FirstName":"Ana"}},
			{"contactKey":"b","messageKey":"m-2"},
			{"contactKey":"c","to":"nowhere","messageKey":"m-3"},
			{"contactKey":"c","to":7,"messageKey":"m-4"},
			{"to":"d@example.org","messageKey":"m-5"},
			{"contactKey":8,"to":"d@example.org","messageKey":"m-6"},
			{"contactKey":"e","to":"e@example.org","messageKey":"m-1"},
			{"contactKey":"f","to":"f@example.org","messageKey":"`+long+`x"},
			{"contactKey":"f","to":"f@example.org","messageKey":9},
			{"contactKey":"g","to":"g@example.org","messageKey":"`+long+`"}]}`, 202)
		refused := func(key, code, name, what string) string {
			return `{"messageKey":"` + key + `","errorcode":` + code + `,"message":"MCMS_UTM_Validation_` + name + `: ` + what + `"}`
		}
		wantJSON(t, got, `{"errorcode":109001,"message":"MCMS_UTM_ResponsesHasErrors: 8 subscribers failed to queue out of 10","responses":[{"messageKey":"m-1"},`+strings.Join([]string{
			refused("m-2", "109106", "MissingRequiredField_to", "Invalid subscriber"),
			refused("m-3", "109121", "InvalidValue_to", "Invalid subscriber"),
			refused("m-4", "109121", "InvalidValue_to", "Invalid subscriber"),
			refused("m-5", "109105", "MissingRequiredField_subscriberKey", "Invalid subscriber"),
			refused("m-6", "109109", "InvalidValue_subscriberKey", "Invalid subscriber"),
			refused("m-1", "109110", "DuplicateMessageKey", "Duplicate message key"),
			refused(long+"x", "109108", "InvalidValue_messageKey", "Invalid message key"),
			refused("", "109108", "InvalidValue_messageKey", "Invalid message key"),
			`{"messageKey":"` + long + `"}`,
		}, ",")+`]}`)
		messages := s.State().Messages
		if len(messages) != 2 {
			t.Fatalf("%d messages", len(messages))
		}
		got = map[string]any{"first": messages[0].Attributes, "second": messages[1].Attributes}
		if diff := cmp.Diff(map[string]any{
			"first": map[string]any{"Shop": "A", "FirstName": "Ana"}, "second": map[string]any{"Shop": "A", "FirstName": "you"},
		}, got); diff != "" {
			t.Errorf("attributes (-want +got):\n%s", diff)
		}
	}
	t.Run("a key is made when there is none", func(t *testing.T) {
		got, _ := posted(t, s, auth, messagesPath, `{"definitionKey":"welcome","recipients":[{`+ana+`},{`+ana+`,"messageKey":""}]}`, 202)
		list, _ := got["responses"].([]any)
		for _, r := range list {
			if r, _ := r.(map[string]any); !guidForm.MatchString(fmt.Sprint(r["messageKey"])) {
				t.Errorf("got %v", got)
			}
		}
	})
}

// A message key comes again after 72 hours at the earliest.
func TestDuplicateMessageKey(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	again := func(status int, want string) {
		t.Helper()
		got, _ := posted(t, s, authorize(t, s), messagesPath+"/m-1", oneMessage(ana), status)
		wantJSON(t, got, want)
	}
	const good = `{"errorcode":0,"responses":[{"messageKey":"m-1"}]}`
	const bad = `{"errorcode":109103,"message":"MCMS_UTM_Validation_NoValidSubscribers: No valid subscribers in the request",
		"responses":[{"messageKey":"m-1","errorcode":109110,"message":"MCMS_UTM_Validation_DuplicateMessageKey: Duplicate message key"}]}`
	again(202, good)
	again(400, bad)
	advance(t, s, 72*time.Hour-time.Millisecond)
	again(400, bad)
	advance(t, s, time.Millisecond)
	again(202, good)
	again(400, bad)
	if n := len(s.State().Messages); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

func TestSendMessageRefused(t *testing.T) {
	t.Parallel()
	refusal := func(code, message string) string {
		return `{"message":"MCMS_UTM_Validation_` + message + `","errorcode":` + code + `,"documentation":""}`
	}
	noDefinition := refusal("109107", "MissingRequiredField_definitionKey: The definitionKey is required.")
	unknown := refusal("109111", "InvalidValue_definitionKey: The definition does not exist.")
	recipients := func(n int, recipient, more string) string {
		return `{"definitionKey":"welcome"` + more + `,"recipients":[` + strings.Repeat(recipient+",", n-1) + recipient + `]}`
	}
	plain := `{` + ana + `}`
	for _, row := range []struct{ name, target, body, want string }{
		{"not JSON", messagesPath + "/m", `{`, badFormat},
		{"null", messagesPath + "/m", `null`, badFormat},
		{"no definition", messagesPath + "/m", `{"recipient":{` + ana + `}}`, noDefinition},
		{"empty definition", messagesPath, `{"definitionKey":"","recipients":[` + plain + `]}`, noDefinition},
		{"unknown definition", messagesPath + "/m", `{"definitionKey":"x","recipient":{` + ana + `}}`, unknown},
		{"definition a number", messagesPath + "/m", `{"definitionKey":1,"recipient":{` + ana + `}}`, unknown},
		{"no recipient", messagesPath + "/m", `{"definitionKey":"welcome"}`, refusal("109102", "NoSubscribers: The recipient is required.")},
		{"recipient a text", messagesPath + "/m", `{"definitionKey":"welcome","recipient":"x"}`, badFormat},
		{"attributes a list", messagesPath + "/m", oneMessage(ana + `,"attributes":[1]`), badFormat},
		{"recipients for one", messagesPath + "/m", recipients(1, plain, ""), refusal("109122", "UnknownFieldName: Unrecognized email field name 'recipients'")},
		{"recipient for many", messagesPath, oneMessage(ana), refusal("109122", "UnknownFieldName: Unrecognized email field name 'recipient'")},
		{"no recipients", messagesPath, `{"definitionKey":"welcome","recipients":[]}`, refusal("109102", "NoSubscribers: The recipients are required.")},
		{"a null recipient", messagesPath, recipients(1, "null", ""), badFormat},
		{"2001", messagesPath, recipients(2001, plain, ""), refusal("109101", "TooManySubscribers: 2001 recipients; the most is 2000.")},
		{"501 with attributes", messagesPath, recipients(501, `{`+ana+`,"attributes":{"a":1}}`, ""), refusal("109101", "TooManySubscribers: 501 recipients; the most is 500.")},
		{"501 with common attributes", messagesPath, recipients(501, plain, `,"attributes":{"a":1}`), refusal("109101", "TooManySubscribers: 501 recipients; the most is 500.")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			same(t, send(t, s, "POST", row.target, row.body, authorize(t, s)), 400, row.want)
			if n := len(s.State().Messages); n != 0 {
				t.Errorf("%d messages", n)
			}
		})
	}
	t.Run("as many as allowed", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		auth := authorize(t, s)
		posted(t, s, auth, messagesPath, recipients(2000, `{`+ana+`,"attributes":{}}`, `,"attributes":{}`), 202)
		posted(t, s, auth, messagesPath, recipients(500, `{`+ana+`,"attributes":{"a":1}}`, ""), 202)
	})
	t.Run("scopes", func(t *testing.T) {
		t.Parallel()
		s := newSandbox(t)
		read := authorizeWith(t, s, `{`+credentials+`,"scope":"email_read"}`)
		write := authorizeWith(t, s, `{`+credentials+`,"scope":"email_send"}`)
		got := []int{
			send(t, s, "POST", messagesPath+"/m", oneMessage(ana), read).Code, send(t, s, "POST", messagesPath, recipients(1, plain, ""), read).Code,
			send(t, s, "POST", messagesPath+"/m", oneMessage(ana), write).Code,
			send(t, s, "GET", messagesPath+"/m", "", write).Code, send(t, s, "GET", messagesPath+"/m", "", read).Code,
		}
		if diff := cmp.Diff([]int{403, 403, 202, 403, 200}, got); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
	})
}
