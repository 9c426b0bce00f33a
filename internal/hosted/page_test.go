package hosted_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// page is what a browser makes of a page.
type page struct {
	Lang, Dir      string
	Title, Heading string
	Said           []string   // paragraphs that belong to no input
	List           []string   // of what is wrong, with the addresses of the inputs
	Action         string     // of the form, with its method
	Own            attributes // what the page sends along; a one-time key is KEY
	Inputs         []input
	Links          []string // of labels and other languages
}

// input is one input with what belongs to it.
type input struct {
	Group   string // the legend over it
	Label   string
	Kind    string            // element and type
	Rest    map[string]string // its other attributes
	Options []string          // of a select; the selected one with a star
	Problem string
}

// oneTimeKey is what a page has for a key.
var oneTimeKey = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// reading is a page while it is read.
type reading struct {
	page
	t                         *testing.T
	labels, problems, legends map[string]string
	groups                    map[string]string // the fieldsets by the ids of their inputs
	described                 map[string]string // the problems of the fieldsets
	ids                       map[string]bool
}

// read parses a page. Elements that a page of ours never has are a mistake,
// such as those that a label would bring.
func read(t *testing.T, body string) page {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r := reading{t: t, labels: attributes{}, problems: attributes{}, legends: attributes{}, groups: attributes{}, described: attributes{}, ids: map[string]bool{}}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			r.element(n)
		}
	}
	for i := range r.Inputs {
		in := &r.Inputs[i]
		id, group := in.Rest["id"], r.groups[in.Rest["id"]]
		in.Label, in.Group, in.Problem = r.labels[id], r.legends[group], r.problems[in.Rest["aria-describedby"]]
		if group != "" {
			in.Problem = r.problems[r.described[group]]
		} else if id != strings.ReplaceAll(in.Rest["name"], " ", "-") {
			t.Errorf("the input %s has the id %q", in.Rest["name"], id)
		}
		delete(in.Rest, "aria-describedby")
		delete(in.Rest, "id")
	}
	return r.page
}

func (r *reading) element(n *html.Node) {
	if id := attribute(n, "id"); id != "" && r.ids[id] {
		r.t.Errorf("two elements have the id %q", id)
	} else {
		r.ids[id] = true
	}
	switch n.Data {
	case "head", "body", "main", "meta", "link", "script", "option", "div", "span", "button", "h2", "ul", "nav", "img", "em", "strong":
	case "html":
		r.Lang, r.Dir = attribute(n, "lang"), attribute(n, "dir")
	case "title":
		r.Title = content(n)
	case "h1":
		r.Heading = content(n)
	case "label":
		r.labels[attribute(n, "for")] = content(n)
	case "fieldset":
		r.described[attribute(n, "id")] = attribute(n, "aria-describedby")
		for child := range n.Descendants() {
			if child.Data == "legend" {
				r.legends[attribute(n, "id")] = content(child)
			} else if id := attribute(child, "id"); id != "" {
				r.groups[id] = attribute(n, "id")
			}
		}
	case "legend":
	case "li":
		href, _ := url.PathUnescape(attribute(n.FirstChild, "href"))
		r.List = append(r.List, content(n)+" "+href)
	case "a":
		if n.Parent.Data != "li" {
			r.Links = append(r.Links, content(n)+" "+attribute(n, "href"))
		}
	case "p":
		if attribute(n, "class") == "problem" {
			r.problems[attribute(n, "id")] = content(n)
		} else {
			r.Said = append(r.Said, content(n))
		}
	case "form":
		r.Action = attribute(n, "method") + " " + attribute(n, "action")
	case "input", "select", "textarea":
		if name := attribute(n, "name"); attribute(n, "type") == "hidden" && strings.HasPrefix(name, "_") {
			if r.Own == nil {
				r.Own = attributes{}
			}
			r.Own[name] = oneTimeKey.ReplaceAllString(attribute(n, "value"), "KEY")
			return
		}
		r.Inputs = append(r.Inputs, inputOf(n))
	default:
		r.t.Errorf("the page has an element <%s>", n.Data)
	}
}

