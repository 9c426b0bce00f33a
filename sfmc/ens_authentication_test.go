package sfmc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

func TestAuthSchemes(t *testing.T) {
	t.Parallel()
	password := scheme()
	password.GrantType, password.Username, password.Password = "password", "ana", "p4ssw0rd"
	unused := scheme()
	unused.AuthType, unused.Username, unused.Password = "oauth2", "ana", "p4ssw0rd"
	const (
		path   = "/platform/v1/ens-authentications"
		stored = `{"authId":"auth-1","authType":"oauth2","grantType":"client_credentials","authEndpoint":"https://h.example/oauth/token"}`
	)
	want := sfmc.AuthScheme{
		AuthID: "auth-1", AuthType: "oauth2", GrantType: "client_credentials", AuthEndpoint: "https://h.example/oauth/token",
	}
	known := want
	known.ClientID = "cid-9"
	withUser := known
	withUser.GrantType, withUser.Username = "password", "ana"
	unusedUser := known
	unusedUser.Username = "ana"
	create := func(s sfmc.AuthScheme) func(context.Context, *sfmc.Client) (any, error) {
		return func(ctx context.Context, c *sfmc.Client) (any, error) { return c.CreateAuthScheme(ctx, s) }
	}
	update := func(s sfmc.AuthScheme) func(context.Context, *sfmc.Client) (any, error) {
		return func(ctx context.Context, c *sfmc.Client) (any, error) { return c.UpdateAuthScheme(ctx, s) }
	}
	list := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.ListAuthSchemes(ctx) }
	find := func(ctx context.Context, c *sfmc.Client) (any, error) { return c.FindAuthScheme(ctx, "auth-1") }
	const (
		sent         = `"authType":"oauth2","grantType":"client_credentials","authEndpoint":"https://h.example/oauth/token","clientId":"cid-9","clientSecret":"top+secret=="`
		sentPassword = `"authType":"oauth2","grantType":"password","authEndpoint":"https://h.example/oauth/token","clientId":"cid-9","clientSecret":"top+secret==","username":"ana","password":"p4ssw0rd"`
	)
	check(t, map[string]exchange{
		"create, client credentials": {
			create(scheme()),
			seen{Method: "POST", Path: path, Body: "[{" + sent + "}]"},
			reply{status: 201, body: "[" + stored + "]"},
			known,
		},
		"create, password, answered by an object": {
			create(password),
			seen{Method: "POST", Path: path, Body: "[{" + sentPassword + "}]"},
			reply{status: 201, body: `{"authId":"auth-1","authType":"oauth2","grantType":"password"}`},
			withUser,
		},
		"create, a user for another grant": {
			create(unused),
			seen{Method: "POST", Path: path, Body: "[{" + sent + "}]"},
			reply{status: 201, body: stored},
			unusedUser,
		},
		"create, secrets that come back": {
			create(password),
			seen{Method: "POST", Path: path, Body: "[{" + sentPassword + "}]"},
			reply{status: 200, body: `[{"AuthId":"auth-1","GrantType":"password","clientSecret":"top+secret==","password":"p4ssw0rd"}]`},
			withUser,
		},
		"update": {
			update(scheme()),
			seen{Method: "PUT", Path: path, Body: `[{"authId":"auth-1",` + sent + "}]"},
			reply{status: 200, body: "[" + stored + "]"},
			known,
		},
		"update, no change": {
			update(scheme()),
			seen{Method: "PUT", Path: path, Body: `[{"authId":"auth-1",` + sent + "}]"},
			reply{status: 304},
			known,
		},
		"list": {
			list,
			seen{Method: "GET", Path: path},
			reply{status: 200, body: "[" + stored + `,{"authId":7,"authUrl":"https://i.example/t"}]`},
			[]sfmc.AuthScheme{want, {AuthID: "7", AuthEndpoint: "https://i.example/t"}},
		},
		"list, none": {list, seen{Method: "GET", Path: path}, reply{status: 404, body: `{"message":"none","errorcode":30003}`}, []sfmc.AuthScheme{}},
		"find":       {find, seen{Method: "GET", Path: path + "/auth-1"}, reply{status: 200, body: stored}, want},
		"delete": {
			func(ctx context.Context, c *sfmc.Client) (any, error) { return nil, c.DeleteAuthScheme(ctx, "auth-1") },
			seen{Method: "DELETE", Path: path + "/auth-1"},
			reply{status: 200},
			nil,
		},
	})
}

