package hosted_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"onramp/internal/browsertest"
	"onramp/internal/tooltest"
)

// axe is the source of axe-core, which finds what keeps people from using a page.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(os.Getenv("ONRAMP_TEST_AXE"))
	if err != nil {
		tooltest.Missing(t, "axe", fmt.Errorf("ONRAMP_TEST_AXE does not name axe-core's axe.min.js: %w", err))
	}
	return string(source)
}

// finding is a rule of axe-core that a page breaks.
type finding struct {
	ID, Help string
	Nodes    []struct{ HTML, FailureSummary string }
}

// checkAccess sees to it that axe-core finds nothing, whatever its rules are about.
func checkAccess(t *testing.T, browser context.Context, source, where string) {
	t.Helper()
	if err := chromedp.Do(browser, browsertest.SetScript(true)); err != nil { // axe-core is one
		t.Fatal(err)
	}
	browsertest.Ask(t, browser, chromedp.Evaluate[bool](source+";true"))
	answer := browsertest.Ask(t, browser, chromedp.Evaluate[string](`axe.run().then((r) => JSON.stringify(r.violations))`, chromedp.EvalAwaitPromise))
	var found []finding
	if err := json.Unmarshal([]byte(answer), &found); err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("%s: %s (%s): %+v", where, f.Help, f.ID, f.Nodes)
	}
}

// picture keeps what a page looks like, in the folder that ONRAMP_TEST_PICTURES names.
func picture(t *testing.T, browser context.Context, name string) {
	t.Helper()
	folder := os.Getenv("ONRAMP_TEST_PICTURES")
	if folder == "" {
		return
	}
	png := browsertest.Ask(t, browser, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// emulate makes the browser one with a window of some width, a light or dark system, and
// with script or without.
func emulate(width int64, scheme string, script bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := chromedp.EmulateViewport(width, 900)(ctx, target); err != nil {
			return err
		}
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, media); err != nil {
			return err
		}
		_, err := browsertest.SetScript(script)(ctx, target)
		return err
	})
}

// state is what matters of a form that was refused.
type state struct {
	Title, Focus, Problem                  string
	Name, Letter, Plan, Country, Direction string
	Terms, Wide                            bool
}

const look = `JSON.stringify({
	Title: document.title, Focus: document.activeElement.id, Problem: document.querySelector("#email-problem")?.textContent ?? "",
	Name: document.querySelector("#name").value, Letter: document.querySelector("#letter").value,
	Plan: document.querySelector("[name=plan]:checked")?.value ?? "", Country: document.querySelector("#country").value,
	Direction: document.documentElement.dir, Terms: document.querySelector("#terms").checked,
	Wide: document.documentElement.scrollWidth > innerWidth,
})`

// The form in every kind of browser: what was typed is kept, the first wrong field has
// the focus, nothing is wider than the window, and axe-core finds nothing.
func TestLooks(t *testing.T) {
	t.Parallel()
	source, browser := axe(t), browsertest.New(t)
	server := httptest.NewServer(newSite(t))
	t.Cleanup(server.Close)
	const submit = chromedp.CSS(`button[type="submit"]`)
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			for _, script := range []bool{true, false} {
				for _, language := range []string{"en", "ar"} {
					name := fmt.Sprintf("%d-%s-%s-script-%v", width, scheme, language, script)
					do := func(actions ...chromedp.Action[chromedp.Void]) {
						t.Helper()
						if err := chromedp.Do(browser, actions...); err != nil {
							t.Fatalf("%s: %v", name, err)
						}
					}
					do(emulate(width, scheme, script), chromedp.Navigate(server.URL+"/f/looks?lang="+language), chromedp.WaitVisible(submit))
					checkAccess(t, browser, source, name+", empty")
					picture(t, browser, name+"-empty")
					browsertest.Ask(t, browser, chromedp.Evaluate[bool](`document.forms[0].noValidate = true`))
					do(chromedp.SendKeys(chromedp.CSS("#name"), "Ana <b>"), chromedp.SendKeys(chromedp.CSS("#email"), "ana@gmial"),
						chromedp.SendKeys(chromedp.CSS("#letter"), "one\rtwo"), chromedp.Click(chromedp.CSS(`[name=plan][value="yearly"]`)),
						chromedp.SetValue(chromedp.CSS("#country"), "FR"), chromedp.Click(chromedp.CSS("#terms")),
						chromedp.Click(submit), chromedp.WaitVisible(chromedp.CSS("#email-problem")))
					want := state{
						Title: "Error: Stay in touch", Focus: "email", Problem: "Enter a valid e-mail address.", Name: "Ana <b>", Letter: "one\ntwo",
						Plan: "yearly", Country: "FR", Direction: "ltr", Terms: true,
					}
					if language == "ar" {
						want.Title, want.Problem, want.Direction = "خطأ: ابقَ على تواصل", "أدخل عنوان بريد إلكتروني صالحًا.", "rtl"
					}
					var got state
					if err := json.Unmarshal([]byte(browsertest.Ask(t, browser, chromedp.Evaluate[string](look))), &got); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s (-want +got):\n%s", name, diff)
					}
					checkAccess(t, browser, source, name+", refused")
					picture(t, browser, name+"-refused")
					do(chromedp.Navigate(server.URL+"/f/looks?thanks&meant=gmail.com&lang="+language), chromedp.WaitVisible(chromedp.CSS(".thanks")))
					checkAccess(t, browser, source, name+", thanks")
					picture(t, browser, name+"-thanks")
				}
			}
		}
	}
}