func inputOf(n *html.Node) input {
	in := input{Kind: n.Data, Rest: map[string]string{}}
	for _, a := range n.Attr {
		if a.Key == "type" {
			in.Kind += " " + a.Val
		} else {
			in.Rest[a.Key] = a.Val
		}
	}
	if n.Data == "textarea" {
		in.Rest["value"] = content(n)
	}
	for child := range n.ChildNodes() {
		if child.Data != "option" {
			continue
		}
		option := attribute(child, "value")
		if option != content(child) {
			option += " shown as " + content(child)
		}
		for _, a := range child.Attr {
			if a.Key == "selected" {
				option = "*" + option
			}
		}
		in.Options = append(in.Options, option)
	}
	return in
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func content(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

type attributes = map[string]string

// own is what a page sends along that was just asked for.
func own() attributes {
	return attributes{"_once": "KEY", "_page": "", "_referrer": "", "_landing_page": ""}
}

// survey is the page of the form with every type.
func survey() page {
	return page{
		Lang: "en", Dir: "ltr", Title: "Our survey 2026", Heading: "Our survey 2026", Action: "post /v1/forms/our-survey_2026/registrations", Own: own(),
		Inputs: []input{
			{Label: `<b>über</b> "alles" & mehr`, Kind: "input text", Rest: attributes{"name": "über", "dir": "auto", "maxlength": "20", "value": `"><script>`}},
			{Label: "Code (required)", Kind: "input text", Rest: attributes{"name": "code", "dir": "auto", "maxlength": "8", "pattern": `[A-Z]{2}"[0-9]+`, "required": ""}},
			{Label: "Mail", Kind: "input email", Rest: attributes{"name": "mail", "dir": "auto", "maxlength": "100", "autocomplete": "email"}},
			{Label: "Agreed (required)", Kind: "input checkbox", Rest: attributes{"name": "agreed", "value": "true", "required": ""}},
			{Label: "News", Kind: "select", Rest: attributes{"name": "news", "dir": "auto"}, Options: []string{"*true shown as Yes", "false shown as No"}},
			{Label: "Age", Kind: "input number", Rest: attributes{"name": "age", "dir": "auto", "step": "1", "value": "18"}},
			{Label: "Amount", Kind: "input text", Rest: attributes{"name": "amount", "dir": "auto", "inputmode": "decimal"}},
			{Label: "Born", Kind: "input date", Rest: attributes{"name": "born", "dir": "auto"}},
			{Label: "Phone", Kind: "input tel", Rest: attributes{"name": "phone", "dir": "auto", "autocomplete": "tel"}},
			{Label: "Locale", Kind: "input text", Rest: attributes{"name": "locale", "dir": "auto"}},
			{Label: "Size (required)", Kind: "select", Rest: attributes{"name": "size", "dir": "auto", "required": ""}, Options: []string{" shown as Please choose", "small", "extra  large"}},
			{Label: "Color", Kind: "select", Rest: attributes{"name": "color", "dir": "auto"}, Options: []string{"red", "*<blue>"}},
		},
	}
}

// registration is the page of the demo's form.
func registration() page {
	return page{
		Lang: "en", Dir: "ltr", Title: "Register", Heading: "Register", Action: "post /v1/forms/registration/registrations", Own: own(),
		Inputs: []input{
			{Label: "E-mail address (required)", Kind: "input email", Rest: attributes{"name": "email", "dir": "auto", "maxlength": "254", "autocomplete": "email", "required": ""}},
			{Label: "First name", Kind: "input text", Rest: attributes{"name": "first_name", "dir": "auto", "maxlength": "100", "autocomplete": "given-name"}},
			{Label: "Last name", Kind: "input text", Rest: attributes{"name": "last_name", "dir": "auto", "maxlength": "100", "autocomplete": "family-name"}},
			{Label: "Yes, send me news", Kind: "input checkbox", Rest: attributes{"name": "opt_in", "value": "true"}},
		},
	}
}

// typed is a page on which something was typed.
func typed(p page, values attributes) page {
	for name, value := range values {
		in := p.input(name)
		switch {
		case in.Kind == "select":
			for i, option := range in.Options {
				option, _ = strings.CutPrefix(option, "*")
				if text, _, _ := strings.Cut(option, " shown"); text == value {
					option = "*" + option
				}
				in.Options[i] = option
			}
		case in.Kind != "input checkbox":
			in.Rest["value"] = value
		case value != "":
			in.Rest["checked"] = ""
		}
		if value == "" {
			delete(in.Rest, "value")
		}
	}
	return p
}

func (p *page) input(name string) *input {
	for i := range p.Inputs {
		if p.Inputs[i].Rest["name"] == name {
			return &p.Inputs[i]
		}
	}
	return nil
}

// refused is a page that tells what was wrong: at the inputs, in their order, and beside them.
func refused(p page, problems attributes, said ...string) page {
	p.Title, p.Said = "Error: "+p.Title, said
	for i := range p.Inputs {
		in := &p.Inputs[i]
		if in.Problem = problems[in.Rest["name"]]; in.Problem == "" {
			continue
		}
		in.Rest["aria-invalid"] = "true"
		if p.List == nil {
			in.Rest["autofocus"] = ""
		}
		label, _, _ := strings.Cut(in.Label, " (required)")
		p.List = append(p.List, label+": "+in.Problem+" #"+in.Rest["name"])
	}
	return p
}

const (
	unreadable = "Your entries could not be read. Please fill in the form again."
	notSaved   = "Your entries could not be saved just now. Nothing is lost: please send them again in a moment."
	tooLong    = "Your entries are too long. Please shorten them and send them again."
	elsewhere  = "Your entries came from a page that may not use this form. Please check them and send them from here."
)

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	thanks := func(title string) page {
		return page{Lang: "en", Dir: "ltr", Title: "Thank you: " + title, Heading: title, Said: []string{"Thank you. Your registration has been received."}}
	}
	notFound := page{Lang: "en", Dir: "ltr", Title: "Page not found", Heading: "Page not found", Said: []string{"There is no page at this address."}}
	const registrations, surveys = "/v1/forms/registration/registrations", "/v1/forms/our-survey_2026/registrations"
	fresh := pageHeader("Cache-Control", "private, no-cache")
	for name, row := range map[string]struct {
		method, target, body string
		status               int
		header               http.Header
		want                 page
	}{
		"registration":   {"GET", "/f/registration", "", 200, fresh, registration()},
		"every type":     {"GET", "/f/our-survey_2026", "", 200, fresh, survey()},
		"thanks":         {"GET", "/f/registration?thanks", "", 200, pageHeader(), thanks("Register")},
		"other thanks":   {"GET", "/f/our-survey_2026?thanks=1", "", 200, pageHeader(), thanks("Our survey 2026")},
		"no such form":   {"GET", "/f/nobody", "", 404, pageHeader(), notFound},
		"nothing there":  {"GET", "/<script>", "", 404, pageHeader(), notFound},
		"no colours":     {"GET", "/f/registration/colors.css", "", 404, pageHeader(), notFound},
		"post to nobody": {"POST", "/v1/forms/nobody/registrations", "email=a%40b.co", 404, pageHeader(), notFound},
		"a field missing": {
			"POST", registrations, "email=&first_name=Jane-the-visitor&last_name=%22%3E%3Cb%3E&opt_in=true", 422, pageHeader(),
			refused(typed(registration(), attributes{"first_name": "Jane-the-visitor", "last_name": `"><b>`, "opt_in": "true"}), attributes{"email": "Enter your e-mail address."}),
		},
		"a wrong address": {
			"POST", registrations, "email=%3Cnobody%3E", 422, pageHeader(),
			refused(typed(registration(), attributes{"email": "<nobody>"}), attributes{"email": "Enter a valid e-mail address."}),
		},
		"many wrong": {
			"POST", surveys,
			"%C3%BCber=" + strings.Repeat("typed+", 10) + "&code=typed&mail=typed&agreed=typed&news=typed&age=typed&amount=typed&born=typed&phone=typed&locale=typed_typed&color=typed&%3Cb%3Eunknown=typed",
			422, pageHeader(), refused(manyTyped(), attributes{
				"über": "Use at most 20 characters.", "code": "This entry does not have the requested format.",
				"mail": "Enter a valid e-mail address.", "agreed": "Please answer yes or no.", "news": "Please answer yes or no.",
				"age": "Enter a whole number, such as 42.", "amount": "Enter a number, such as 12.50.", "born": "Enter a valid date, such as 2026-06-23.",
				"phone": "Enter a valid phone number, such as +49 30 123456.", "locale": "Enter a language and a region, such as en-US.",
				"size": "Please choose an option.", "color": "Choose one of the options.",
			}, "“<b>unknown” is not part of this form."),
		},
		"twice and not readable": {
			"POST", registrations, "email=a%40b.co&first_name=a&first_name=%00", 422, pageHeader(),
			refused(typed(registration(), attributes{"email": "a@b.co", "first_name": "\ufffd"}), attributes{"first_name": "Please enter one value only."}),
		},
		"partly readable": {
			"POST", registrations, "email=%zz-typed&first_name=Jane&last_name=%ff", 400, pageHeader(),
			refused(typed(registration(), attributes{"first_name": "Jane", "last_name": "\ufffd"}), nil, unreadable),
		},
		"too large": {
			"POST", registrations, "email=a%40b.co&first_name=Jane&last_name=" + strings.Repeat("x", 300<<10) + "&opt_in=true", 413, pageHeader(),
			refused(typed(registration(), attributes{"email": "a@b.co", "first_name": "Jane"}), nil, tooLong),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := do(t, s, row.method, row.target, row.body, asBrowser)
			got.Header.Del("Vary") // only on the API's routes
			if diff := cmp.Diff(answer{row.status, row.header, got.Body}, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.want, read(t, got.Body)); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
		})
	}
	if n := len(s.store.Count().Registrations); n != 0 {
		t.Errorf("refused posts were stored: %v", s.store.Count())
	}
}

