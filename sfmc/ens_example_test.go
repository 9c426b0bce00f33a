package sfmc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"onramp/sfmc"
)

func ExampleClient_CreateAuthScheme() {
	s := tenant(201, `[{"authId":"9f1c","authType":"oauth2","grantType":"client_credentials","authEndpoint":"https://hooks.example.org/oauth/token"}]`)
	defer s.Close()

	scheme, err := connect(s.URL).CreateAuthScheme(context.Background(), sfmc.AuthScheme{
		GrantType:    "client_credentials",
		AuthEndpoint: "https://hooks.example.org/oauth/token",
		ClientID:     "ens",
		ClientSecret: "s3cr3t",
	})
	fmt.Println(scheme.AuthID, scheme.AuthType, err)
	// Output:
	// a token is issued
	// 9f1c oauth2 <nil>
}

func ExampleClient_CreateCallback() {
	s := tenant(201, `[{"callbackName":"events","callbackId":"65b885ab","url":"https://hooks.example.org/ens/events",
		"signatureKey":"V27FXfqI3DnhfQW1bhFDeJixpt8eDAY5R24UJI3cK6M=","maxBatchSize":500}]`)
	defer s.Close()

	callback, err := connect(s.URL).CreateCallback(context.Background(), sfmc.Callback{
		CallbackName: "events",
		URL:          "https://hooks.example.org/ens/events",
		MaxBatchSize: 500,
		AuthID:       "9f1c",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Now store both, the key encrypted.
	fmt.Println(callback.CallbackID, callback.SignatureKey)
	// Output:
	// a token is issued
	// 65b885ab redacted
}

// A callback whose URL did not answer stays behind, and stands in the way of the
// next try.
func ExampleFailedCallbackID() {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/token":
			fmt.Fprint(w, `{"access_token":"eyJ.a.b","expires_in":1079,"rest_instance_url":"https://mcx.rest.marketingcloudapis.com/"}`)
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"message":"MCMS_UWH_Runtime_GeneralFailure_probeCallbackLiveness: CallbackId is 08b67f0e-5be8-4673-97e9-682c133f778c. Could not verify callback url","errorcode":10000}`)
		default:
			fmt.Println(r.Method, r.URL.Path)
		}
	}))
	defer s.Close()
	client := connect(s.URL)

	_, err := client.CreateCallback(context.Background(), sfmc.Callback{CallbackName: "events", URL: "https://hooks.example.org/ens/events"})
	if id := sfmc.FailedCallbackID(err); id != "" {
		fmt.Println(client.DeleteCallback(context.Background(), id))
	}
	// Output:
	// DELETE /platform/v1/ens-callbacks/08b67f0e-5be8-4673-97e9-682c133f778c
	// <nil>
}

func ExampleClient_VerifyCallback() {
	s := tenant(200, "")
	defer s.Close()

	err := connect(s.URL).VerifyCallback(context.Background(), "65b885ab", "xv8pMrf9bxsvKhqvXjRjSphEK2WfPmuq+VBhzQfntJs=")
	fmt.Println(err)
	// Output:
	// a token is issued
	// <nil>
}

func ExampleClient_ListCallbacks() {
	s := tenant(200, `[{"callbackId":"65b885ab","callbackName":"events","url":"https://hooks.example.org/ens/events","maxBatchSize":500,"status":"verified","statusReason":"none"}]`)
	defer s.Close()

	callbacks, err := connect(s.URL).ListCallbacks(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, cb := range callbacks {
		fmt.Println(cb.CallbackName, cb.URL, cb.MaxBatchSize, cb.Verified())
	}
	// Output:
	// a token is issued
	// events https://hooks.example.org/ens/events 500 true
}

// A callback cannot go while it has subscriptions.
func ExampleClient_DeleteCallback() {
	s := tenant(409, `{"message":"Subscriptions exist for this callback.","errorcode":30002,"documentation":""}`)
	defer s.Close()

	err := connect(s.URL).DeleteCallback(context.Background(), "65b885ab")
	e, ok := errors.AsType[*sfmc.Error](err)
	switch {
	case ok && e.Status == http.StatusNotFound:
		fmt.Println("it is gone already")
	case ok && e.Status == http.StatusConflict:
		fmt.Println("delete its subscriptions first")
	default:
		fmt.Println(err)
	}
	// Output:
	// a token is issued
	// delete its subscriptions first
}

func ExampleClient_CreateSubscription() {
	s := tenant(201, `[{"callbackId":"65b885ab","callbackName":"events","subscriptionName":"welcome","subscriptionId":"d89c87c4",
		"eventCategoryTypes":["TransactionalSendEvents.EmailSent","TransactionalSendEvents.EmailBounced"],"filters":["definitionKey=welcome"],"status":"active"}]`)
	defer s.Close()

	subscription, err := connect(s.URL).CreateSubscription(context.Background(), sfmc.Subscription{
		SubscriptionName:   "welcome",
		CallbackID:         "65b885ab",
		EventCategoryTypes: []string{"TransactionalSendEvents.EmailSent", "TransactionalSendEvents.EmailBounced"},
		Filters:            []string{"definitionKey=welcome"},
	})
	fmt.Println(subscription.SubscriptionID, subscription.Status, err)
	// Output:
	// a token is issued
	// d89c87c4 active <nil>
}

// Take what there is, and change the status of it.
func ExampleClient_UpdateSubscription() {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/v2/token":
			fmt.Fprint(w, `{"access_token":"eyJ.a.b","expires_in":1079,"rest_instance_url":"https://mcx.rest.marketingcloudapis.com/"}`)
		case r.Method == http.MethodGet:
			fmt.Fprint(w, `{"callbackId":"65b885ab","subscriptionName":"welcome","subscriptionId":"d89c87c4","eventCategoryTypes":["TransactionalSendEvents.EmailSent"],"status":"active"}`)
		default:
			fmt.Printf("%s %s\n", r.Method, body)
			_, _ = w.Write(body)
		}
	}))
	defer s.Close()
	client := connect(s.URL)

	subscription, err := client.FindSubscription(context.Background(), "d89c87c4")
	if err != nil {
		fmt.Println(err)
		return
	}
	subscription.Status, subscription.StatusReason = "paused", "maintenance"
	subscription, err = client.UpdateSubscription(context.Background(), subscription)
	fmt.Println(subscription.Status, err)
	// Output:
	// PUT [{"subscriptionId":"d89c87c4","subscriptionName":"welcome","eventCategoryTypes":["TransactionalSendEvents.EmailSent"],"filters":[],"status":"paused","statusReason":"maintenance"}]
	// paused <nil>
}

// A receiver of events: the body is verified as it came, before it is parsed.
func ExampleVerifySignature() {
	const key sfmc.Secret = "V27FXfqI3DnhfQW1bhFDeJixpt8eDAY5R24UJI3cK6M=" // of Callback.SignatureKey
	receiver := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		form, ok := sfmc.VerifySignature(key, body, r.Header.Get("x-sfmc-ens-signature"))
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Println("signed with the", form, "key")
	})

	events := `[{"eventCategoryType":"TransactionalSendEvents.SmsDelivered"}]`
	for _, signature := range []string{"vXcPKkWlJ3RSEynlUJLPMaAyD/F/SCDAvUYnu7GKHD8=", "AAAAKkWlJ3RSEynlUJLPMaAyD/F/SCDAvUYnu7GKHD8="} {
		r := httptest.NewRequest(http.MethodPost, "/ens/events", strings.NewReader(events))
		r.Header.Set("x-sfmc-ens-signature", signature)
		w := httptest.NewRecorder()
		receiver(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// signed with the decoded key
	// 200
	// 403
}

func ExampleSignEvents() {
	events := []byte(`[{"eventCategoryType":"TransactionalSendEvents.SmsDelivered"}]`)
	fmt.Println(sfmc.SignEvents("V27FXfqI3DnhfQW1bhFDeJixpt8eDAY5R24UJI3cK6M=", events))
	// Output: vXcPKkWlJ3RSEynlUJLPMaAyD/F/SCDAvUYnu7GKHD8=
}
