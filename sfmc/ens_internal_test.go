package sfmc

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// Whatever a stranger answers, there is a result with an id or an *Error within its
// bounds, and no secret comes back in it.
func FuzzNotificationAnswer(f *testing.F) {
	for _, body := range []string{
		``, `""`, `null`, `[]`, `{}`, `[{}]`, `[null]`, `<html>`, `OK`, `[{"callbackId":"cb-1","signatureKey":"sesame-2"}]`,
		`{"callbackId":"sesame-1","signatureKey":"k","maxBatchSize":"500","status":"error"}`, `[{"signatureKey":"sesame-2"},{"signatureKey":"sesame-3","message":"sesame-3"}]`,
		`{"callbackId":7,"signatureKey":7,"errorcode":"5","message":"sesame\u002d1 sesame-2"}`, `[{"callbackId":"a"},{"message":"sesame-2","status":"error"}]`,
		`{"subscriptionId":"s","eventCategoryTypes":["a",1,null,"b,c"],"filters":"a=b"}`, `[{"subscriptionId":"s","filters":null,"eventCategoryTypes":{}}]`,
		`[{"authId":"a","authType":"oauth2","clientSecret":"sesame-2"},{"authId":""}]`, `{"message":"CallbackId is 08b67f0e-5be8-4673-97e9-682c133f778c. sesame-1"}`,
	} {
		for _, status := range []int{200, 201, 304, 400, 404} {
			f.Add(status, body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		read := func(op string) *answer {
			return &answer{op: op, status: status, body: []byte(body), hide: "sesame-1", secrets: []Secret{"sesame-2"}}
		}
		good := read("").isGood()
		noSecret := func(err error) {
			t.Helper()
			if e, ok := err.(*Error); ok && strings.Contains(e.Error()+"\n"+string(e.Body), "sesame-2") {
				t.Errorf("error shows a secret of the request: %v, body %q", e, e.Body)
			}
		}
		for _, id := range []string{"authId", "callbackId", "subscriptionId"} {
			ms, err := read(OpListCallbacks).records(id)
			checkFailure(t, err, ms == nil, good)
			noSecret(err)
			m, err := read(OpFindCallback).record(id)
			checkFailure(t, err, m == nil, good)
			if err == nil && text(m, id) == "" {
				t.Errorf("no %s in %v", id, m)
			}
		}
		cb, err := read(OpCreateCallback).keyedCallback(Callback{CallbackName: "n"})
		checkFailure(t, err, cb == Callback{} || good, good)
		noSecret(err)
		if err == nil && (cb.CallbackID == "" || cb.SignatureKey == "") {
			t.Errorf("callback is %+v", cb)
		}
		if e, ok := err.(*Error); ok && good && e.Body != nil {
			t.Errorf("body %q might hold a key", e.Body)
		}
		s, err := read(OpFindSubscription).savedSubscription(Subscription{})
		checkFailure(t, err, s.SubscriptionID == "", good)
		if strings.Contains(strings.Join(append(append(s.EventCategoryTypes, s.Filters...), s.SubscriptionID), ";"), "sesame-1") {
			t.Errorf("subscription shows the token: %+v", s)
		}
		scheme, err := read(OpUpdateAuthScheme).savedAuthScheme(AuthScheme{AuthID: "a", ClientSecret: "sesame-2"})
		if status != http.StatusNotModified {
			checkFailure(t, err, scheme == AuthScheme{}, good)
		}
		if scheme.ClientSecret != "" || err == nil && scheme.AuthID == "" {
			t.Errorf("scheme is %+v", scheme)
		}
		err = read(OpVerifyCallback).done()
		checkFailure(t, err, true, good)
		noSecret(err)
		if read("").isNone() && status != http.StatusNotFound {
			t.Error("none with another status")
		}
	})
}

// Whichever letters of a secret are escaped, it does not stay in a body.
func FuzzCutJSON(f *testing.F) {
	f.Add("a/b+\"c\\é😀==", uint64(0b1011))
	f.Add("000\\", uint64(0b1000))
	f.Add("sesame-2", ^uint64(0))
	f.Fuzz(func(t *testing.T, secret string, escape uint64) {
		s := Secret(strings.ToValidUTF8(secret, ""))
		if !s.isLong() || len(s) > 200 || strings.Contains(secret, "\x00") {
			t.Skip()
		}
		var body strings.Builder
		for _, r := range string(s) {
			escaped := escape&1 == 1 || r == '\\'
			escape = escape>>1 | escape<<63
			if !escaped {
				body.WriteRune(r)
				continue
			}
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&body, `\u%04X`, unit)
			}
		}
		if got := s.cutJSON([]byte("\x00" + body.String() + body.String() + "\x00")); string(got) != "\x00redactedredacted\x00" {
			t.Errorf("%q stays in %q", s.Reveal(), got)
		}
	})
}

func TestDefaultTimeoutOutlastsProbe(t *testing.T) {
	t.Parallel()
	const probe = 30*time.Second + 2*time.Second // vendor pages: of the callback, of the token before it
	if got := newOptions(nil).httpClient.Timeout; got < probe+10*time.Second {
		t.Errorf("a call has %v; want more than the %v that CreateCallback may take", got, probe)
	}
}
