package ens_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox/ens"
)

// A change of a callback shows at once and has effect after a while.
func TestCallbackChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, ens.Config{})
	scheme, other := r.scheme(clientScheme), r.scheme(userScheme)
	id := r.callback("")
	type terms struct {
		AuthID       string
		MaxBatchSize int
	}
	want := func(what string, want terms) {
		t.Helper()
		authID, size := r.Terms(id)
		if diff := cmp.Diff(want, terms{authID, size}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	put := func(more, answer string) {
		t.Helper()
		base := `{"callbackId":"` + id + `","callbackName":"b"`
		r.call("PUT", callbacksPath, `[`+base+more+`}]`, 200, `[`+base+`,"url":"`+callbackURL+`"`+answer+`}]`)
	}
	put(`,"url":"https://other.test/"`, `,"maxBatchSize":1000`)
	want("a new name", terms{"", 1000})
	put(`,"authId":"`+scheme+`"`, `,"maxBatchSize":1000,"authId":"`+scheme+`"`)
	want("attached", terms{"", 1000})
	r.advance(2*time.Minute - 1)
	want("just before", terms{"", 1000})
	put(``, `,"maxBatchSize":1000,"authId":"`+scheme+`"`)
	r.advance(1)
	want("in effect", terms{scheme, 1000})
	put(`,"maxBatchSize":500,"authId":"`+other+`"`, `,"maxBatchSize":500,"authId":"`+other+`"`)
	want("replaced", terms{scheme, 1000})
	r.advance(2 * time.Minute)
	want("replacement in effect", terms{other, 500})
	put(`,"authId":null`, `,"maxBatchSize":500`)
	want("detached", terms{other, 500})
	r.call("DELETE", schemesPath+"/"+other, "", 200, `{}`)
	want("the scheme is gone", terms{"", 500})

	r = newRig(t, ens.Config{Activation: -1})
	id = r.callback("")
	put(`,"maxBatchSize":100`, `,"maxBatchSize":100`)
	want("without delay", terms{"", 100})
}
