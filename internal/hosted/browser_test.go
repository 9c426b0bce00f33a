package hosted_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"onramp/internal/browsertest"
)

// A visitor registers in a real browser, which refuses what it can see is wrong.
func TestBrowser(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	s := newSite(t)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	do := func(step string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(browser, actions...); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	const submit = chromedp.CSS(`button[type="submit"]`)

	do("leave the required field empty",
		chromedp.Navigate(server.URL+"/f/registration"),
		chromedp.SendKeys(chromedp.CSS("#first_name"), "Jane"),
		chromedp.Click(submit))
	refused := browsertest.Ask(t, browser, chromedp.Evaluate[bool](`document.querySelector("#email").matches(":user-invalid")`))
	if at := browsertest.Ask(t, browser, chromedp.Location()); !refused || at != server.URL+"/f/registration" || len(s.stored(t)) != 0 {
		t.Errorf("the browser did not refuse an empty address: it is at %s, %d are stored", at, len(s.stored(t)))
	}

	browsertest.Ask(t, browser, chromedp.Evaluate[bool](`document.forms[0].noValidate = true`))
	do("post past the browser's own checks",
		chromedp.SendKeys(chromedp.CSS("#email"), "nobody"),
		chromedp.Click(submit),
		chromedp.WaitVisible(chromedp.CSS("#email-problem")))
	problem := browsertest.Ask(t, browser, chromedp.Text(chromedp.CSS("#email-problem")))
	if want := "Enter a valid e-mail address."; problem != want || len(s.stored(t)) != 0 {
		t.Errorf("the page says %q, want %q; %d are stored", problem, want, len(s.stored(t)))
	}

	do("register",
		chromedp.Navigate(server.URL+"/f/registration?utm_source=test"),
		chromedp.SendKeys(chromedp.CSS("#email"), "Jane@BÜCHER.example"),
		chromedp.SendKeys(chromedp.CSS("#first_name"), "Jane 😀"),
		chromedp.Click(chromedp.CSS("#opt_in")),
		chromedp.Click(submit),
		chromedp.WaitVisible(chromedp.CSS(".thanks")))
	if at, want := browsertest.Ask(t, browser, chromedp.Location()), server.URL+"/f/registration?thanks"; at != want {
		t.Errorf("landed on %s, want %s", at, want)
	}
	values := s.values(t)
	want := []map[string]any{{
		"EmailAddress": "Jane@xn--bcher-kva.example", "FirstName": "Jane 😀", "OptInStatus": true,
		"RegistrationTimestamp": "2026-06-23T14:52:45Z", "Source": "Website Registration", "IPAddress": "127.0.0.1",
		"UserAgent": browsertest.Ask(t, browser, chromedp.Evaluate[string](`navigator.userAgent`)), "PageURL": server.URL + "/f/registration?utm_source=test",
	}}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// values are the columns of all registrations, newest first.
func (s *site) values(t *testing.T) (values []map[string]any) {
	t.Helper()
	for _, r := range s.stored(t) {
		var v map[string]any
		if err := json.Unmarshal(r.Values, &v); err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}