// Nobody has published whether a scheme is sent in an array.
func TestAuthSchemeForm(t *testing.T) {
	t.Parallel()
	const (
		good    = `{"authId":"auth-1"}`
		noForm  = `{"message":"The request body could not be parsed.","errorcode":10004}`
		noToken = `{"message":"No token from the endpoint.","errorcode":10000}`
	)
	twice := noToken + "twice"
	for name, tt := range map[string]struct {
		array, object reply
		both          bool // whether both are sent
		want          *sfmc.Error
	}{
		"array is right":  {array: reply{status: 201, body: good}},
		"object is right": {array: reply{status: 400, body: noForm}, object: reply{status: 201, body: good}, both: true},
		"neither gets a token": {
			array: reply{status: 400, body: noToken}, object: reply{status: 400, body: noToken}, both: true,
			want: &sfmc.Error{Status: 400, Code: 10000, CodeText: "10000", Message: "No token from the endpoint.", Body: []byte(noToken)},
		},
		"object is right, and gets no token": {
			array: reply{status: 400, body: noForm}, object: reply{status: 400, body: noToken}, both: true,
			want: &sfmc.Error{
				Status: 400, Code: 10004, CodeText: "10004", Message: "The request body could not be parsed.", Body: []byte(noForm),
				Additional: []sfmc.Detail{{Code: 10000, CodeText: "10000", Message: "No token from the endpoint."}},
			},
		},
		"object meets another error": {
			array: reply{status: 400, body: noForm}, object: reply{status: 403, body: `{}`}, both: true,
			want: &sfmc.Error{Status: 403, Body: []byte(`{}`)},
		},
		"no answer to the object": {
			array: reply{status: 400, body: noForm}, object: reply{status: 0}, both: true,
			want: &sfmc.Error{Status: 400, Code: 10004, CodeText: "10004", Message: "The request body could not be parsed.", Body: []byte(noForm)},
		},
		"an error of another kind": {
			array: reply{status: 500, body: twice},
			want:  &sfmc.Error{Status: 500, Body: []byte(twice)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{}
			rec.next = func(w http.ResponseWriter, r *http.Request) {
				answer := tt.object
				if strings.HasPrefix(rec.requests()[len(rec.requests())-1].Body, "[") {
					answer = tt.array
				}
				if answer.status == 0 {
					panic(http.ErrAbortHandler)
				}
				answer.ServeHTTP(w, r)
			}
			got, err := newClient(t, newServer(t, rec)).CreateAuthScheme(within(t), scheme())
			if tt.want != nil {
				tt.want.Op = sfmc.OpCreateAuthScheme
				diffError(t, *tt.want, err)
			} else if err != nil || got.AuthID != "auth-1" {
				t.Errorf("CreateAuthScheme = %+v, %v; want auth-1", got, err)
			}
			const object = `{"authType":"oauth2","grantType":"client_credentials","authEndpoint":"https://h.example/oauth/token","clientId":"cid-9","clientSecret":"top+secret=="}`
			want := []seen{{Method: "POST", Path: "/platform/v1/ens-authentications", Body: "[" + object + "]"}}
			if tt.both {
				want = append(want, seen{Method: "POST", Path: "/platform/v1/ens-authentications", Body: object})
			}
			if diff := cmp.Diff(want, rec.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// A scheme in use is told from one that does not exist.
func TestDeleteAuthSchemeInUse(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusConflict} {
		err := newClient(t, newServer(t, reply{status: status, body: `{}`})).DeleteAuthScheme(within(t), "auth-1")
		if e, ok := errors.AsType[*sfmc.Error](err); !ok || e.Status != status {
			t.Errorf("error is %v; want status %d", err, status)
		}
	}
}
