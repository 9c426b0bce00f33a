package app_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

// asks has the demo's form confirmed, by the message definition of the sandbox, and names
// columns for that.
func asks(more string) func(string) string {
	return func(cfg string) string {
		cfg, _, _ = strings.Cut(cfg, "    on_event:")
		cfg = regexp.MustCompile(`column: IPAddress, +from: ip `).ReplaceAllString(cfg, "column: IPAddress, from: confirmed_ip ")
		cfg = regexp.MustCompile(`column: PageURL, +from: page_url, +max: 500`).ReplaceAllString(cfg, "column: PageURL, from: confirmed_at")
		return cfg + "    double_opt_in: { message: { definition_key: welcome }" + more + " }\n"
	}
}

// eventually looks until something is so; each look is a request, and nothing else waits.
func (w *world) eventually(what string, so func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !so() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-w.t.Context().Done():
		}
	}
}

// mails are the confirmations that the sandbox has sent, once there are so many.
func (w *world) mails(n int) []sandbox.Message {
	w.t.Helper()
	w.eventually(fmt.Sprint(n, " messages"), func() bool { return len(w.sandbox.State().Messages) >= n })
	return w.sandbox.State().Messages
}

func linkOf(m sandbox.Message) string { return m.Attributes["ConfirmURL"].(string) }

// visit requests a page as a browser does, and follows no redirect.
func (w *world) visit(method, address, body string) (status int, page string, header http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/149.0.0.0 Safari/537.36")
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(content), response.Header
}

// A registration is held, whoever only looks at the link changes nothing, and when its
// person confirms it goes to Marketing Cloud with the time and the address of that.
func TestDoubleOptIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, asks(", include: [first_name, last_name]"))
	a := w.post(`{"email":"Ana@Example.org","first_name":"Ana","last_name":"www.evil.example","opt_in":true}`, map[string]string{"Prefer": wait, "Accept-Language": "en"})
	if a.Code != http.StatusAccepted || a.Status != "held" {
		t.Fatal(a)
	}
	m := w.mails(1)[0]
	link := linkOf(m)
	want := map[string]any{"ConfirmURL": link, "Language": "en", "FormTitle": m.Attributes["FormTitle"], "FirstName": "Ana"}
	if diff := cmp.Diff(want, m.Attributes); diff != "" || m.To != "Ana@example.org" || m.MessageKey != a.ID+".0.1" || !strings.HasPrefix(link, w.gateway.PublicURL()+"/confirm/") {
		t.Error(m.To, m.MessageKey, link, diff)
	}
	if strings.Contains(strings.ToLower(link), "ana") || len(link)-len(w.gateway.PublicURL()) > 200 {
		t.Error("the link says who gets it, or is long", link)
	}
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet} {
		if status, page, header := w.visit(method, link, ""); status != http.StatusOK || header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" ||
			header.Get("X-Robots-Tag") != "noindex" || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'") {
			t.Error(method, status, header, page, link)
		}
	}
	rows := func() []map[string]any { return w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows }
	if status := w.statusOf(a.ID); status != "held" || len(rows()) != 0 {
		t.Fatal("looking at the link has changed something:", status, rows())
	}

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, link, strings.NewReader("do=confirm"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	if response, err := http.DefaultTransport.RoundTrip(request); err != nil || response.StatusCode != http.StatusForbidden || w.statusOf(a.ID) != "held" {
		t.Error("another page could confirm", err)
	} else {
		response.Body.Close()
	}

	for range 2 {
		status, _, header := w.visit(http.MethodPost, link, "do=confirm")
		if status != http.StatusSeeOther || header.Get("Location") != strings.TrimPrefix(link, w.gateway.PublicURL()) {
			t.Error(status, header)
		}
		if status, page, _ := w.visit(http.MethodGet, link, ""); status != http.StatusOK || !strings.Contains(page, "Your registration is confirmed") || strings.Contains(page, "<form") {
			t.Error(status, page)
		}
	}
	w.eventually("delivered", func() bool { return w.statusOf(a.ID) == "delivered" })
	row := rows()[0]
	at, err := time.Parse(time.RFC3339, fmt.Sprint(row["PageURL"]))
	if len(rows()) != 1 || row["OptInStatus"] != true || row["IPAddress"] != "127.0.0.1" || err != nil || time.Since(at) > time.Minute {
		t.Error(rows(), err)
	}
	whats := strings.Join(w.whats(a.ID), ", ")
	for _, what := range []string{"accepted", "held", "delivered message:welcome", "confirmed", "delivered data_extension:Web_Registrations"} {
		if !strings.Contains(whats, what) {
			t.Error("the timeline lacks", what, whats)
		}
	}

	// confirmed and submitted again: at once, without a second mail, and answered alike
	again := w.post(`{"email":"Ana@example.org","first_name":"Anna"}`, map[string]string{"Prefer": wait})
	if again.Code != http.StatusAccepted || again.Status != "held" || w.statusOf(again.ID) != "held" {
		t.Error("the answer tells who has confirmed before", again, w.statusOf(again.ID))
	}
	w.eventually("the new name", func() bool { return rows()[0]["FirstName"] == "Anna" })
	if got := rows()[0]["PageURL"]; got != row["PageURL"] || len(w.sandbox.State().Messages) != 1 {
		t.Error("confirmed at", got, "want", row["PageURL"])
	}
}