// manyTyped is the survey's page with nonsense in every input: as text where a browser
// would drop it.
func manyTyped() page {
	p := typed(survey(), attributes{
		"über": strings.Repeat("typed ", 10), "code": "typed", "mail": "typed", "age": "typed", "amount": "typed", "born": "typed", "phone": "typed", "locale": "typed_typed",
	})
	p.input("news").Options = []string{" shown as Please choose", "true shown as Yes", "false shown as No"}
	p.input("color").Options = []string{" shown as Please choose", "red", "<blue>"}
	p.input("age").Kind, p.input("born").Kind = "input text", "input text"
	delete(p.input("age").Rest, "step")
	p.input("age").Rest["inputmode"] = "numeric"
	return p
}

// What was typed is kept with every kind of refusal, and so is what the page sends along.
func TestTypedIsKept(t *testing.T) {
	t.Parallel()
	const registrations = "/v1/forms/registration/registrations"
	const key = "one-time-key-of-the-page"
	body := "email=a%40b.co&first_name=Jane&_once=" + key + "&_page=https%3A%2F%2Fexample.com%2Fa%3Futm_source%3Dx&_referrer=https%3A%2F%2Fb.example%2F&_landing_page="
	kept := func(said string) page {
		p := refused(typed(registration(), attributes{"email": "a@b.co", "first_name": "Jane"}), nil, said)
		p.Own = attributes{"_once": key, "_page": "https://example.com/a?utm_source=x", "_referrer": "https://b.example/", "_landing_page": ""}
		return p
	}
	closed := newSite(t)
	if err := closed.store.Close(); err != nil {
		t.Fatal(err)
	}
	narrow := newSite(t)
	narrow.forms["registration"].Origins = []string{}
	var multi bytes.Buffer
	parts := multipart.NewWriter(&multi)
	for _, pair := range strings.Split(body, "&") {
		name, value, _ := strings.Cut(pair, "=")
		value, _ = url.QueryUnescape(value)
		_ = parts.WriteField(name, value)
	}
	file, _ := parts.CreateFormFile("last_name", "secret.txt")
	_, _ = file.Write([]byte("content of a file"))
	_ = parts.Close()
	for name, row := range map[string]struct {
		site         *site
		contentType  string
		body, origin string
		status       int
		header       http.Header
		want         page
	}{
		"503":          {closed, "", body, "", 503, pageHeader("Retry-After", "5", "Vary", "Origin"), kept(notSaved)},
		"403":          {narrow, "", body, "https://elsewhere.example", 403, pageHeader("Vary", "Origin"), kept(elsewhere)},
		"403 in parts": {narrow, parts.FormDataContentType(), multi.String(), "null", 403, pageHeader("Vary", "Origin"), kept(elsewhere)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := asBrowser.Clone()
			if row.contentType != "" {
				header.Set("Content-Type", row.contentType)
			}
			if row.origin != "" {
				header.Set("Origin", row.origin)
			}
			got := do(t, row.site, "POST", registrations, row.body, header)
			if diff := cmp.Diff(answer{row.status, row.header, got.Body}, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.want, read(t, got.Body)); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
			if strings.Contains(got.Body, "secret") || strings.Contains(got.Body, "content of a file") {
				t.Errorf("the page repeats a file:\n%s", got.Body)
			}
		})
	}
}

