package hosted_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// missing ends a test that needs a tool which is not there: it is skipped, or fails where
// ONRAMP_TEST_REQUIRE, a comma-separated list, names the tool.
func missing(t *testing.T, tool string, err error) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("ONRAMP_TEST_REQUIRE"), ","), tool) {
		t.Fatalf("%s is required and missing: %v", tool, err)
	}
	t.Skipf("%s is missing: %v", tool, err)
}

// newBrowser starts a Chromium with an empty profile.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "chromium", err)
	}
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-features", "BackForwardCache")) // a page from it is never loaded, for which chromedp waits
	limited, cancel := context.WithTimeout(allocator, 2*time.Minute)
	browser, closeTab := chromedp.NewContext(limited)
	t.Cleanup(func() {
		if err := chromedp.Cancel(browser); err != nil {
			t.Errorf("close browser: %v", err)
		}
		closeTab()
		cancel()
		stop()
	})
	return browser
}

// A visitor registers in a real browser, which refuses what it can see is wrong.
func TestBrowser(t *testing.T) {
	t.Parallel()
	browser := newBrowser(t)
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
	refused := ask(t, browser, chromedp.Evaluate[bool](`document.querySelector("#email").matches(":user-invalid")`))
	if at := ask(t, browser, chromedp.Location()); !refused || at != server.URL+"/f/registration" || len(s.stored(t)) != 0 {
		t.Errorf("the browser did not refuse an empty address: it is at %s, %d are stored", at, len(s.stored(t)))
	}

	ask(t, browser, chromedp.Evaluate[bool](`document.forms[0].noValidate = true`))
	do("post past the browser's own checks",
		chromedp.SendKeys(chromedp.CSS("#email"), "nobody"),
		chromedp.Click(submit),
		chromedp.WaitVisible(chromedp.CSS("#email-problem")))
	problem := ask(t, browser, chromedp.Text(chromedp.CSS("#email-problem")))
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
	if at, want := ask(t, browser, chromedp.Location()), server.URL+"/f/registration?thanks"; at != want {
		t.Errorf("landed on %s, want %s", at, want)
	}
	values := s.values(t)
	want := []map[string]any{{
		"EmailAddress": "Jane@xn--bcher-kva.example", "FirstName": "Jane 😀", "OptInStatus": true,
		"RegistrationTimestamp": "2026-06-23T14:52:45Z", "Source": "Website Registration", "IPAddress": "127.0.0.1",
		"UserAgent": ask(t, browser, chromedp.Evaluate[string](`navigator.userAgent`)), "PageURL": server.URL + "/f/registration?utm_source=test",
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

// ask gets something out of the browser.
func ask[T any](t *testing.T, browser context.Context, a chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(browser, a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
