package hosted_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/browsertest"
	"onramp/internal/onramp"
)

// world is a gateway, and a site of another origin whose pages embed its forms.
type world struct {
	*site
	gateway, shop *httptest.Server
	origin        string                         // of the shop, under another name than the gateway's
	before        func(http.ResponseWriter) bool // answers in place of the gateway; nil: nobody does
	posts         atomic.Int64
	pages         map[string]string // of the shop, by path
	policy        string            // its Content-Security-Policy
}

// watch notes what a page's visitor does not see: mistakes in the console, what the policy
// has blocked, and the events of the form.
const watch = `<script nonce="r4nd0m">
window.seen = [];
const error = console.error;
console.error = text => { seen.push(String(text)); error(text); };
addEventListener("securitypolicyviolation", e => seen.push("blocked: " + e.violatedDirective + " " + e.blockedURI));
for (const type of ["submit", "success", "error"])
	addEventListener("onramp:" + type, e => seen.push(type + " " + e.detail.form + " " + (e.detail.status ?? "")));
</script>`

func newWorld(t *testing.T, pages map[string]string, change func(*onramp.Form)) *world {
	t.Helper()
	w := &world{pages: pages}
	w.shop = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		page, ok := w.pages[r.URL.Path]
		if !ok {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		rw.Header().Set("Content-Security-Policy", strings.ReplaceAll(w.policy, "GATEWAY", w.gateway.URL))
		_, _ = fmt.Fprint(rw, `<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>Shop</title>`+watch+`</head><body>`+
			strings.NewReplacer("GATEWAY", w.gateway.URL, "ELSEWHERE", w.shop.URL).Replace(page)+`</body></html>`)
	}))
	t.Cleanup(w.shop.Close)
	w.origin = strings.Replace(w.shop.URL, "127.0.0.1", "localhost", 1)
	w.policy = "default-src 'none'; script-src 'nonce-r4nd0m'; connect-src GATEWAY; img-src data:; frame-src *; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	all := forms()
	for i := range all {
		all[i].Origins = []string{w.origin}
		change(&all[i])
	}
	w.site = newSiteOf(t, all)
	w.gateway = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.posts.Add(1)
			if w.before != nil && w.before(rw) {
				return
			}
		}
		w.site.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.gateway.Close)
	return w
}

func unchanged(*onramp.Form) {}

// steps runs what a visitor does.
func steps(t *testing.T, browser context.Context, step string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(browser, actions...); err != nil {
		seen, _ := chromedp.Run(browser, chromedp.Evaluate[[]string](`window.seen || []`))
		t.Fatalf("%s: %v; seen %q", step, err, seen)
	}
}

func text(t *testing.T, browser context.Context, selector string) string {
	t.Helper()
	return browsertest.Ask(t, browser, chromedp.Evaluate[string](`document.querySelector(`+fmt.Sprintf("%q", selector)+`)?.textContent ?? "(none)"`))
}

func (w *world) sees(t *testing.T, browser context.Context, want ...string) {
	t.Helper()
	got := browsertest.Ask(t, browser, chromedp.Evaluate[[]string](`seen`))
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
}

