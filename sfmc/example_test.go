package sfmc_test

import (
	"context"
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

func ExampleClient_FireEvent() {
	s := tenant(201, `{"eventInstanceId":"a1b2c3d4-e5f6-7890-abcd-ef1234567890"}`)
	defer s.Close()
	client := connect(s.URL)

	id, err := client.FireEvent(context.Background(), sfmc.Event{
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
