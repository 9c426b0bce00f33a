package outbound_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"onramp/internal/onramp"
)

// What a failed delivery shows as sent is what Marketing Cloud got: of a request
// for one, all of it; of one for several, the same without the others.
func TestRequestIsWhatWasSent(t *testing.T) {
	t.Parallel()
	event := onramp.Destination{Kind: onramp.Journey, Key: "Event 1/ä", KeyColumns: []string{"SubscriberKey"}}
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "Web Reg/ä", KeyColumns: []string{"SubscriberKey"}}
	insert := row
	insert.InsertOnly = true
	for _, c := range []struct {
		name  string
		to    onramp.Destination
		async bool
	}{
		{"row", row, false}, {"row, upserted", row, true}, {"row, inserted", insert, true}, {"entry", event, false}, {"message", message, false},
	} {
		for _, n := range []int{1, 3} {
			t.Run(fmt.Sprint(c.name, " of ", n), func(t *testing.T) {
				t.Parallel()
				var address, body string
				a := &account{answer: func(r *http.Request, sent string) reply {
					address, body = r.Method+" "+r.URL.RequestURI(), sent
					return reply{status: 403}
				}}
				deliveries := several(n)
				for i := range deliveries {
					deliveries[i].Values = json.RawMessage(fmt.Sprintf(`{"EmailAddress":"p%d@example.org","Note":"a],[ \"b\" \\","Tags":["x","y"]}`, i))
				}
				got := a.sends(t).Send(t.Context(), onramp.Call{Destination: c.to, Async: c.async, Deliveries: deliveries})
				if n == 1 {
					if want := address + "\n" + body; got[0].Request != want {
						t.Errorf("got  %s\nwant %s", got[0].Request, want)
					}
					return
				}
				together := body
				for i, o := range got {
					route, part, _ := strings.Cut(o.Request, "\n")
					if want := fmt.Sprintf("%s (one of %d)", address, n); route != want {
						t.Errorf("route: got %q, want %q", route, want)
					}
					if !json.Valid([]byte(part)) || strings.Count(part, "@example.org") != strings.Count(body, "@example.org")/n || !strings.Contains(part, fmt.Sprintf("p%d@", i)) {
						t.Errorf("part %d of %s: %s", i, body, part)
					}
					own := part[strings.IndexByte(part, '[')+1 : strings.LastIndexByte(part, ']')]
					together = strings.Replace(together, own, "", 1)
				}
				if strings.Contains(together, "@") {
					t.Errorf("of the body sent, no part has %s", together)
				}
			})
		}
	}
}
