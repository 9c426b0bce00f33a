package hosted_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"onramp/internal/browsertest"
	"onramp/internal/consent"
	"onramp/internal/hosted"
	"onramp/internal/onramp"
	"onramp/internal/store"
	"onramp/internal/store/storetest"
	"onramp/internal/web"
)

// asking is a site with one form that asks for a confirmation, in English or German.
type asking struct {
	*httptest.Server
	store *store.Store
	desk  *consent.Desk
	form  *onramp.Form
}

func newAsking(t *testing.T) *asking {
	t.Helper()
	a := &asking{}
	kept, byName := storetest.Open(t, []onramp.Form{{
		Name: "newsletter", Title: "Newsletter", Page: onramp.Page{Languages: []string{"en", "de"}},
		Fields: []onramp.Field{{Name: "email", Label: "E-mail address", Column: "EmailAddress", Type: onramp.Email, Required: true}},
		Route:  []onramp.Destination{{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}},
		DoubleOptIn: &onramp.DoubleOptIn{
			Confirmation: onramp.Destination{Kind: onramp.Message, Key: "confirm"}, ExpireAfter: 168 * time.Hour, LinkFor: 72 * time.Hour, Limits: onramp.DefaultLimits(),
		},
	}})
	a.store, a.form = kept, byName["newsletter"]
	server := &web.Server{Log: slog.New(slog.DiscardHandler), Part: "public"}
	pages, err := hosted.New(byName, nil, server)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	a.Server = httptest.NewServer(web.Harden(web.ClientIP(nil, "")(mux)))
	t.Cleanup(a.Close)
	a.desk = consent.New(consent.Config{Store: kept, Events: kept, Secret: "of a test", Forms: byName, PublicURL: a.URL})
	pages.Confirm, server.Failed = a.desk, pages.Failed
	pages.Routes(mux)
	server.Unmatched(mux)
	return a
}

// register stores a registration of an address, and returns its link.
func (a *asking) register(t *testing.T, address string) (id, link string) {
	t.Helper()
	r, err := a.form.Accept(onramp.Submission{
		Inputs: []onramp.Input{{Name: "email", Value: onramp.Scalar{Kind: onramp.String, Text: address}}}, ReceivedAt: time.Now().UTC().Truncate(time.Microsecond),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.OptIn = a.desk.Ask(&r)
	if _, err := a.store.SaveRegistration(t.Context(), &r, onramp.IdempotencyKey{}, false); err != nil {
		t.Fatal(err)
	}
	return r.ID, a.link(t, r.ID+".0.1")
}

// link is that of a confirmation.
func (a *asking) link(t *testing.T, delivery string) string {
	t.Helper()
	d, err := a.store.FindDelivery(t.Context(), delivery)
	if err != nil {
		t.Fatal(err)
	}
	letter, ok := a.desk.Letter(a.form, &d)
	var data struct{ ConfirmURL string }
	if err := json.Unmarshal(letter.Data(), &data); err != nil || !ok || data.ConfirmURL == "" {
		t.Fatal(err, ok)
	}
	return data.ConfirmURL
}

func (a *asking) state(t *testing.T, id string) string {
	t.Helper()
	r, err := a.store.FindRegistration(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r.State.String()
}

// A browser that somebody looks at confirms by itself; one without script has a button, and
// until it is clicked nothing has changed. Either sees success, also when it comes again.
func TestConfirmInBrowser(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	a := newAsking(t)
	do := func(step string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(browser, actions...); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	id, link := a.register(t, "ana@example.org")
	do("open the link", chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS(".thanks")))
	if said := browsertest.Ask(t, browser, chromedp.Text(chromedp.CSS(".thanks"))); a.state(t, id) != "queued" || said != "Thank you. Your registration is confirmed." {
		t.Error(a.state(t, id), said)
	}
	do("open it again", chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS(".thanks")))

	id, link = a.register(t, "bob@example.org")
	browsertest.Ask(t, browser, browsertest.SetScript(false))
	do("open the link without script", chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS(`button[type="submit"]`)))
	if a.state(t, id) != "held" {
		t.Error("a page without script has confirmed")
	}
	do("click", chromedp.Click(chromedp.CSS(`button[type="submit"]`)), chromedp.WaitVisible(chromedp.CSS(".thanks")))
	if a.state(t, id) != "queued" {
		t.Error(a.state(t, id))
	}
}

// The page of a link that has expired offers another one, which then confirms.
func TestSendAgain(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	a.form.DoubleOptIn.LinkFor, a.form.DoubleOptIn.Limits.PersonForm = -time.Hour, 2
	id, old := a.register(t, "ana@example.org")
	a.form.DoubleOptIn.LinkFor = time.Hour
	visit := func(method, link, body string) answer {
		return do(t, a.Config.Handler, method, strings.TrimPrefix(link, a.URL), body, asBrowser)
	}
	if got := visit(http.MethodGet, old, ""); got.Status != http.StatusGone || !strings.Contains(got.Body, "Send another link") {
		t.Error(got)
	}
	if got := visit(http.MethodPost, old, "do=confirm"); got.Status != http.StatusSeeOther || a.state(t, id) != "held" {
		t.Error("an expired link confirms", got)
	}
	for range 3 { // of which the limits let one pass; the answers are alike
		got := visit(http.MethodPost, old, "do=again")
		if where := got.Header.Get("Location"); got.Status != http.StatusSeeOther || !strings.HasSuffix(where, "?sent") {
			t.Error(got)
		} else if page := visit(http.MethodGet, where, ""); page.Status != http.StatusOK || !strings.Contains(page.Body, "an e-mail with another link is on its way") {
			t.Error(page)
		}
	}
	if _, err := a.store.FindDelivery(t.Context(), id+".0.3"); !onramp.IsNotFound(err) {
		t.Error("a third confirmation", err)
	}
	if got := visit(http.MethodPost, a.link(t, id+".0.2"), "do=confirm"); got.Status != http.StatusSeeOther || a.state(t, id) != "queued" {
		t.Error(got)
	}
	if got := visit(http.MethodGet, old, ""); got.Status != http.StatusOK || !strings.Contains(got.Body, "is confirmed") {
		t.Error(got)
	}
}
