package app_test

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"onramp/internal/browsertest"
	"onramp/internal/sandbox"
)

// slow is a gateway whose answers to registrations arrive only when they may.
type slow struct {
	httputil.ReverseProxy
	taken  chan bool // the gateway has answered one
	answer chan bool
}

func newSlow(t *testing.T, gateway string) (*slow, string) {
	t.Helper()
	target, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	s := &slow{taken: make(chan bool, 9), answer: make(chan bool)}
	s.ErrorLog = log.New(io.Discard, "", 0) // requests that the browser has given up
	s.Rewrite = func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}
	s.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method != http.MethodPost {
			return nil
		}
		s.taken <- true
		select {
		case <-s.answer:
		case <-r.Request.Context().Done():
		}
		return nil
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// A visitor who clicks three times because the answer takes a while, and then goes back and
// sends again, is registered once: one row, and one welcome.
func TestImpatientVisitor(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		script bool
		sent   int // by three clicks
	}{"with script": {true, 1}, "without": {false, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			browser := browsertest.New(t)
			w := newWorld(t, nil)
			gateway, address := newSlow(t, w.gateway.PublicURL())
			do := func(step string, actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				if err := chromedp.Do(browser, actions...); err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			await := func(step string) {
				t.Helper()
				select {
				case <-gateway.taken:
				case <-browser.Done():
					t.Fatalf("%s: nothing was sent", step)
				}
			}
			release := func(step string) {
				t.Helper()
				select {
				case gateway.answer <- true:
				case <-browser.Done():
					t.Fatalf("%s: nothing waits for an answer", step)
				}
			}
			const email, submit, thanks = chromedp.CSS("#email"), chromedp.CSS(`button[type="submit"]`), chromedp.CSS(".thanks")
			do("open the form", browsertest.SetScript(row.script), chromedp.EmulateViewport(1280, 900), chromedp.Navigate(address+"/f/registration"), chromedp.SendKeys(email, "ana@example.org"))
			// chromedp would wait for the page that a click on the button itself loads
			var at [2]float64
			place := browsertest.Ask(t, browser, chromedp.Evaluate[string](`(() => { const b = document.querySelector("button[type=submit]").getBoundingClientRect(); return JSON.stringify([b.x + b.width / 2, b.y + b.height / 2]) })()`))
			if err := json.Unmarshal([]byte(place), &at); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				do("click", chromedp.MouseClickXY(at[0], at[1]))
				if i < row.sent {
					await("click")
				}
			}
			release("click")
			do("arrive", chromedp.WaitVisible(thanks))
			do("go back and send again", chromedp.NavigateBack(), chromedp.WaitVisible(submit),
				chromedp.SetValue(email, "ana@example.org"), chromedp.MouseClickXY(at[0], at[1]))
			await("send again")
			release("send again")
			do("arrive again", chromedp.WaitVisible(thanks))
			if n := len(gateway.taken); n > 0 {
				t.Errorf("%d more were sent than %d", n, row.sent+1)
			}

			w.until("all is delivered", func() bool {
				s := w.status().Registrations
				return s["delivered"] > 0 && len(nonZero(s)) == 1
			})
			totals := w.sandbox.State().Totals
			got := []any{nonZero(w.status().Registrations), totals.Rows[sandbox.RegistrationsKey], totals.Contacts[sandbox.WelcomeEventKey]}
			if diff := cmp.Diff([]any{map[string]int64{"delivered": 1}, 1, 1}, got); diff != "" {
				t.Errorf("registrations, rows, contacts (-want +got):\n%s", diff)
			}
		})
	}
}
