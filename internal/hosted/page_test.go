package hosted_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// page is what a browser makes of a page.
type page struct {
	Title, Heading string
	Said           []string // paragraphs that belong to no input
	Action         string   // of the form, with its method
	Inputs         []input
}

// input is one input with what belongs to it.
type input struct {
	Label   string
	Kind    string            // element and type
	Rest    map[string]string // its other attributes
	Options []string          // of a select; the selected one with a star
	Problem string
}

// read parses a page. Elements that a page of ours never has are a mistake,
// such as those that a label would bring.
func read(t *testing.T, body string) page {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var p page
	labels, problems, seen := map[string]string{}, map[string]string{}, map[string]bool{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "html", "head", "body", "main", "meta", "link", "option", "div", "span", "button":
		case "title":
			p.Title = content(n)
		case "h1":
			p.Heading = content(n)
		case "label":
			labels[attribute(n, "for")] = content(n)
		case "p":
			if attribute(n, "class") == "problem" {
				problems[attribute(n, "id")] = content(n)
			} else if first := n.FirstChild; first != nil && first.Type == html.TextNode && first.NextSibling == nil {
				p.Said = append(p.Said, content(n))
			}
		case "form":
			p.Action = attribute(n, "method") + " " + attribute(n, "action")
		case "input", "select":
			p.Inputs = append(p.Inputs, inputOf(n))
			if id := attribute(n, "id"); seen[id] {
				t.Errorf("two inputs have the id %q", id)
			} else {
				seen[id] = true
			}
		default:
			t.Errorf("the page has an element <%s>", n.Data)
		}
	}
	for i := range p.Inputs {
		in := &p.Inputs[i]
		in.Label = labels[in.Rest["id"]]
		in.Problem = problems[in.Rest["aria-describedby"]]
		delete(in.Rest, "aria-describedby")
		if in.Rest["id"] != in.Rest["name"] {
			t.Errorf("the input %s has the id %q", in.Rest["name"], in.Rest["id"])
		}
		delete(in.Rest, "id")
	}
	return p
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

// survey is the page of the form with every type.
func survey() page {
	return page{
		Title: "Our survey 2026", Heading: "Our survey 2026", Action: "post /v1/forms/our-survey_2026/registrations",
		Inputs: []input{
			{Label: `<b>über</b> "alles" & mehr`, Kind: "input text", Rest: attributes{"name": "über", "maxlength": "20", "value": `"><script>`}},
			{Label: "Code (required)", Kind: "input text", Rest: attributes{"name": "code", "maxlength": "8", "pattern": `[A-Z]{2}"[0-9]+`, "required": ""}},
			{Label: "Mail", Kind: "input email", Rest: attributes{"name": "mail", "maxlength": "100", "autocomplete": "email"}},
			{Label: "Agreed (required)", Kind: "input checkbox", Rest: attributes{"name": "agreed", "value": "true", "required": ""}},
			{Label: "News", Kind: "select", Rest: attributes{"name": "news"}, Options: []string{"*Yes", "No"}},
			{Label: "Age", Kind: "input number", Rest: attributes{"name": "age", "step": "1", "value": "18"}},
			{Label: "Amount", Kind: "input text", Rest: attributes{"name": "amount", "inputmode": "decimal"}},
			{Label: "Born", Kind: "input date", Rest: attributes{"name": "born"}},
			{Label: "Phone", Kind: "input tel", Rest: attributes{"name": "phone", "autocomplete": "tel"}},
			{Label: "Locale", Kind: "input text", Rest: attributes{"name": "locale"}},
			{Label: "Size (required)", Kind: "select", Rest: attributes{"name": "size", "required": ""}, Options: []string{"", "small", "extra  large"}},
			{Label: "Color", Kind: "select", Rest: attributes{"name": "color"}, Options: []string{"red", "*<blue>"}},
		},
	}
}

// registration is the page of the demo's form.
func registration() page {
	return page{
		Title: "Register", Heading: "Register", Action: "post /v1/forms/registration/registrations",
		Inputs: []input{
			{Label: "E-mail address (required)", Kind: "input email", Rest: attributes{"name": "email", "maxlength": "254", "autocomplete": "email", "required": ""}},
			{Label: "First name", Kind: "input text", Rest: attributes{"name": "first_name", "maxlength": "100", "autocomplete": "given-name"}},
			{Label: "Last name", Kind: "input text", Rest: attributes{"name": "last_name", "maxlength": "100", "autocomplete": "family-name"}},
			{Label: "Yes, send me news", Kind: "input checkbox", Rest: attributes{"name": "opt_in", "value": "true"}},
		},
	}
}

