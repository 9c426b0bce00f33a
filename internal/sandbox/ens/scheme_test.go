package ens_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox/ens"
)

// A scheme with callbacks stays.
func TestSchemeInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, ens.Config{})
	id, other := r.scheme(clientScheme), r.scheme(userScheme)
	callback := r.callback(`,"authId":"` + id + `"`)
	r.call("DELETE", schemesPath+"/"+id, "", 409,
		`{"message":"Callbacks exist for the authentication. Remove it from all callbacks before deleting it.","errorcode":30002,"documentation":""}`)
	r.call("DELETE", schemesPath+"/"+other, "", 200, `{}`)
	r.send("PUT", callbacksPath, `{"callbackId":"`+callback+`","callbackName":"a","authId":""}`, "")
	r.call("DELETE", schemesPath+"/"+id, "", 200, `{}`)
	if authID, _ := r.Terms(callback); authID != "" {
		t.Errorf("the scheme %s has gone but is used", authID)
	}
}

// The token of a scheme is kept until it expires on the host's clock, or is let
// go.
func TestTokenKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, ens.Config{})
	id := r.scheme(clientScheme)
	want := func(token string, renew bool) {
		t.Helper()
		if got, err := r.SchemeToken(t.Context(), id, renew); got != token || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, token)
		}
	}
	want("t-1", false) // of the check at creation
	r.advance(time.Hour - 1)
	want("t-1", false)
	r.advance(1)
	want("t-2", false)
	want("t-3", true)
	want("t-3", false)
	r.send("PUT", schemesPath, `{"authId":"`+id+`","clientSecret":"new"}`, "")
	want("t-4", false)

	// A token without a life lasts until it is let go.
	r.customer.answer = func(w http.ResponseWriter) bool {
		_, _ = io.WriteString(w, `{"access_token":"long"}`)
		return true
	}
	want("long", true)
	r.customer.answer = nil
	r.advance(1000 * time.Hour)
	want("long", false)
	// In seconds, as a text.
	r.customer.answer = func(w http.ResponseWriter) bool {
		_, _ = io.WriteString(w, `{"access_token":"text","expires_in":"1.5"}`)
		return true
	}
	want("text", true)
	r.customer.answer = nil
	r.advance(1500 * time.Millisecond)
	want("t-5", false)

	r.call("DELETE", schemesPath+"/"+id, "", 200, `{}`)
	if got, err := r.SchemeToken(t.Context(), id, false); err == nil || err.Error() != "UnknownError. The authentication scheme does not exist." {
		t.Errorf("got %q, %v", got, err)
	}
}

// A token of the credentials that a scheme had before is not kept.
func TestTokenOfOldCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t, ens.Config{})
	id := r.scheme(clientScheme)
	once := false
	r.customer.answer = func(w http.ResponseWriter) bool {
		if once {
			return false
		}
		once = true
		r.send("PUT", schemesPath, `{"authId":"`+id+`","clientSecret":"new"}`, "")
		_, _ = io.WriteString(w, `{"access_token":"old"}`)
		return true
	}
	var got []string
	for _, renew := range []bool{true, false} {
		token, err := r.SchemeToken(t.Context(), id, renew)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, token)
	}
	if diff := cmp.Diff([]string{"old", "t-2"}, got); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}
