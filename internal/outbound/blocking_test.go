package outbound_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// ofForms are deliveries that send the given values, each for the form before the
// colon.
func ofForms(rows ...string) []onramp.Delivery {
	deliveries := make([]onramp.Delivery, len(rows))
	for i, row := range rows {
		form, values, _ := strings.Cut(row, ":")
		key := fmt.Sprint("p", i)
		deliveries[i] = onramp.Delivery{RegistrationID: "r" + key, Step: 1, SubscriberKey: key, Form: form, Values: json.RawMessage(values)}
	}
	return deliveries
}

// verdict is what a test of this file wants to know of an outcome.
type verdict struct {
	Verdict onramp.Verdict
	Columns bool
}

func verdictsOf(outcomes []onramp.Outcome) []verdict {
	short := make([]verdict, len(outcomes))
	for i, o := range outcomes {
		short[i] = verdict{o.Verdict, o.Columns}
	}
	return short
}

var (
	delivered = verdict{Verdict: onramp.Delivered}
	dead      = verdict{Verdict: onramp.Rejected}
	allWait   = verdict{Verdict: onramp.Blocked}
	formWaits = verdict{Verdict: onramp.Blocked, Columns: true}
)

func refusal(code int, message string, additional ...string) reply {
	body := map[string]any{"message": message, "errorcode": code, "documentation": ""}
	var more []map[string]any
	for _, m := range additional {
		more = append(more, map[string]any{"message": m, "errorcode": 10000, "documentation": ""})
	}
	if more != nil {
		body["additionalErrors"] = more
	}
	text, _ := json.Marshal(body)
	return reply{status: 400, body: string(text)}
}

// What is refused alike for every delivery blocks the destination, and what is refused
// for columns those that send the same ones; a row's own value makes a dead letter.
func TestWhomARefusalConcerns(t *testing.T) {
	t.Parallel()
	const email = `a:{"EmailAddress":"x"}`
	const notSaved = "Unable to save rows"
	noField := reply{status: 400, body: `{"message":"Event Data contains errors:","errorcode":10006,"documentation":"","validationErrors":[{"message":"Required Event Data fields are missing: emailaddress, city","errorcode":10000,"documentation":""}]}`}
	for _, row := range []struct {
		name   string
		to     onramp.Destination
		answer reply
		values string
		want   verdict
	}{
		{"data extension, 404", dataExtension, reply{status: 404}, email, allWait},
		{"data extension, 400 with the code", dataExtension, refusal(30003, "Object Not Found"), email, allWait},
		{"key without its prefix", dataExtension, refusal(10001, "Parameter {guid} is invalid."), email, allWait},
		{"a value of the wrong type", dataExtension, refusal(10001, "Age is not a number"), email, dead},
		{"primary key", dataExtension, refusal(10000, "Primary key 'subscriberkey' does not exist."), email, allWait},
		{"none of the columns", dataExtension, refusal(10006, notSaved, "At least one existing field is required in the values property"), email, formWaits},
		{"no columns", dataExtension, refusal(10006, notSaved, "At least one existing field is required in the values property"), `a:{}`, dead},
		{"a column that is not sent", dataExtension, refusal(10006, notSaved, "City: Column [City] does not allow null value."), email, formWaits},
		{"a column that is sent empty", dataExtension, refusal(10006, notSaved, "City: Column [City] does not allow null value."), `a:{"EmailAddress":"x","city":""}`, dead},
		{"unknown column", dataExtension, refusal(10006, notSaved, "Column EmailAddress does not exist."), email, formWaits},
		{"SQL Server's unknown column", dataExtension, refusal(10006, notSaved, "Invalid column name 'EmailAddress'."), email, formWaits},
		{"something else that does not exist", dataExtension, refusal(10006, notSaved, "The locale EmailAddressX does not exist."), email, dead},
		{"a value beside a missing column", dataExtension, refusal(10006, notSaved, "EmailAddress: The value for column [EmailAddress] is not a valid email address.", "City: Column [City] does not allow null value."), email, formWaits},
		{"invalid state of a row", dataExtension, reply{status: 409, body: `{"message":"no","errorcode":30002}`}, email, dead},
		{"event definition, code", journey, refusal(30003, "Event Definition not found: APIEvent-1"), email, allWait},
		{"event definition, words", journey, refusal(10000, "Event Definition not found"), email, allWait},
		{"event definition, other words", journey, refusal(10000, "EventDefinitionKey not found"), email, allWait},
		{"journey that is not published", journey, refusal(30001, "The journey is not published."), email, allWait},
		{"journey that is stopped", journey, reply{status: 409, body: `{"message":"stopped","errorcode":30002}`}, email, allWait},
		{"contact that is not active", journey, refusal(10000, "The contact is not active."), email, dead},
		{"field that is not sent", journey, noField, email, formWaits},
		{"field that the person left empty", journey, noField, `a:{"EmailAddress":"","City":""}`, dead},
		{"unknown field", journey, refusal(10005, "The field EmailAddress does not exist in the data extension of the event definition."), email, formWaits},
		{"message definition", message, refusal(109111, "MCMS_UTM_Validation_InvalidValue_definitionKey: The definition does not exist."), email, allWait},
		{"message definition that is gone", message, refusal(30003, "MCMS_UTM_Runtime_ObjectNotFound"), email, allWait},
		{"message definition in a wrong state", message, refusal(30001, "MCMS_UTM_Runtime_InvalidOperation"), email, allWait},
		{"field that messages do not know", message, refusal(109122, "Unrecognized email field name 'x'"), email, formWaits},
		{"address of a message", message, refusal(109121, "MCMS_UTM_Validation_InvalidValue_to: Invalid subscriber"), email, dead},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := &account{answer: func(*http.Request, string) reply { return row.answer }}
			got := a.sends(t).Send(t.Context(), onramp.Call{Destination: row.to, Deliveries: ofForms(row.values)})
			if diff := cmp.Diff([]verdict{row.want}, verdictsOf(got)); diff != "" {
				t.Error(diff, got[0].Detail)
			}
		})
	}
}

