package outbound_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/outbound"
)

// A call that the fence stops was not made, whatever it would have done: it is not
// unknown, and no try is used up.
func TestFence(t *testing.T) {
	t.Parallel()
	async := dataExtension
	async.Mode = onramp.Async
	for name, c := range map[string]onramp.Call{
		"data extension": one(dataExtension), "asynchronous": {Destination: async, Async: true, Deliveries: one(async).Deliveries},
		"journey": one(journey), "message": one(mail),
		"journey, several": {Destination: journey, Deliveries: []onramp.Delivery{delivery(), delivery()}},
	} {
		for _, at := range []string{"at the token", "at the call"} {
			t.Run(name+", "+at, func(t *testing.T) {
				t.Parallel()
				var closed atomic.Bool
				var calls atomic.Int64
				cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/v2/token" {
						calls.Add(1)
						return
					}
					closed.Store(true)
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write([]byte(`{"access_token":"t","token_type":"Bearer","expires_in":1079,"rest_instance_url":"https://x.rest.marketingcloudapis.com/"}`))
				}))
				t.Cleanup(cloud.Close)
				closed.Store(at == "at the token")
				s, err := outbound.New(outbound.Config{
					AuthURL: cloud.URL, ClientID: "id", ClientSecret: "secret", AccountID: "1", Timeout: 10 * time.Second,
					Fence: func() error {
						if closed.Load() {
							return errors.New("the lease is over")
						}
						return nil
					},
				}, noKeeper{}, func(error) {})
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range s.Send(t.Context(), c) {
					if o.Verdict != onramp.Throttled || !strings.Contains(o.Detail, "the lease is over") {
						t.Errorf("outcome %+v", o)
					}
				}
				if n := calls.Load(); n != 0 {
					t.Errorf("%d calls arrived", n)
				}
			})
		}
	}
}