func refused(p page, problems map[string]string, said ...string) page {
	p.Said = said
	for i := range p.Inputs {
		in := &p.Inputs[i]
		if in.Problem = problems[in.Rest["name"]]; in.Problem != "" {
			in.Rest["aria-invalid"] = "true"
		}
	}
	return p
}

const goBack = "Please go back in your browser to keep what you have typed, or fill in the form again."

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	thanks := func(title string) page {
		return page{Title: title, Heading: title, Said: []string{"Thank you. Your registration has been received."}}
	}
	sorry := func(said string) page { return page{Title: "Sorry", Heading: "Sorry", Said: []string{said}} }
	for name, row := range map[string]struct {
		method, target, body string
		status               int
		header               http.Header
		want                 page
	}{
		"registration":   {"GET", "/f/registration", "", 200, pageHeader(), registration()},
		"every type":     {"GET", "/f/our-survey_2026", "", 200, pageHeader(), survey()},
		"thanks":         {"GET", "/f/registration?thanks", "", 200, pageHeader(), thanks("Register")},
		"other thanks":   {"GET", "/f/our-survey_2026?thanks=1", "", 200, pageHeader(), thanks("Our survey 2026")},
		"no such form":   {"GET", "/f/nobody", "", 404, pageHeader(), sorry("There is no such form.")},
		"nothing there":  {"GET", "/<script>", "", 404, pageHeader(), sorry("There is nothing at this address.")},
		"post to nobody": {"POST", "/v1/forms/nobody/registrations", "email=a%40b.co", 404, pageHeader(), sorry("There is no such form.")},
		"a field missing": {
			"POST", "/v1/forms/registration/registrations", "email=&first_name=Jane-the-visitor&last_name=&opt_in=true", 422, pageHeader(),
			refused(registration(), map[string]string{"email": "E-mail address is required."}, goBack),
		},
		"many wrong": {
			"POST", "/v1/forms/our-survey_2026/registrations",
			"%C3%BCber=" + strings.Repeat("typed+", 10) + "&code=typed&mail=typed&agreed=typed&news=typed&age=typed&amount=typed&born=typed&phone=typed&locale=typed_typed&color=typed&%3Cb%3Eunknown=typed",
			422, pageHeader(), refused(survey(), map[string]string{
				"über": `<b>über</b> "alles" & mehr must be at most 20 characters.`, "code": "Code does not have the required format.",
				"mail": "Mail must be a valid email address.", "agreed": "Agreed must be true or false.", "news": "News must be true or false.",
				"age":    "Age must be a whole number between -2147483648 and 2147483647.",
				"amount": "Amount must be a decimal number of at most 29 digits.", "born": "Born must be a date such as 2026-06-23 or 2026-06-23T14:52:45Z.",
				"phone": "Phone must be a phone number of 5 to 15 digits, such as +49 30 123456.", "locale": "Locale must be a locale such as en-US.",
				"size": "Size is required.", "color": "Color must be one of the choices.",
			}, "<b>unknown is not a field of this form.", goBack),
		},
		"not readable": {
			"POST", "/v1/forms/registration/registrations", "email=%zz-typed", 400, pageHeader(),
			refused(registration(), nil, "The body is not valid application/x-www-form-urlencoded."),
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
			if strings.Contains(got.Body, "typed ") || strings.Contains(got.Body, "Jane-the-visitor") || strings.Contains(got.Body, "typed_typed") {
				t.Errorf("the page repeats what was typed:\n%s", got.Body)
			}
		})
	}
	if n := len(s.store.Count().Registrations); n != 0 {
		t.Errorf("refused posts were stored: %v", s.store.Count())
	}
}

// Umlauts stay whole when a sentence begins with one.
func TestProblemBeginsWithUmlaut(t *testing.T) {
	t.Parallel()
	got := read(t, do(t, newSite(t), "POST", "/v1/forms/registration/registrations", "email=a%40b.co&%C3%BCber=x", asBrowser).Body)
	want := refused(registration(), nil, "Über is not a field of this form.", goBack)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}

// A store that can't take the registration: the page says so, and when to come
// again.
func TestUnavailablePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	got := do(t, s, "POST", "/v1/forms/registration/registrations", "email=a%40b.co", asBrowser)
	want := answer{503, pageHeader("Retry-After", "5", "Vary", "Origin"), got.Body}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	wantPage := refused(registration(), nil, "The registration could not be stored; please try again.")
	if diff := cmp.Diff(wantPage, read(t, got.Body)); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
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
			`{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"some fields are not valid","errors":[{"field":"email","message":"is required"}]}` + "\n",
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
	body := "%C3%BCber=%22%3E%3Cscript%3E&code=AB%221&mail=&agreed=true&news=No&age=18&amount=&born=&phone=&locale=&size=extra++large&color=%3Cblue%3E"
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