// Programs get their problem documents from the same addresses.
func TestProgramsGetNoPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, accept := range []string{"", "*/*", "application/json"} {
		header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {accept}}
		got := do(t, s, "POST", "/v1/forms/registration/registrations", "", header)
		want := answer{
			422,
			http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "Vary": {"Origin"}},
			`{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"some fields are not valid","errors":[{"field":"email","message":"is required","code":"required"}]}` + "\n",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Accept: %s (-want +got):\n%s", accept, diff)
		}
	}
}

func TestStyleSheet(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := do(t, s, "GET", "/f/style.css", "", nil)
	want := answer{200, http.Header{
		"Content-Type": {"text/css; charset=utf-8"}, "Cache-Control": {"public, max-age=3600"}, "X-Content-Type-Options": {"nosniff"},
	}, got.Body}
	if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(got.Body, "body {") {
		t.Errorf("answer (-want +got):\n%s\n%s", diff, got.Body)
	}
	if form := do(t, s, "GET", "/f/registration", "", nil); !strings.Contains(form.Body, `<link rel="stylesheet" href="/f/style.css">`) {
		t.Errorf("the page does not use it:\n%s", form.Body)
	}
}

// What the browser sends for the page as it is: the defaults, and an unticked
// box is a no.
func TestPostAsShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	body := "%C3%BCber=%22%3E%3Cscript%3E&code=AB%221&mail=&agreed=true&news=false&age=18&amount=&born=&phone=&locale=&size=extra++large&color=%3Cblue%3E"
	got := do(t, s, "POST", "/v1/forms/our-survey_2026/registrations", body, asBrowser)
	want := answer{303, http.Header{"Location": {"/f/our-survey_2026?thanks"}, "Vary": {"Origin"}, "X-Content-Type-Options": {"nosniff"}}, ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("answer (-want +got):\n%s", diff)
	}
	const values = `{"Note":"\"><script>","Code":"AB\"1","Agreed":true,"News":false,"Age":18,"Size":"extra  large","Color":"<blue>","IP":"192.0.2.1"}`
	if stored := s.stored(t); len(stored) != 1 || string(stored[0].Values) != values {
		t.Errorf("stored %+v, want %s", stored, values)
	}
}
