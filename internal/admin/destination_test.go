package admin_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/admin"
	"onramp/internal/onramp"
	"onramp/internal/store/storetest"
	"onramp/internal/web/webtest"
)

// pausable is a pump that goes by the store's pauses, as a real one does.
type pausable struct {
	*fakePump
	*gateway
}

func (p pausable) Health() (all []onramp.Health) {
	for _, d := range p.forms["registration"].Route {
		h := onramp.Health{Destination: d, State: "running"}
		if pause := p.store.Pause(d.ID); pause.Lasts() {
			h.State, h.Reason = "paused", pause.Reason
		}
		all = append(all, h)
	}
	return all
}

// Destinations are listed, paused and resumed by their names, which may hold
// anything that a URL would take for something else, and the log says who and why.
func TestDestinations(t *testing.T) {
	t.Parallel()
	const event = "journey:A/b?c%d e"
	all := forms()
	all[0].Route[1].Key = strings.TrimPrefix(event, "journey:")
	g := &gateway{}
	g.store, g.forms = storetest.Open(t, all)
	g.accept(t, "registration", "email", "ana@example.org")
	var log bytes.Buffer
	h := adminHandler(g.store, nil, func(a *admin.Admin) {
		a.Desk.Pump = pausable{&fakePump{}, g}
		a.Desk.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
	})
	const row = `{"name":"data_extension:Web_Registrations","state":"running","waiting":1,"oldest":"2026-06-23T14:52:45.123456Z"}`
	const running = `{"name":"` + event + `","state":"running","waiting":1,"oldest":"2026-06-23T14:52:45.123456Z"}`
	paused := strings.Replace(running, "running", `paused","reason":"a new journey until noon`, 1)
	notThere := webtest.Problem(404, "there is no destination journey:x: use data_extension:Web_Registrations, "+event, "")
	noReason := webtest.Problem(422, "a pause needs a reason", `,"errors":[{"field":"reason","message":"is required"}]`)
	path := "/api/destinations/journey:A%2Fb%3Fc%25d%20e/"
	for _, step := range []struct {
		request, body string
		want          answer
	}{
		{"GET /api/destinations", "", told(`{"items":[` + row + `,` + running + `],"next":""}` + "\n")},
		{"POST " + path + "resume", "", webtest.Problem(409, event+" is not paused", "")},
		{"POST " + path + "pause", "", noReason},
		{"POST " + path + "pause", `{"reason":" \n"}`, noReason},
		{"POST " + path + "pause", `{"reason":"` + strings.Repeat("ä", 501) + `"}`, webtest.Problem(422, "the reason is too long", `,"errors":[{"field":"reason","message":"can have at most 500 characters"}]`)},
		{"POST " + path + "pause", `{"why":"x"}`, webtest.Problem(400, `the body must be JSON such as {"reason":"the data extension is being rebuilt"}`, "")},
		{"POST /api/destinations/journey:x/pause", `{"reason":"x"}`, notThere},
		{"POST /api/destinations/journey:x/resume", "", notThere},
		{"POST " + path + "pause", `{"reason":"a new journey"}`, told(strings.Replace(paused, " until noon", "", 1) + "\n")},
		{"POST " + path + "pause", `{"reason":" a new journey\nuntil noon"}`, told(paused + "\n")},
		{"GET /api/destinations", "", told(`{"items":[` + row + `,` + paused + `],"next":""}` + "\n")},
		{"POST " + path + "resume", "", told(running + "\n")},
	} {
		webtest.Check(t, step.want, webtest.Do(context.Background(), h, step.request, step.body, bearer))
	}
	want := strings.ReplaceAll(`level=INFO msg="destination paused" destination="NAME" reason="a new journey"
level=INFO msg="destination paused" destination="NAME" reason="a new journey until noon"
level=INFO msg="destination resumed" destination="NAME" became_unknown=0
`, "NAME", event)
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Error(diff)
	}
}