// In a call for several forms only those wait whose columns are refused.
func TestColumnsOfForms(t *testing.T) {
	t.Parallel()
	const good, wrong, other = `good:{"City":"x"}`, `wrong:{"Ctiy":"x"}`, `other:{"Name":"x"}`
	// refuses as the vendor does: rows up to the first bad one are saved
	sync := func(bad, complaint string) func(*http.Request, string) reply {
		return func(_ *http.Request, body string) reply {
			if strings.Contains(body, bad) {
				return refusal(10006, "Unable to save rows", complaint)
			}
			return reply{status: 200, body: body}
		}
	}
	for _, row := range []struct {
		name   string
		rows   []string
		answer func(*http.Request, string) reply
		want   []verdict
		calls  int
	}{
		{"unknown column", []string{good, wrong, other, wrong}, sync("Ctiy", "Column Ctiy does not exist."), []verdict{delivered, formWaits, delivered, formWaits}, 2},
		{"none of the columns", []string{good, wrong, wrong, good}, sync("Ctiy", "At least one existing field is required in the values property"), []verdict{delivered, formWaits, formWaits, delivered}, 7},
		{"missing column of one form", []string{good, other, other}, sync("Name", "City: Column [City] does not allow null value."), []verdict{delivered, formWaits, formWaits}, 2},
		{"missing value of one row", []string{`good:{"City":"x","Note":"y"}`, `good:{"Note":"n"}`}, sync(`{"Note":"n"}`, "City: Column [City] does not allow null value."), []verdict{delivered, dead}, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := &account{answer: row.answer}
			got := a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Deliveries: ofForms(row.rows...)})
			if diff := cmp.Diff(row.want, verdictsOf(got)); diff != "" {
				t.Error(diff)
			}
			if len(a.calls) != row.calls {
				t.Errorf("%d calls, want %d", len(a.calls), row.calls)
			}
		})
	}
}

// The same of the routes that answer for each row.
func TestColumnsOfRows(t *testing.T) {
	t.Parallel()
	const good, wrong = `good:{"City":"x"}`, `wrong:{"Ctiy":"x"}`
	t.Run("asynchronous", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			const (
				unknown = `{"errorCode":2,"status":"Error","message":"Not saved.","errors":[{"errorMessage":"The column does not exist.","name":"ctiy","errorCode":70001}]}`
				null    = `{"errorCode":2,"status":"Error","message":"Not saved.","errors":[{"errorMessage":"Column [city] does not allow null value.","name":"city","errorCode":70001}]}`
			)
			j := &job{reply{status: 202, body: `{"requestId":"j1"}`}, []reply{status("Complete", "Has Errors", true)}, []reply{results(1, 4, rowOK, unknown, null, null)}, 0}
			a := &account{answer: j.answer}
			got := a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Async: true, Deliveries: ofForms(good, wrong, wrong, `good:{"Name":"x"}`)})
			if diff := cmp.Diff([]verdict{delivered, formWaits, formWaits, dead}, verdictsOf(got)); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("events", func(t *testing.T) {
		t.Parallel()
		a := &account{answer: func(*http.Request, string) reply {
			return reply{status: 202, body: `{"requestId":"q1","count":3,"notQueuedCount":2,"members":[{"contactKey":"p0","eventInstanceId":"i0"},` +
				`{"contactKey":"p1","errorcode":10005,"message":"The field Ctiy does not exist in the data extension of the event definition."},` +
				`{"contactKey":"p2","errorcode":10005,"message":"Invalid value."}]}`}
		}}
		got := a.sends(t).Send(t.Context(), onramp.Call{Destination: journey, Deliveries: ofForms(good, wrong, good)})
		if diff := cmp.Diff([]verdict{delivered, formWaits, dead}, verdictsOf(got)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("asynchronous, unknown data extension", func(t *testing.T) {
		t.Parallel()
		for _, status := range []int{200, 400} {
			a := &account{answer: func(*http.Request, string) reply {
				return reply{status: status, body: `{"requestId":"x","resultMessages":[{"resultType":"Validation","resultClass":"Error","resultCode":"CustomObjectNotFound","message":"Failed to resolve the Custom Object from the provided ObjectReferenceIdentifier [Id: , Key: DE1]."}]}`}
			}}
			got := a.sends(t).Send(t.Context(), onramp.Call{Destination: dataExtension, Async: true, Deliveries: ofForms(good, wrong)})
			if diff := cmp.Diff([]verdict{allWait, allWait}, verdictsOf(got)); diff != "" || len(a.calls) != 1 {
				t.Error(diff, a.calls)
			}
		}
	})
}
