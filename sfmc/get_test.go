package sfmc_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

// Get makes the call as it is told, and reads what comes.
func TestGet(t *testing.T) {
	t.Parallel()
	type context struct {
		Organization struct{ ID int }
	}
	for _, c := range []struct {
		name, path string
		status     int
		body       string
		want       int
		failed     *sfmc.Error // without Err
		invalid    bool
		foreign    bool
	}{
		{name: "an object", path: "platform/v1/tokenContext?x=1", status: 200, body: `{"organization":{"id":7}}`, want: 7},
		{name: "not there", path: "a/b", status: 404, body: `{"message":"no","errorcode":30003}`, failed: &sfmc.Error{Op: sfmc.OpGet, Status: 404, Code: 30003, CodeText: "30003", Message: "no", Body: []byte(`{"message":"no","errorcode":30003}`)}},
		{name: "a page of something else", path: "a/b", status: 200, body: "<html>", failed: &sfmc.Error{Op: sfmc.OpGet, Status: 200, Body: []byte("<html>")}, foreign: true},
		{name: "nothing", path: "a/b", status: 200, failed: &sfmc.Error{Op: sfmc.OpGet, Status: 200}, foreign: true},
		{name: "JSON of another kind", path: "a/b", status: 200, body: `[1]`, failed: &sfmc.Error{Op: sfmc.OpGet, Status: 200, Body: []byte(`[1]`)}, foreign: true},
		{name: "no path", path: "", invalid: true},
		{name: "a slash in front", path: "/a", invalid: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{next: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}}
			var got context
			err := newClient(t, newServer(t, r)).Get(t.Context(), c.path, &got)
			foreign := errors.Is(err, sfmc.ErrAnswer)
			failed, _ := errors.AsType[*sfmc.Error](err)
			if failed != nil {
				failed.Err = nil
			}
			type outcome struct {
				ID               int
				Failed           *sfmc.Error
				Invalid, Foreign bool
				Seen             []seen
			}
			want := outcome{ID: c.want, Failed: c.failed, Invalid: c.invalid, Foreign: c.foreign}
			if !c.invalid {
				want.Seen = []seen{{Method: "GET", Path: "/" + c.path}}
			}
			if diff := cmp.Diff(want, outcome{got.Organization.ID, failed, errors.Is(err, sfmc.ErrInvalid), foreign, r.requests()}); diff != "" {
				t.Error(diff)
			}
		})
	}
}
