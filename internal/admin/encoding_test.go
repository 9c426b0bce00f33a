package admin_test

import (
	"bytes"
	"compress/gzip"
	"testing"

	"onramp/internal/admin"
	"onramp/internal/store/storetest"
	"onramp/internal/web/webtest"
)

// The admin API reads bodies in the encodings that all listeners read.
func TestEncodings(t *testing.T) {
	t.Parallel()
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, _ = w.Write([]byte(`{"reason":"für heute"}`)) // a Buffer takes all
	_ = w.Close()
	paused := webtest.Good(200, webtest.Headers("Content-Type: application/json", "Cache-Control: no-store"),
		`{"name":"data_extension:Web_Registrations","state":"paused","reason":"für heute","waiting":0,"oldest":null}`+"\n")
	for name, row := range map[string]struct {
		body    string
		headers []string
		want    webtest.Answer
	}{
		"UTF-8":              {`{"reason":"für heute"}`, nil, paused},
		"a mark":             {"\ufeff" + `{"reason":"für heute"}`, nil, paused},
		"Latin 1":            {"{\"reason\":\"f\xfcr heute\"}", []string{"Content-Type: application/json; charset=latin1"}, paused},
		"gzip":               {compressed.String(), []string{"Content-Encoding: gzip"}, paused},
		"not UTF-8":          {"{\"reason\":\"f\xfcr heute\"}", nil, webtest.Problem(400, "the body is not valid UTF-8", "")},
		"not gzip":           {`{"reason":"für heute"}`, []string{"Content-Encoding: gzip"}, webtest.Problem(400, "the body is not valid gzip", "")},
		"an unknown charset": {`{"reason":"a"}`, []string{"Content-Type: application/json; charset=utf-7"}, webtest.Problem(415, "the charset is not known; send UTF-8, or another one of the WHATWG Encoding Standard", "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gateway{}
			g.store, g.forms = storetest.Open(t, forms())
			h := adminHandler(g.store, nil, func(a *admin.Admin) { a.Desk.Pump = pausable{&fakePump{}, g} })
			request := "POST /api/destinations/data_extension:Web_Registrations/pause"
			webtest.Check(t, row.want, webtest.Do(t.Context(), h, request, row.body, append(row.headers, bearer)...))
		})
	}
}