// slow is a gateway that answers a registration only when it may.
type slow struct {
	http.Handler
	arrived chan string // the one-time key of each registration
	answer  chan bool
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		typed, _ := url.ParseQuery(string(body))
		s.arrived <- typed.Get("_once")
		select {
		case <-s.answer:
		case <-r.Context().Done():
			return
		}
	}
	s.Handler.ServeHTTP(w, r)
}

// Three clicks on a slow gateway, a reload and a way back send the same one-time key: to
// the gateway they are one registration. With script, the second click sends nothing.
func TestOneTimeKey(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		script bool
		sent   int // by three clicks
	}{"with script": {true, 1}, "without": {false, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			browser := browsertest.New(t)
			site := &slow{newSite(t), make(chan string, 9), make(chan bool, 9)}
			server := httptest.NewServer(site)
			t.Cleanup(server.Close)
			do := func(step string, actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				if err := chromedp.Do(browser, actions...); err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			const submit, form = chromedp.CSS(`button[type="submit"]`), "/f/registration"
			do("open the form", emulate(1280, "light", row.script), chromedp.Navigate(server.URL+form), chromedp.SendKeys(chromedp.CSS("#email"), "ana@example.com"))
			var at [2]float64
			place := browsertest.Ask(t, browser, chromedp.Evaluate[string](`(() => { const b = document.querySelector("button").getBoundingClientRect(); return JSON.stringify([b.x + b.width / 2, b.y + b.height / 2]) })()`))
			if err := json.Unmarshal([]byte(place), &at); err != nil {
				t.Fatal(err)
			}
			var keys []string
			for range 3 {
				do("click", chromedp.MouseClickXY(at[0], at[1]))
				if len(keys) < row.sent {
					keys = append(keys, <-site.arrived)
				}
			}
			site.answer <- true
			do("arrive", chromedp.WaitVisible(chromedp.CSS(".thanks")))
			do("go back and send again", chromedp.NavigateBack(), chromedp.WaitVisible(submit),
				chromedp.SetValue(chromedp.CSS("#email"), "ana@example.com"), chromedp.MouseClickXY(at[0], at[1]))
			keys = append(keys, <-site.arrived)
			site.answer <- true
			do("arrive again", chromedp.WaitVisible(chromedp.CSS(".thanks")))
			for _, key := range keys {
				if key != keys[0] || !oneTimeKey.MatchString(key) {
					t.Errorf("sent the keys %q, want one", keys)
				}
			}
			if len(site.arrived) > 0 || len(keys) != row.sent+1 {
				t.Errorf("sent %d registrations and %d more, want %d", len(keys), len(site.arrived), row.sent+1)
			}
			do("open the form anew", chromedp.Navigate(server.URL+form), chromedp.SendKeys(chromedp.CSS("#email"), "ana@example.com"), chromedp.MouseClickXY(at[0], at[1]))
			if fresh := <-site.arrived; fresh == keys[0] {
				t.Error("a form that was opened anew has the old key")
			}
			site.answer <- true
			do("arrive at last", chromedp.WaitVisible(chromedp.CSS(".thanks")))
		})
	}
}

// What the script does beside: it tells of the page, points out a slip, and keeps the key
// over a reload.
func TestScript(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	server := httptest.NewServer(newSite(t))
	t.Cleanup(server.Close)
	do := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(browser, actions...); err != nil {
			t.Fatal(err)
		}
	}
	const own = `JSON.stringify([...document.querySelectorAll("input[type=hidden]")].map((i) => i.value))`
	do(chromedp.Navigate(server.URL+"/f/our-survey_2026?utm_source=x"), chromedp.Navigate(server.URL+"/f/registration?a=b"))
	before := browsertest.Ask(t, browser, chromedp.Evaluate[string](own))
	var values []string
	if err := json.Unmarshal([]byte(before), &values); err != nil {
		t.Fatal(err)
	}
	if want := []string{values[0], server.URL + "/f/registration?a=b", "", server.URL + "/f/our-survey_2026?utm_source=x"}; !cmp.Equal(want, values) {
		t.Errorf("the page tells (-want +got):\n%s", cmp.Diff(want, values))
	}
	do(chromedp.Reload())
	if after := browsertest.Ask(t, browser, chromedp.Evaluate[string](own)); after != before {
		t.Errorf("after a reload %s, before %s", after, before)
	}
	for typed, want := range map[string]string{
		"ana@gmial.com": "Did you mean ana@gmail.com?", "ana@hotmial.con": "Did you mean ana@hotmail.com?", "ana@GMAIL.co": "Did you mean ana@gmail.com?",
		"ana@gmail.com": "", "ana@mail.com": "", "ana@example.com": "", "ana@gmx.at": "", "ana@gmx": "", "ana": "", "@gmial.com": "",
	} {
		do(chromedp.SetValue(chromedp.CSS("#email"), typed))
		got := browsertest.Ask(t, browser, chromedp.Evaluate[string](`document.querySelector("#email").dispatchEvent(new Event("change")); document.querySelector(".hint").textContent`))
		if got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
	do(chromedp.SetValue(chromedp.CSS("#email"), "ana@gmial.com"))
	corrected := browsertest.Ask(t, browser, chromedp.Evaluate[string](`document.querySelector("#email").dispatchEvent(new Event("change")); document.querySelector(".hint button").click(); document.querySelector("#email").value + document.querySelector(".hint").textContent`))
	if corrected != "ana@gmail.com" {
		t.Errorf("after a click on the suggestion: %q", corrected)
	}
}
