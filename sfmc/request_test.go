package sfmc_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

func ExampleTraceRequests() {
	s := tenant(202, `{"requestId":"r-1","members":[{"contactKey":"u-1001","eventInstanceId":"e-1"},{"contactKey":"u-1002","errorcode":10005,"message":"Data is not valid."}]}`)
	defer s.Close()

	var sent sfmc.Request
	ctx := sfmc.TraceRequests(context.Background(), func(r sfmc.Request) { sent = r })
	fired, err := connect(s.URL).FireEvents(ctx, "APIEvent-0a1b2c3d", []sfmc.Member{
		{ContactKey: "u-1001", Data: map[string]any{"EmailAddress": "ana@example.org"}},
		{ContactKey: "u-1002", Data: map[string]any{"EmailAddress": "bo"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sent.Method, sent.Path)
	head, elements, tail := sent.Elements()
	for i, m := range fired.Members {
		if m.Err != nil {
			fmt.Printf("%s%s%s\n", head, elements[i], tail)
		}
	}
	// Output:
	// a token is issued
	// POST /interaction/v1/async/events
	// {"eventDefinitionKey":"APIEvent-0a1b2c3d","members":[{"contactKey":"u-1002","data":{"EmailAddress":"bo"}}]}
}

// Every request is shown as the server gets it, a repeated one too; token requests
// are not, nor is what was refused at once.
func TestTraceRequests(t *testing.T) {
	t.Parallel()
	rest := &recorder{next: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }}
	requester, err := sfmc.NewTokenRequester(newServer(t, &authServer{}).URL, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
	if err != nil {
		t.Fatal(err)
	}
	c := sfmc.NewClient(sfmc.NewTokenCache(requester), sfmc.WithOrigin(newServer(t, rest).URL))
	var got []seen
	ctx := sfmc.TraceRequests(within(t), func(r sfmc.Request) {
		got = append(got, seen{Method: r.Method, Path: r.Path, Body: string(r.Body)})
	})
	calls := []func() error{
		func() error { return c.StoreRows(ctx, "Web Reg/é%3#?", row()) },
		func() error { _, err := c.AsyncResults(ctx, "j/1", 2); return err },
		func() error { return c.StoreRows(ctx, "", row()) },
	}
	for _, call := range calls {
		if call() == nil {
			t.Error("no error")
		}
	}
	if diff := cmp.Diff(rest.requests(), got); diff != "" || len(got) != 4 {
		t.Errorf("%d shown (-sent +shown):\n%s", len(got), diff)
	}
}

// A body with secrets is shown without them.
func TestTraceHidesSecrets(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	var shown string
	ctx := sfmc.TraceRequests(within(t), func(r sfmc.Request) { shown = string(r.Body) })
	_, _ = newClient(t, newServer(t, rec)).CreateAuthScheme(ctx, sfmc.AuthScheme{
		GrantType: "password", AuthEndpoint: "https://hooks.example/token", ClientID: "cid-1", ClientSecret: `s3"cr3t`, Username: "ana", Password: "p4ssword",
	})
	if sent := rec.requests()[0].Body; !strings.Contains(sent, "p4ssword") || !strings.Contains(sent, `s3\"cr3t`) {
		t.Fatalf("sent: %s", sent)
	}
	if strings.Contains(shown, "p4ss") || strings.Contains(shown, "cr3t") || !strings.Contains(shown, `"clientId":"cid-1"`) {
		t.Errorf("shown: %s", shown)
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		``:                                  nil,
		`{}`:                                nil,
		`[]`:                                nil,
		`{"a":{"b":[1]}}`:                   nil,
		`[{"a":[1,2]},{"b":"],[\"\\"}]`:     {`{"a":[1,2]}`, `{"b":"],[\"\\"}`},
		`{"key":"[1,","items":[{"a":1},2]}`: {`{"a":1}`, `2`},
		`{"o":{"p":[1]},"items":[3]}`:       {`3`},
		`[1,"cut`:                           nil,
	} {
		head, elements, tail := sfmc.Request{Body: []byte(body)}.Elements()
		var got []string
		for _, e := range elements {
			got = append(got, string(e))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
		if len(want) > 0 {
			if all := string(head) + strings.Join(got, ",") + string(tail); all != body {
				t.Errorf("%s: put together again: %s", body, all)
			}
		}
	}
}
