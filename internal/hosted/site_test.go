package hosted_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"onramp/internal/api"
	"onramp/internal/hosted"
	"onramp/internal/onramp"
	"onramp/internal/screen"
	"onramp/internal/store"
	"onramp/internal/store/storetest"
	"onramp/internal/web"
)

// site is the public listener as the program has it, over a real store.
type site struct {
	http.Handler
	store *store.Store
	forms map[string]*onramp.Form
}

var receivedAt = time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteOf(t, forms())
}

func newSiteOf(t *testing.T, forms []onramp.Form) *site { return newScreenedSite(t, forms, nil) }

// newScreenedSite screens the forms that have settings. The time goes on there.
func newScreenedSite(t *testing.T, forms []onramp.Form, settings map[string]screen.Settings) *site {
	t.Helper()
	kept, byName := storetest.Open(t, forms)
	log := slog.New(slog.DiscardHandler)
	server := &web.Server{Log: log, Part: "public"}
	now := func() time.Time { return receivedAt }
	if settings != nil {
		now = time.Now
	}
	gate, err := screen.New(t.Context(), screen.Config{
		Memory: screen.NewMemory(kept, log, now), Forms: byName, Settings: settings, Client: func(bool) *http.Client { return http.DefaultClient }, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := hosted.New(byName, gate, server)
	if err != nil {
		t.Fatal(err)
	}
	server.Failed = pages.Failed
	mux := http.NewServeMux()
	sites := &api.Public{Forms: byName, Store: kept, Server: server, Now: now, Screen: gate}
	if err := sites.Routes(mux); err != nil {
		t.Fatal(err)
	}
	pages.Routes(mux)
	server.Unmatched(mux)
	return &site{web.Harden(web.ClientIP(nil, "")(mux)), kept, byName}
}

// forms are the demo's "registration" and "survey", with every type and with
// labels that must not become HTML.
func forms() []onramp.Form {
	yes, no := onramp.Scalar{Kind: onramp.True}, onramp.Scalar{Kind: onramp.False}
	source, age := onramp.Scalar{Kind: onramp.String, Text: "Website Registration"}, onramp.Scalar{Kind: onramp.Number, Text: "18"}
	blue, note := onramp.Scalar{Kind: onramp.String, Text: "<blue>"}, onramp.Scalar{Kind: onramp.String, Text: `"><script>`}
	row := onramp.Destination{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}}
	return []onramp.Form{
		{
			Name: "registration", Title: "Register", IgnoreUnknown: new(false),
			Fields: []onramp.Field{
				{Name: "email", Label: "E-mail address", Column: "EmailAddress", Type: onramp.Email, Required: true},
				{Name: "first_name", Label: "First name", Column: "FirstName", Max: 100},
				{Name: "last_name", Label: "Last name", Column: "LastName", Max: 100},
				{Name: "opt_in", Label: "Yes, send me news", Column: "OptInStatus", Type: onramp.Boolean, Default: &no},
				{Column: "RegistrationTimestamp", From: onramp.FromReceivedAt},
				{Column: "Source", From: onramp.FromConstant, Constant: &source},
				{Column: "IPAddress", From: onramp.FromIP},
				{Column: "UserAgent", From: onramp.FromUserAgent, Max: 255},
				{Column: "PageURL", From: onramp.FromPageURL, Max: 500},
			},
			Route: []onramp.Destination{row},
		},
		{
			Name: "our-survey_2026", IgnoreUnknown: new(false), SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
			Fields: []onramp.Field{
				{Name: "über", Label: `<b>über</b> "alles" & mehr`, Column: "Note", Max: 20, Default: &note},
				{Name: "code", Column: "Code", Max: 8, Pattern: pattern(`[A-Z]{2}"[0-9]+`), Required: true},
				{Name: "mail", Column: "Mail", Type: onramp.Email, Max: 100},
				{Name: "agreed", Column: "Agreed", Type: onramp.Boolean, Required: true},
				{Name: "news", Column: "News", Type: onramp.Boolean, Default: &yes},
				{Name: "age", Column: "Age", Type: onramp.Integer, Default: &age},
				{Name: "amount", Column: "Amount", Type: onramp.Decimal},
				{Name: "born", Column: "Born", Type: onramp.Date},
				{Name: "phone", Column: "Phone", Type: onramp.Phone},
				{Name: "locale", Column: "Locale", Type: onramp.Locale},
				{Name: "size", Column: "Size", Type: onramp.Choice, Choices: []string{"small", "extra  large"}, Required: true},
				{Name: "color", Column: "Color", Type: onramp.Choice, Choices: []string{"red", "<blue>"}, Default: &blue},
				{Column: "IP", From: onramp.FromIP},
			},
			Route: []onramp.Destination{row},
		},
		looks(row),
	}
}

// looks is a form with every kind of input, in a language that is written from left to
// right and one that is not.
func looks(row onramp.Destination) onramp.Form {
	arabic := func(english, arabic string) onramp.Wording { return onramp.Wording{"": english, "ar": arabic} }
	no := onramp.Scalar{Kind: onramp.False}
	source := onramp.Scalar{Kind: onramp.String, Text: "web"}
	return onramp.Form{
		Name: "looks", Title: "Stay in touch", Titles: arabic("Stay in touch", "ابقَ على تواصل"), SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
		Page: onramp.Page{
			Languages: []string{"en", "de", "ar"},
			Texts: map[string]onramp.Wording{
				"language_name": {"ar": "العربية"}, "languages": {"ar": "اللغة"}, "required": {"ar": "مطلوب"}, "choose": {"ar": "اختر"},
				"yes": {"ar": "نعم"}, "no": {"ar": "لا"}, "send": {"ar": "إرسال"}, "sending": {"ar": "جارٍ الإرسال…"},
				"title_error": {"ar": "خطأ: {title}"}, "title_thanks": {"ar": "شكرًا: {title}"}, "heading_error": {"ar": "تحقّق من بياناتك"},
				"thanks": {"ar": "شكرًا لك. **وصلنا تسجيلك.**", "en": "Thank you. **See you soon!**"}, "suggestion": {"ar": "هل تقصد {suggestion}؟"}, "correct": {"ar": "صحّحه في النموذج"},
				"error_email": {"ar": "أدخل عنوان بريد إلكتروني صالحًا."}, "error_required_choice": {"ar": "اختر أحد الخيارات."},
			},
		},
		Fields: []onramp.Field{
			{Name: "name", Label: "Your name", Labels: arabic("Your name", "اسمك"), Column: "Name", Prefill: "who"},
			{Name: "email", Label: "E-mail address", Labels: arabic("E-mail address", "البريد الإلكتروني"), Column: "Email", Type: onramp.Email, Required: true, Prefill: "email"},
			{Name: "letter", Label: "Your message", Labels: arabic("Your message", "رسالتك"), Column: "Letter", Multiline: true, Max: 500},
			{
				Name: "plan", Label: "How often?", Labels: arabic("How often?", "كم مرة؟"), Column: "Plan", Type: onramp.Choice, Choices: []string{"monthly", "yearly"}, Input: "radio", Required: true,
				ChoiceLabels: map[string]onramp.Wording{"monthly": arabic("Every month", "كل شهر"), "yearly": arabic("Once a year", "مرة في السنة")},
			},
			{
				Name: "topics", Label: "Topics", Labels: arabic("Topics", "المواضيع"), Column: "Topics", Type: onramp.Choices, Choices: []string{"news", "events"}, Required: true, Prefill: "topic",
				ChoiceLabels: map[string]onramp.Wording{"news": arabic("News", "أخبار"), "events": arabic("Events", "فعاليات")},
			},
			{
				Name: "country", Label: "Country", Labels: arabic("Country", "البلد"), Column: "Country", Type: onramp.Choice, Choices: []string{"DE", "FR"}, Prefill: "country",
				ChoiceLabels: map[string]onramp.Wording{"DE": arabic("Germany", "ألمانيا"), "FR": arabic("France", "فرنسا")},
			},
			{Name: "born", Label: "Date of birth", Labels: arabic("Date of birth", "تاريخ الميلاد"), Column: "Born", Type: onramp.Date},
			{Name: "source", Label: "Source", Column: "Source", Input: "hidden", Default: &source, Prefill: "utm_source"},
			{Name: "news", Label: "News?", Labels: arabic("News?", "أخبار؟"), Column: "News", Type: onramp.Boolean, Input: "radio"},
			{
				Name: "terms", Label: "I agree to the [*terms of use*](https://www.example.com/terms?a=b&c=d) and have read the [privacy notice](/privacy).",
				Labels: arabic("I agree to the [*terms of use*](https://www.example.com/terms?a=b&c=d) and have read the [privacy notice](/privacy).", "أوافق على [*شروط الاستخدام*](https://www.example.com/terms?a=b&c=d) وقرأت [إشعار الخصوصية](/privacy)."),
				Column: "Terms", Type: onramp.Boolean, Required: true, Default: &no, Prefill: "terms",
			},
		},
		Route: []onramp.Destination{row},
	}
}

// asBrowser are the headers that a browser sends with a plain form post.
var asBrowser = http.Header{
	"Accept":       {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	"Content-Type": {"application/x-www-form-urlencoded"},
}

// answer is all that a browser sees.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func do(t *testing.T, h http.Handler, method, target, body string, header http.Header) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header = header.Clone()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	content, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{w.Code, w.Header(), string(content)}
}

// pageHeader is what every page brings.
func pageHeader(more ...string) http.Header {
	h := http.Header{
		"Content-Type":            {"text/html; charset=utf-8"},
		"Content-Security-Policy": {"default-src 'none'; script-src 'self'; style-src 'self'; form-action *; base-uri 'none'; frame-ancestors 'self'"},
		"Referrer-Policy":         {"same-origin"},
		"Cache-Control":           {"no-store"},
		"X-Content-Type-Options":  {"nosniff"},
	}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// stored are all registrations, newest first, with their columns as values.
func (s *site) stored(t *testing.T) []onramp.Registration {
	t.Helper()
	all, _, _, err := s.store.ListRegistrations(t.Context(), onramp.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Values, _, err = s.forms[all[i].Form].Columns(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// pattern compiles a pattern that is known to be right.
func pattern(source string) *onramp.Pattern {
	p, err := onramp.NewPattern(source)
	if err != nil {
		panic(err)
	}
	return p
}