// statusOf is what the public API says of a registration.
func (w *world) statusOf(id string) string {
	w.t.Helper()
	var status struct{ Status string }
	w.getJSON(w.gateway.PublicURL()+"/v1/registrations/"+id, &status)
	return status.Status
}

// A link that is no good says so, and not whether anybody has registered.
func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, asks(""))
	w.post(`{"email":"ana@example.org"}`, nil)
	link := linkOf(w.mails(1)[0])
	forged, _ := strings.CutSuffix(link, link[len(link)-4:])
	for _, address := range []string{forged + "AAAA", forged, w.gateway.PublicURL() + "/confirm/x", link + "A", w.gateway.PublicURL() + "/confirm/" + strings.Repeat("A", 5000)} {
		for method, body := range map[string]string{http.MethodGet: "", http.MethodPost: "do=confirm"} {
			status, page, _ := w.visit(method, address, body)
			if status != http.StatusGone || !strings.Contains(page, "This link has expired. Please register again.") {
				t.Error(method, status, page)
			}
		}
	}
	if status, _, _ := w.visit(http.MethodPost, link, "do=nothing"); status != http.StatusBadRequest {
		t.Error(status)
	}
	if status, _, _ := w.visit(http.MethodPost, link, "do="+strings.Repeat("x", 2000)); status != http.StatusRequestEntityTooLarge {
		t.Error(status)
	}
	if status, _, _ := w.visit(http.MethodPut, link, ""); status != http.StatusMethodNotAllowed {
		t.Error(status)
	}
}

// 120 posts of one victim bring one mail. 10,000 posts from 500 addresses use up no more than
// half of what the form may send, and whoever comes in between gets theirs.
func TestListBombing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg string) string {
		cfg = asks(", limits: { per_form: 60, per_domain: 10000 }")(cfg)
		return strings.Replace(cfg, `public: { listen: "127.0.0.1:8080", `, `public: { listen: "127.0.0.1:8080", trusted_proxies: [127.0.0.1], `, 1)
	})
	held := 0
	post := func(address string, n int) {
		if a := w.post(`{"email":"`+address+`"}`, map[string]string{"X-Forwarded-For": fmt.Sprintf("198.51.100.%d", n)}); a.Code == http.StatusAccepted && a.Status == "held" {
			held++
		}
	}
	for range 120 {
		post("victim@example.org", 1)
	}
	for i := range 400 {
		post(fmt.Sprintf("person%d@example.com", i), 10+i%20) // 20 addresses, 20 posts each
		if i%40 == 39 {
			post(fmt.Sprintf("real%d@example.net", i), 100+i/40)
		}
	}
	if held != 530 {
		t.Errorf("%d of 530 were answered alike", held)
	}
	mails := w.mails(1 + 29 + 10)
	count := map[string]int{}
	for _, m := range mails {
		_, domain, _ := strings.Cut(m.To, "@")
		count[domain]++
	}
	if count["example.org"] != 1 || count["example.net"] != 10 || count["example.com"] > 29 {
		t.Error(count)
	}
	var list struct {
		Items []struct {
			Held struct{ Reason, Detail string }
		}
	}
	w.getJSON(w.gateway.AdminURL()+"/api/registrations?state=held&limit=1", &list)
	if len(list.Items) != 1 {
		t.Error("nothing is held")
	}
}
