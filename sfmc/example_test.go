package sfmc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"onramp/sfmc"
)

// tenant stands in for Marketing Cloud: a token route and one answer for all
// else.
func tenant(status int, body string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/token" {
			fmt.Println("a token is issued")
			fmt.Fprint(w, `{"access_token":"eyJ.a.b","token_type":"Bearer","expires_in":1079,"rest_instance_url":"https://mcx.rest.marketingcloudapis.com/"}`)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
}

// connect makes a client for a stand-in. For Marketing Cloud itself the auth URL
// comes from AuthURL, and there is no WithOrigin.
func connect(url string) *sfmc.Client {
	tokens, err := sfmc.NewTokenRequester(url, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
	if err != nil {
		panic(err)
	}
	return sfmc.NewClient(sfmc.NewTokenCache(tokens), sfmc.WithOrigin(url))
}

// network answers requests in place of Marketing Cloud's hosts.
type network func(*http.Request) *http.Response

func (n network) RoundTrip(r *http.Request) (*http.Response, error) { return n(r), nil }

func ExampleNew() {
	hosts := network(func(r *http.Request) *http.Response {
		fmt.Println(r.Method, r.URL)
		w := httptest.NewRecorder()
		if r.URL.Path == "/v2/token" {
			fmt.Fprint(w, `{"access_token":"eyJ.a.b","expires_in":1079,"rest_instance_url":"https://mcx.rest.marketingcloudapis.com/"}`)
		} else {
			_, _ = io.Copy(w, r.Body) // Marketing Cloud repeats the rows that it has stored
		}
		return w.Result()
	})
	client, err := sfmc.New("mcx", sfmc.Credentials{
		ClientID:     "cid-1",
		ClientSecret: "s3cr3t",
		AccountID:    "510000001", // the MID of the business unit
	}, sfmc.WithHTTPClient(&http.Client{Transport: hosts}))
	if err != nil {
		fmt.Println(err)
		return
	}

	err = client.StoreRows(context.Background(), "Web_Registrations", []sfmc.Row{{
		Keys:   map[string]any{"SubscriberKey": "u-1001"},
		Values: map[string]any{"EmailAddress": "ana@example.org"},
	}})
	fmt.Println(err)
	// Output:
	// POST https://mcx.auth.marketingcloudapis.com/v2/token
	// POST https://mcx.rest.marketingcloudapis.com/hub/v1/dataevents/key:Web_Registrations/rowset
	// <nil>
}

func ExampleAuthURL() {
	fmt.Println(sfmc.AuthURL("mc0123456789abcdefghijklmnop"))
	_, err := sfmc.AuthURL("evil.example/")
	fmt.Println(err)
	// Output:
	// https://mc0123456789abcdefghijklmnop.auth.marketingcloudapis.com/ <nil>
	// subdomain "evil.example/": invalid argument: want one DNS label of letters, digits and hyphens
}

func ExampleClient_UpsertRows() {
	s := tenant(200, `[{"keys":{"SubscriberKey":"u-1001"},"values":{"EmailAddress":"ana@example.org","OptInStatus":true}}]`)
	defer s.Close()
	client := connect(s.URL)

	rows, err := client.UpsertRows(context.Background(), "Web_Registrations", []sfmc.Row{{
		Keys:   map[string]any{"SubscriberKey": "u-1001"},
		Values: map[string]any{"EmailAddress": "ana@example.org", "OptInStatus": true},
	}})
	fmt.Println(rows, err)
	// Output:
	// a token is issued
	// [{map[SubscriberKey:u-1001] map[EmailAddress:ana@example.org OptInStatus:true]}] <nil>
}

func ExampleClient_StoreRows() {
	s := tenant(200, `[{"keys":{"SubscriberKey":"u-1001"},"values":{"OptInStatus":true}}]`)
	defer s.Close()
	client := connect(s.URL)

	err := client.StoreRows(context.Background(), "Web_Registrations", []sfmc.Row{{
		Keys:   map[string]any{"SubscriberKey": "u-1001"},
		Values: json.RawMessage(`{"OptInStatus":true}`),
	}})
	fmt.Println(err)
	// Output:
	// a token is issued
	// <nil>
}

func ExampleClient_UpsertRowsAsync() {
	s := tenant(202, `{"requestId":"2f0c1a52-7a2c-4a55-9c43-0d7f7a3f5b11","resultMessages":[]}`)
	defer s.Close()
	client := connect(s.URL)

	requestID, err := client.UpsertRowsAsync(context.Background(), "Web_Registrations", []any{
		map[string]any{"SubscriberKey": "u-1001", "EmailAddress": "ana@example.org"},
		json.RawMessage(`{"SubscriberKey":"u-1002","EmailAddress":"bo@example.org"}`),
	})
	fmt.Println(requestID, err)
	// Output:
	// a token is issued
	// 2f0c1a52-7a2c-4a55-9c43-0d7f7a3f5b11 <nil>
}

func ExampleClient_InsertRowsAsync() {
	s := tenant(400, `{"requestId":"2f0c","resultMessages":[{"resultType":"Validation","resultClass":"Error",
		"resultCode":"CustomObjectNotFound","message":"Failed to resolve the Custom Object."}]}`)
	defer s.Close()
	client := connect(s.URL)

	_, err := client.InsertRowsAsync(context.Background(), "No_Such_Key", []any{
		map[string]any{"SubscriberKey": "u-1001"},
	})
	fmt.Println(err)
	// Output:
	// a token is issued
	// insert rows asynchronously: 400 Bad Request: code CustomObjectNotFound: Failed to resolve the Custom Object.
}

func ExampleClient_AsyncStatus() {
	s := tenant(200, `{"status":{"hasErrors":true,"requestStatus":"Complete","resultStatus":"Has Errors"}}`)
	defer s.Close()
	client := connect(s.URL)

	status, err := client.AsyncStatus(context.Background(), "2f0c1a52-7a2c-4a55-9c43-0d7f7a3f5b11")
	fmt.Println(status.Found, status.Done(), status.AllOK(), err)
	// Output:
	// a token is issued
	// true true false <nil>
}

func ExampleClient_AsyncResults() {
	s := tenant(200, `{"page":1,"pageSize":50,"count":2,"items":[
		{"message":"Upserted DataExtensionObject","status":"OK"},
		{"errorCode":2,"status":"Error","message":"Required keys are missing.",
			"errors":[{"errorMessage":"Column [contactkey] does not allow null value.","name":"contactkey","errorCode":70001}]}]}`)
	defer s.Close()
	client := connect(s.URL)

	var rows []sfmc.RowResult
	for page := 1; ; page++ {
		results, err := client.AsyncResults(context.Background(), "2f0c1a52-7a2c-4a55-9c43-0d7f7a3f5b11", page)
		if err != nil {
			fmt.Println(err)
			return
		}
		rows = append(rows, results.Items...)
		if len(results.Items) == 0 || len(rows) >= results.Count {
			break
		}
	}
	for i, row := range rows {
		fmt.Println(i, row.OK, row.Message)
		for _, e := range row.Errors {
			fmt.Println(" ", e.Name, e.Code, e.Message)
		}
	}
	// Output:
	// a token is issued
	// 0 true Upserted DataExtensionObject
	// 1 false Required keys are missing.
	//   contactkey 70001 Column [contactkey] does not allow null value.
}

func ExampleClient_FireEvents() {
	s := tenant(202, `{"requestId":"r-1","count":2,"notQueuedCount":1,"members":[
		{"contactKey":"u-1001","eventInstanceId":"a1b2"},
		{"contactKey":"u-1002","eventInstanceId":"c3d4","errorcode":10005,"message":"Data is not valid."}]}`)
	defer s.Close()
	client := connect(s.URL)

	fired, err := client.FireEvents(context.Background(), "APIEvent-0a1b2c3d", []sfmc.Member{
		{ContactKey: "u-1001", Data: map[string]any{"EmailAddress": "ana@example.org"}},
		{ContactKey: "u-1002", Data: map[string]any{"EmailAddress": "bo"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range fired.Members {
		if m.Err != nil {
			fmt.Println(m.ContactKey, m.Err)
			continue
		}
		fmt.Println(m.ContactKey, m.EventInstanceID)
	}
	// Output:
	// a token is issued
	// u-1001 a1b2
	// u-1002 fire events: 202 Accepted: code 10005: Data is not valid.
}

func ExampleClient_SendMessage() {
	s := tenant(202, `{"requestId":"r-1","errorcode":0,"responses":[{"messageKey":"0197a2b4"}]}`)
	defer s.Close()
	client := connect(s.URL)

	requestID, err := client.SendMessage(context.Background(), "0197a2b4", "welcome", sfmc.Recipient{
		ContactKey: "u-1001",
		To:         "ana@example.org",
		Attributes: map[string]any{"FirstName": "Ana"},
	})
	fmt.Println(requestID, err)
	// Output:
	// a token is issued
	// r-1 <nil>
}

// A call that is repeated because its answer was lost is answered so.
func ExampleError_DuplicateMessageKey() {
	s := tenant(202, `{"requestId":"r-2","errorcode":109001,"message":"MCMS_UTM_ResponsesHasErrors","responses":[
		{"messageKey":"0197a2b4","errorcode":109110,"message":"MCMS_UTM_Validation_DuplicateMessageKey"}]}`)
	defer s.Close()
	client := connect(s.URL)

	_, err := client.SendMessage(context.Background(), "0197a2b4", "welcome", sfmc.Recipient{ContactKey: "u-1001", To: "ana@example.org"})
	if e, ok := errors.AsType[*sfmc.Error](err); ok && e.DuplicateMessageKey() {
		fmt.Println("it was sent before")
	}
	// Output:
	// a token is issued
	// it was sent before
}

func ExampleClient_SendMessages() {
	s := tenant(202, `{"requestId":"r-1","errorcode":109001,"message":"MCMS_UTM_ResponsesHasErrors: 1 subscribers failed to queue out of 2",
		"responses":[{"messageKey":"m-1"},{"messageKey":"m-2","errorcode":109121,"message":"MCMS_UTM_Validation_InvalidValue_to"}]}`)
	defer s.Close()
	client := connect(s.URL)

	sent, err := client.SendMessages(context.Background(), "welcome", []sfmc.Recipient{
		{ContactKey: "u-1001", To: "ana@example.org", MessageKey: "m-1"},
		{ContactKey: "u-1002", To: "bo", MessageKey: "m-2"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range sent.Messages {
		fmt.Println(m.MessageKey, m.Err == nil)
	}
	// Output:
	// a token is issued
	// m-1 true
	// m-2 false
}

func ExampleClient_FireEvent() {
	s := tenant(201, `{"eventInstanceId":"a1b2c3d4-e5f6-7890-abcd-ef1234567890"}`)
	defer s.Close()
	client := connect(s.URL)

	id, err := client.FireEvent(context.Background(), sfmc.JourneyEntry{
		ContactKey:         "u-1001",
		EventDefinitionKey: "APIEvent-0a1b2c3d",
		Data: struct {
			SubscriberKey, EmailAddress string
		}{"u-1001", "ana@example.org"},
	})
	fmt.Println(id, err)
	// Output:
	// a token is issued
	// a1b2c3d4-e5f6-7890-abcd-ef1234567890 <nil>
}

func ExampleError() {
	s := tenant(400, `{"message":"Unable to save rows for data extension ID 7c0e","errorcode":10006,"documentation":"",
		"additionalErrors":[{"message":"Phone: The value for column [Phone] is not a valid phone number.","errorcode":10000}]}`)
	defer s.Close()

	_, err := connect(s.URL).UpsertRows(context.Background(), "Web_Registrations", []sfmc.Row{{
		Keys:   map[string]any{"SubscriberKey": "u-1001"},
		Values: map[string]any{"Phone": "call me"},
	}})
	fmt.Println(err)
	if e, ok := errors.AsType[*sfmc.Error](err); ok {
		fmt.Println(e.Op, e.Status, e.Code, len(e.Additional), e.RetryAfter)
	}
	// Output:
	// a token is issued
	// upsert rows: 400 Bad Request: code 10006: Unable to save rows for data extension ID 7c0e: Phone: The value for column [Phone] is not a valid phone number.
	// upsert rows 400 10006 1 0s
}

func ExampleNewTokenRequester() {
	s := tenant(200, "")
	defer s.Close()

	tokens, err := sfmc.NewTokenRequester(s.URL, sfmc.Credentials{
		ClientID:     "cid-1",
		ClientSecret: "s3cr3t",
		AccountID:    "510000001",
		Scopes:       []string{"data_extensions_write", "journeys_read"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := tokens.Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.AccessToken, token.RESTInstanceURL)
	// Output:
	// a token is issued
	// redacted https://mcx.rest.marketingcloudapis.com/
}

func ExampleNewTokenCache() {
	s := tenant(200, "")
	defer s.Close()
	tokens, err := sfmc.NewTokenRequester(s.URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
	if err != nil {
		fmt.Println(err)
		return
	}

	cache := sfmc.NewTokenCache(tokens)
	for range 3 { // one request for all three
		_, err := cache.Token(context.Background())
		fmt.Println(err)
	}
	// Output:
	// a token is issued
	// <nil>
	// <nil>
	// <nil>
}

// tokenFile keeps a token in a file that only its owner may read.
type tokenFile string

func (f tokenFile) LoadToken(context.Context) (*sfmc.Token, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return sfmc.DecodeToken(data)
}

func (f tokenFile) SaveToken(_ context.Context, t *sfmc.Token) error {
	data, err := t.Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(string(f), data, 0o600)
}

func ExampleWithTokenStore() {
	s := tenant(200, "")
	defer s.Close()
	dir, err := os.MkdirTemp("", "sfmc")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	tokens, err := sfmc.NewTokenRequester(s.URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
	if err != nil {
		fmt.Println(err)
		return
	}

	for range 2 { // the second time stands for a restart
		cache := sfmc.NewTokenCache(tokens, sfmc.WithTokenStore(tokenFile(filepath.Join(dir, "token"))))
		_, err := cache.Token(context.Background())
		fmt.Println(err)
	}
	// Output:
	// a token is issued
	// <nil>
	// <nil>
}

func ExampleWithOrigin() {
	sandbox := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/v2/token" {
			fmt.Fprint(w, `{"access_token":"eyJ.a.b","expires_in":1079,"rest_instance_url":"http://its-own-name:8080"}`)
			return
		}
		fmt.Printf("%s %s %s\n", r.Method, r.URL.EscapedPath(), body)
		_, _ = w.Write(body) // the rows that it has stored
	}))
	defer sandbox.Close()

	_, err := connect(sandbox.URL).UpsertRows(context.Background(), "Web Registrations", []sfmc.Row{{
		Keys: map[string]any{"SubscriberKey": "u-1001"},
	}})
	fmt.Println(err)
	// Output:
	// POST /hub/v1/dataevents/key:Web%20Registrations/rowset [{"keys":{"SubscriberKey":"u-1001"},"values":{}}]
	// <nil>
}

func ExampleSecret() {
	secret := sfmc.Secret("s3cr3t")
	fmt.Println(secret, secret.Reveal())
	// Output: redacted s3cr3t
}