// screenshot keeps how a page looks, in the folder that ONRAMP_TEST_SCREENSHOTS names.
func screenshot(t *testing.T, browser context.Context, name string) {
	t.Helper()
	folder := os.Getenv("ONRAMP_TEST_SCREENSHOTS")
	if folder == "" {
		return
	}
	for _, width := range []int64{390, 1280} {
		steps(t, browser, "resize", chromedp.EmulateViewport(width, 800))
		image := browsertest.Ask(t, browser, chromedp.CaptureScreenshot())
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d.png", name, width)), image, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const scriptLine = `<script src="GATEWAY/embed/registration.js" async nonce="r4nd0m"></script>`

// marks are what a visitor is told, as a screen reader finds it: of each wrong input its
// name, what describes it, and whether it has the focus.
const marks = `[...document.querySelectorAll("[aria-invalid=true]")].map(c => c.name + ": " +
	c.getAttribute("aria-describedby").split(" ").map(id => document.getElementById(id).textContent).join(" ") + (c == document.activeElement ? " (focus)" : ""))`

// One line puts the form into a page of another origin, under a strict
// Content-Security-Policy and with Trusted Types.
func TestEmbed(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	w := newWorld(t, map[string]string{"/sign-up": `<h1>Shop</h1>` + scriptLine}, func(f *onramp.Form) {
		for _, source := range []string{"referrer", "landing_page", "utm_source", "utm_medium", "gclid"} {
			from, _ := onramp.ParseSource(source)
			f.Fields = append(f.Fields, onramp.Field{Column: source, From: from})
		}
	})
	const submit = chromedp.CSS(`.onramp-button`)
	steps(t, browser, "open", chromedp.Navigate(w.origin+"/sign-up?utm_source=first&gclid=Cj0"), chromedp.WaitVisible(submit))
	screenshot(t, browser, "embed")
	if got := browsertest.Ask(t, browser, chromedp.Evaluate[string](`getComputedStyle(document.querySelector(".onramp-form")).display`)); got != "grid" {
		t.Errorf("the form is displayed as %s: the policy keeps its style sheet out", got)
	}
	steps(t, browser, "send nothing",
		chromedp.Navigate(w.origin+"/sign-up?utm_source=second&token=s3cret#top"), chromedp.WaitVisible(submit),
		chromedp.Click(submit), chromedp.WaitVisible(chromedp.CSS(".onramp-error")))
	if diff := cmp.Diff([]string{"email: Enter your e-mail address. (focus)"}, browsertest.Ask(t, browser, chromedp.Evaluate[[]string](marks))); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	steps(t, browser, "send what is no address",
		chromedp.SendKeys(chromedp.CSS(`[name="first_name"]`), "Jane 😀"), chromedp.SendKeys(chromedp.CSS(`[name="email"]`), "nobody"))
	if got := text(t, browser, ".onramp-error"); got != "(none)" {
		t.Errorf("the mistake stays while it is mended: %s", got)
	}
	steps(t, browser, "send what is no address", chromedp.Click(submit), chromedp.WaitVisible(chromedp.CSS(".onramp-error")))
	if diff := cmp.Diff([]string{"email: Enter a valid e-mail address. (focus)"}, browsertest.Ask(t, browser, chromedp.Evaluate[[]string](marks))); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	if got := text(t, browser, ".onramp-message"); got != "Please check your entries" {
		t.Errorf("the form says %q", got)
	}
	screenshot(t, browser, "embed-error")
	steps(t, browser, "register",
		chromedp.SendKeys(chromedp.CSS(`[name="email"]`), "@example.org"), chromedp.Click(chromedp.CSS(`[name="opt_in"]`)),
		chromedp.Click(submit), chromedp.WaitVisible(chromedp.CSS(".onramp-success")))
	if got := text(t, browser, ".onramp-success"); got != "Thank you. Your registration has been received." {
		t.Errorf("thanked with %q", got)
	}
	screenshot(t, browser, "embed-thanks")
	w.sees(t, browser, "error registration 0", "submit registration ", "error registration 422", "submit registration ", "success registration queued")
	want := []map[string]any{{
		"EmailAddress": "nobody@example.org", "FirstName": "Jane 😀", "OptInStatus": true,
		"RegistrationTimestamp": "2026-06-23T14:52:45Z", "Source": "Website Registration", "IPAddress": "127.0.0.1",
		"UserAgent": browsertest.Ask(t, browser, chromedp.Evaluate[string](`navigator.userAgent`)), "PageURL": w.origin + "/sign-up?utm_source=second",
		"landing_page": w.origin + "/sign-up?utm_source=first&gclid=Cj0", "utm_source": "second", "gclid": "Cj0",
	}}
	if diff := cmp.Diff(want, w.values(t)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// Every type is rendered, and what is sent without a change is the defaults.
func TestEmbedEveryType(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	w := newWorld(t, map[string]string{"/": `<h1>Survey</h1><div data-onramp-form="our-survey_2026"><a href="GATEWAY/f/our-survey_2026">Our survey</a></div>
		<script src="GATEWAY/embed/our-survey_2026.js" async nonce="r4nd0m"></script>`}, unchanged)
	steps(t, browser, "open", chromedp.Navigate(w.origin+"/"), chromedp.WaitVisible(chromedp.CSS(".onramp-button")))
	labels := `[...document.querySelectorAll(".onramp-form label")].map(l => [l.textContent, l.control.localName, l.control.type, l.control.value].join(" | "))`
	want := []string{
		`<b>über</b> "alles" & mehr | input | text | "><script>`, "Code (required) | input | text | ", "Mail | input | email | ", "Agreed (required) | input | checkbox | true",
		"News | select | select-one | true", "Age | input | number | 18", "Amount | input | text | ", "Born | input | date | ", "Phone | input | tel | ", "Locale | input | text | ",
		"Size (required) | select | select-one | ", "Color | select | select-one | <blue>",
	}
	if diff := cmp.Diff(want, browsertest.Ask(t, browser, chromedp.Evaluate[[]string](labels))); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	steps(t, browser, "send", chromedp.Click(chromedp.CSS(".onramp-button")), chromedp.WaitVisible(chromedp.CSS(".onramp-error")))
	wantMarks := []string{"code: Please fill in this field. (focus)", "agreed: Please tick this box to continue.", "size: Please choose an option."}
	if diff := cmp.Diff(wantMarks, browsertest.Ask(t, browser, chromedp.Evaluate[[]string](marks))); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	screenshot(t, browser, "embed-types")
	steps(t, browser, "register",
		chromedp.SendKeys(chromedp.CSS(`[name="code"]`), `AB"1`), chromedp.Click(chromedp.CSS(`[name="agreed"]`)),
		chromedp.SetValue(chromedp.CSS(`[name="size"]`), "extra  large"), chromedp.SetValue(chromedp.CSS(`[name="news"]`), "false"),
		chromedp.Click(chromedp.CSS(".onramp-button")), chromedp.WaitVisible(chromedp.CSS(".onramp-success")))
	values := []map[string]any{{"Note": `"><script>`, "Code": `AB"1`, "Agreed": true, "News": false, "Age": 18.0, "Size": "extra  large", "Color": "<blue>", "IP": "127.0.0.1"}}
	if diff := cmp.Diff(values, w.values(t)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	w.sees(t, browser, "error our-survey_2026 0", "submit our-survey_2026 ", "success our-survey_2026 queued")
}

// ownForm is a form as a designer writes it: it has inputs that Onramp need not know, ones
// that clobber the form's properties, and places for what is said.
const ownForm = `<form data-onramp="registration" novalidate>
	<p id="hint">We never share it.</p>
	<label>Mail <input name="email" aria-describedby="hint"></label> <span data-onramp-error="email"></span>
	<label>Name <input name="first_name"></label>
	<label><input type="checkbox" name="opt_in"> News</label>
	<button id="go">Go</button>
</form>`

// A page's own form is taken over.
func TestEmbedTakesOver(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	w := newWorld(t, map[string]string{"/": ownForm + scriptLine + `<script nonce="r4nd0m">
		addEventListener("onramp:submit", e => {
			if (e.detail.data.get("first_name") == "stop") e.preventDefault();
			else e.detail.data.set("last_name", "from the page");
		});
	</script>`}, unchanged)
	steps(t, browser, "open", chromedp.Navigate(w.origin+"/"), chromedp.WaitVisible(chromedp.CSS("#go")),
		chromedp.WaitReady(chromedp.CSS("script[src]")))
	browsertest.Ask(t, browser, chromedp.Evaluate[bool](`new Promise(done => { const look = () => window.onramp ? done(true) : requestAnimationFrame(look); look(); })`, chromedp.EvalAwaitPromise))
	steps(t, browser, "cancel", chromedp.SendKeys(chromedp.CSS(`[name="first_name"]`), "stop"), chromedp.Click(chromedp.CSS("#go")))
	if n := w.posts.Load(); n != 0 {
		t.Errorf("%d requests, though the page's code cancelled it", n)
	}
	steps(t, browser, "send a wrong address",
		chromedp.SetValue(chromedp.CSS(`[name="first_name"]`), "Jo"), chromedp.SendKeys(chromedp.CSS(`[name="email"]`), "nobody"),
		chromedp.Click(chromedp.CSS("#go")), chromedp.WaitVisible(chromedp.CSS("[data-onramp-error] .onramp-error")))
	if diff := cmp.Diff([]string{"email: We never share it. Enter a valid e-mail address. (focus)"}, browsertest.Ask(t, browser, chromedp.Evaluate[[]string](marks))); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	screenshot(t, browser, "embed-own")
	steps(t, browser, "register", chromedp.SendKeys(chromedp.CSS(`[name="email"]`), "@example.org"))
	if got := browsertest.Ask(t, browser, chromedp.Evaluate[string](`document.querySelector("[name=email]").getAttribute("aria-describedby")`)); got != "hint" {
		t.Errorf("the page's own description became %q", got)
	}
	steps(t, browser, "register", chromedp.Click(chromedp.CSS("#go")), chromedp.WaitVisible(chromedp.CSS(".onramp-success")))
	values := w.values(t)
	if len(values) != 1 || values[0]["EmailAddress"] != "nobody@example.org" || values[0]["FirstName"] != "Jo" || values[0]["LastName"] != "from the page" || values[0]["OptInStatus"] != false {
		t.Errorf("stored %v", values)
	}
	w.sees(t, browser, "submit registration ", "submit registration ", "error registration 422", "submit registration ", "success registration queued")
}

// Three clicks on a slow gateway, which at first is not ready, are one registration; the
// visitor goes to the form's success_url.
func TestEmbedSendsOnce(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	w := newWorld(t, map[string]string{"/": scriptLine, "/thanks": `<p id="thanks">Thanks</p>`}, func(f *onramp.Form) {
		f.SuccessURL = f.Origins[0] + "/thanks"
	})
	clicked := make(chan struct{})
	w.before = func(rw http.ResponseWriter) bool {
		if w.posts.Load() > 1 {
			return false
		}
		<-clicked
		rw.Header().Set("Access-Control-Allow-Origin", "*")
		rw.Header().Set("Access-Control-Expose-Headers", "Retry-After")
		rw.Header().Set("Retry-After", "1")
		rw.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	click := chromedp.Click(chromedp.CSS(".onramp-button"))
	steps(t, browser, "click",
		chromedp.Navigate(w.origin+"/"), chromedp.WaitVisible(chromedp.CSS(".onramp-button")), chromedp.SendKeys(chromedp.CSS(`[name="email"]`), "a@example.org"),
		click, chromedp.WaitVisible(chromedp.CSS(`.onramp-button:disabled`)), click, click)
	browsertest.Ask(t, browser, chromedp.Evaluate[bool](`document.querySelector(".onramp-form").requestSubmit(), true`))
	close(clicked)
	steps(t, browser, "wait", chromedp.WaitVisible(chromedp.CSS("#thanks")))
	if n := w.posts.Load(); n != 2 || len(w.stored(t)) != 1 {
		t.Errorf("%d requests, %d registrations; want 2 and 1", n, len(w.stored(t)))
	}
}

// What the visitor has typed stays when the gateway can't take it.
func TestEmbedUnavailable(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	w := newWorld(t, map[string]string{"/": scriptLine}, unchanged)
	w.before = func(rw http.ResponseWriter) bool {
		rw.Header().Set("Access-Control-Allow-Origin", "*")
		rw.Header().Set("Access-Control-Expose-Headers", "Retry-After")
		rw.Header().Set("Retry-After", "120")
		rw.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	send := func(step string) {
		t.Helper()
		steps(t, browser, step, chromedp.Click(chromedp.CSS(".onramp-button:enabled")), chromedp.WaitVisible(chromedp.CSS(".onramp-message")))
		const want = "Your entries could not be saved just now. Nothing is lost: please send them again in a moment."
		typed := browsertest.Ask(t, browser, chromedp.Evaluate[string](`document.querySelector("[name=email]").value`))
		if got := text(t, browser, ".onramp-message"); got != want || typed != "a@example.org" {
			t.Errorf("%s: the form says %q and holds %q", step, got, typed)
		}
		if focus := browsertest.Ask(t, browser, chromedp.Evaluate[string](`document.activeElement.className`)); focus != "onramp-button" {
			t.Errorf("%s: the focus is on %q", step, focus)
		}
	}
	steps(t, browser, "open", chromedp.Navigate(w.origin+"/"), chromedp.WaitVisible(chromedp.CSS(".onramp-button")), chromedp.SendKeys(chromedp.CSS(`[name="email"]`), "a@example.org"))
	send("not ready")
	screenshot(t, browser, "embed-unavailable")
	w.gateway.CloseClientConnections()
	w.gateway.Listener.Close()
	send("gone")
	w.sees(t, browser, "submit registration ", "onramp registration: 503: undefined", "error registration 503",
		"submit registration ", "onramp registration: can't reach "+w.gateway.URL+": check connect-src", "error registration 0")
}

// A page that may not submit the form: its visitor is told politely, its developer why.
func TestEmbedRefused(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		origins []string
		posts   int64
	}{
		"not among the origins":  {[]string{"https://www.example.com"}, 2},
		"the hosted form only":   {[]string{}, 2},
		"no origins, so no CORS": {nil, 0}, // or it would be stored, and look refused
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			browser := browsertest.New(t)
			w := newWorld(t, map[string]string{"/": scriptLine}, func(f *onramp.Form) { f.Origins = row.origins })
			steps(t, browser, "send", chromedp.Navigate(w.origin+"/"), chromedp.WaitVisible(chromedp.CSS(".onramp-button")),
				chromedp.SendKeys(chromedp.CSS(`[name="email"]`), "a@example.org"), chromedp.Click(chromedp.CSS(".onramp-button")), chromedp.WaitVisible(chromedp.CSS(".onramp-message")))
			if got := text(t, browser, ".onramp-message"); got != "Sorry, this form can’t be sent from this page." {
				t.Errorf("the form says %q", got)
			}
			screenshot(t, browser, "embed-refused")
			w.sees(t, browser, "submit registration ", "onramp registration: refused: add "+w.origin+" to the form's origins", "error registration 0")
			if n := w.posts.Load(); n != row.posts || len(w.stored(t)) != 0 {
				t.Errorf("%d requests, %d registrations; want %d and none", n, len(w.stored(t)), row.posts)
			}
		})
	}
}

// fillIn is a page whose script fills in the form and tells the page around it.
const fillIn = scriptLine + `<script nonce="r4nd0m">
	new MutationObserver((_, o) => {
		const form = document.querySelector(".onramp-form");
		if (!form) return;
		o.disconnect();
		form.elements.email.value = "framed@example.org";
		form.requestSubmit();
	}).observe(document, {childList: true, subtree: true});
	const tell = () => { const p = document.querySelector(".onramp-success, .onramp-message"); if (p) parent.postMessage(p.textContent, "*"); };
	new MutationObserver(tell).observe(document, {childList: true, subtree: true});
</script>`

// around is a page with a frame, which shows what that says.
const around = `<iframe src="ELSEWHERE/frame?gclid=Cj0"%s></iframe><script nonce="r4nd0m">
	addEventListener("message", e => { const p = document.createElement("p"); p.id = "said"; p.textContent = e.data; document.body.append(p); });
</script>`

// The embed works in a frame of another origin; in a sandboxed one it has no origin, and
// no storage.
func TestEmbedInFrame(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		sandbox, said string
		stored        int
	}{
		"frame":           {"", "Thank you. Your registration has been received.", 1},
		"sandboxed frame": {` sandbox="allow-scripts allow-forms"`, "Sorry, this form can’t be sent from this page.", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			browser := browsertest.New(t)
			w := newWorld(t, map[string]string{"/frame": fillIn, "/": fmt.Sprintf(around, row.sandbox)}, unchanged)
			for _, f := range w.forms {
				f.Origins = []string{w.shop.URL}
			}
			steps(t, browser, "open", chromedp.Navigate(w.origin+"/"), chromedp.WaitVisible(chromedp.CSS("#said")))
			if got := text(t, browser, "#said"); got != row.said {
				t.Errorf("the frame says %q", got)
			}
			values := w.values(t)
			if len(values) != row.stored {
				t.Fatalf("stored %v", values)
			}
			if row.stored == 1 && values[0]["PageURL"] != w.shop.URL+"/frame?gclid=Cj0" {
				t.Errorf("stored %v", values)
			}
		})
	}
}

// Several forms on one page, some of which come later or stand in a shadow root.
func TestEmbedSeveral(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	w := newWorld(t, map[string]string{
		"/":      `<div id="a">` + scriptLine + `</div><div id="b">` + scriptLine + `</div><script src="GATEWAY/embed/our-survey_2026.js" async nonce="r4nd0m"></script>`,
		"/later": `<script src="GATEWAY/embed/registration.js" nonce="r4nd0m"></script><p id="ready">x</p>`,
	}, unchanged)
	steps(t, browser, "open", chromedp.Navigate(w.origin+"/"), chromedp.WaitVisible(chromedp.CSS("#a .onramp-form")), chromedp.WaitVisible(chromedp.CSS("#b .onramp-form")),
		chromedp.WaitVisible(chromedp.CSS(`.onramp-form[aria-label="Our survey 2026"]`)))
	if got := browsertest.Ask(t, browser, chromedp.Evaluate[[]int](`[document.forms.length, document.querySelectorAll("[id]").length - new Set([...document.querySelectorAll("[id]")].map(e => e.id)).size]`)); !cmp.Equal([]int{3, 0}, got) {
		t.Errorf("forms, ids that stand twice: %v", got)
	}
	steps(t, browser, "send the second", chromedp.SendKeys(chromedp.CSS(`#b [name="email"]`), "b@example.org"), chromedp.Click(chromedp.CSS("#b .onramp-button")), chromedp.WaitVisible(chromedp.CSS("#b .onramp-success")))
	if got := text(t, browser, "#a .onramp-success"); got != "(none)" || len(w.stored(t)) != 1 {
		t.Errorf("the first form says %q, %d are stored", got, len(w.stored(t)))
	}

	steps(t, browser, "open", chromedp.Navigate(w.origin+"/later"), chromedp.WaitVisible(chromedp.CSS(".onramp-form")))
	browsertest.Ask(t, browser, chromedp.Evaluate[bool](`(() => {
		const later = document.createElement("div");
		later.id = "later";
		later.dataset.onrampForm = "registration";
		document.body.append(later);
		const host = document.createElement("div");
		document.body.append(host);
		const inside = document.createElement("div");
		host.attachShadow({mode: "open"}).append(inside);
		onramp.mount(inside, "registration");
		onramp.mount(inside, "registration");
		window.shadow = host.shadowRoot;
		return true;
	})()`))
	steps(t, browser, "wait", chromedp.WaitVisible(chromedp.CSS("#later .onramp-form")))
	got := browsertest.Ask(t, browser, chromedp.Evaluate[[]string](`[shadow.querySelectorAll("form").length + "", getComputedStyle(shadow.querySelector("form")).display]`))
	if !cmp.Equal([]string{"1", "grid"}, got) {
		t.Errorf("in the shadow root: %v", got)
	}
	w.sees(t, browser)
}
