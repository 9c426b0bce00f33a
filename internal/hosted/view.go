package hosted

import (
	"cmp"
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/text/language"

	"onramp/internal/hosted/markdown"
	"onramp/internal/hosted/texts"
	"onramp/internal/onramp"
	"onramp/internal/screen"
)

// view is what one visitor sees of a page.
type view struct {
	page     *page
	builtIn  map[string]string // texts of the language, by key
	language string
	chosen   bool       // the URL says the language
	query    url.Values // of the page's URL

	Title    string // of the document
	Heading  string
	Inputs   []input
	Hidden   []hidden // what the page sends along
	Wrong    []wrong  // the inputs that are wrong, in the order of the form
	Problems []string // what no input is to blame for
	Thanks   bool
	Meant    string // the domain that the visitor may have meant
	Asks     bool   // there is a form on the page
	Refused  bool   // it answers a submission
}

type hidden struct{ Name, Value string }

// wrong is an entry of the list over the form.
type wrong struct {
	ID, Label, Problem string
}

// link is another language of the page.
type link struct{ Language, Name, Href string }

// view begins a view in the visitor's language.
func (p *page) view(r *http.Request) *view {
	tag, chosen := p.language(r)
	v := p.in(tag)
	v.chosen, v.query = chosen, r.URL.Query()
	return v
}

// in begins a view in a language.
func (p *page) in(tag language.Tag) *view {
	builtIn := texts.In(tag)
	if builtIn == nil {
		builtIn = texts.In(language.English)
	}
	v := &view{page: p, builtIn: builtIn, language: tag.String()}
	v.Heading = cmp.Or(p.form.Titles.In(v.language), p.form.Title, labelOf(p.form.Name))
	v.Title = v.Heading
	return v
}

// Text gives a text of the page by its key.
func (v *view) Text(key string) string {
	return cmp.Or(v.page.form.Page.Texts[key].In(v.language), v.builtIn[key])
}

// Marked gives a text of the page as HTML.
func (v *view) Marked(key string) template.HTML { return markdown.HTML(v.Text(key)) }

// ThanksKey is the text that says what comes next.
func (v *view) ThanksKey() string {
	if v.page.form.DoubleOptIn != nil {
		return "thanks_confirm"
	}
	return "thanks"
}

// Lang is the language of the page, for HTML.
func (v *view) Lang() string { return v.language }

// Dir is the direction in which the language is written.
func (v *view) Dir() string {
	if texts.IsRightToLeft(language.Make(v.language)) {
		return "rtl"
	}
	return "ltr"
}

// Look is how the page looks.
func (v *view) Look() onramp.Page { return v.page.form.Page }

// Colors is the address of the form's own colours; "" if it has none.
func (v *view) Colors() string {
	if v.page.colors == "" {
		return ""
	}
	return "/f/" + v.page.form.Name + "/colors.css"
}

// Action is where the form is sent. It says the language when the visitor has chosen one.
func (v *view) Action() string { return v.here("/v1/forms/" + v.page.form.Name + "/registrations") }

// Again is the address of the form itself.
func (v *view) Again() string { return v.here("/f/" + v.page.form.Name) }

func (v *view) here(path string) string {
	if v.chosen {
		return path + "?lang=" + url.QueryEscape(v.language)
	}
	return path
}

// Languages are the other languages of the page, unless a change would lose what was typed.
func (v *view) Languages() []link {
	if !v.Asks && !v.Thanks || v.Refused || len(v.page.form.Page.Languages) < 2 {
		return nil
	}
	var links []link
	for _, name := range v.page.form.Page.Languages {
		if name == v.language {
			continue
		}
		other := view{page: v.page, language: name, builtIn: texts.In(language.Make(name))}
		query := url.Values{}
		for key, values := range v.query {
			query[key] = values
		}
		query.Set("lang", name)
		links = append(links, link{name, other.Text("language_name"), "/f/" + v.page.form.Name + "?" + query.Encode()})
	}
	return links
}

var domain = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+){1,4}$`)

// thank makes the view that tells that a registration was received. meant is the domain
// of the address that the visitor may have meant.
func (v *view) thank(meant string) {
	v.Thanks = true
	v.Title = texts.Fill(v.Text("title_thanks"), "title", v.Heading)
	if len(meant) < 254 && domain.MatchString(meant) {
		v.Meant = texts.Fill(v.Text("suggestion"), "suggestion", meant)
	}
}

// ask makes the view of an empty form. query may fill in what the form allows it to.
func (v *view) ask(query url.Values, referer string) {
	v.Asks = true
	given := map[string][]string{}
	for i := range v.page.form.Fields {
		field := &v.page.form.Fields[i]
		if values, ok := query[field.Prefill]; ok && field.Prefill != "" {
			given[field.Name] = values
		}
	}
	v.addInputs(func(f *onramp.Field) (values []string, known bool) {
		values, known = given[f.Name]
		return values, known
	})
	v.addHidden(url.Values{"_once": {rand.Text()}, "_referrer": {referer}})
	v.addTime("")
}

// askAgain makes the view of a form that was refused, with what was typed.
func (v *view) askAgain(typed url.Values, referer string) {
	v.Asks, v.Refused = true, true
	v.addInputs(func(f *onramp.Field) (values []string, known bool) {
		if typed == nil {
			return nil, false
		}
		return append(typed[f.Name], typed[f.Name+"[]"]...), true
	})
	own := url.Values{"_once": {rand.Text()}, "_page": {referer}}
	for name := range own {
		if value := typed.Get(name); value != "" {
			own.Set(name, value)
		}
	}
	own.Set("_referrer", typed.Get("_referrer"))
	own.Set("_landing_page", typed.Get("_landing_page"))
	v.addHidden(own)
	v.addTime(typed.Get(screen.TimeInput))
}

// addTime adds when the page was loaded first: who corrects a form has had it for long.
func (v *view) addTime(before string) {
	if !v.page.guard.AsksTime() {
		return
	}
	if before == "" || len(before) > maxHidden {
		before = v.page.guard.Stamp()
	}
	v.Hidden = append(v.Hidden, hidden{screen.TimeInput, before})
}

// Honeypots are the inputs that no visitor must see.
func (v *view) Honeypots() []string { return v.page.guard.Honeypots() }

// Widget is the captcha of the page; nil: none.
func (v *view) Widget() *screen.Widget { return v.page.guard.Widget() }

// Challenge is where the page's script finds out what the browser has to compute; "": nothing.
func (v *view) Challenge() string {
	if !v.page.guard.MayAskProof() {
		return ""
	}
	return "/v1/forms/" + v.page.form.Name + "/challenge"
}

// maxHidden bounds what is sent back of an input that nobody types.
const maxHidden = 2000

// addHidden adds what the page sends along, but for what the form has a field for.
func (v *view) addHidden(values url.Values) {
	for _, name := range []string{"_once", "_page", "_referrer", "_landing_page"} {
		value := strings.ToValidUTF8(values.Get(name), "")
		if len(value) > maxHidden {
			value = ""
		}
		if !v.page.hasField(name) {
			v.Hidden = append(v.Hidden, hidden{name, value})
		}
	}
}

func (p *page) hasField(name string) bool {
	for i := range p.form.Fields {
		if p.form.Fields[i].Name == name {
			return true
		}
	}
	return false
}
