package hosted

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"onramp/internal/hosted/markdown"
	"onramp/internal/onramp"
	"onramp/internal/screen"
	"onramp/internal/web"
)

//go:generate go tool -modfile=../../tools.mod esbuild embed.js --minify --target=es2021 --outfile=embed.min.js --log-level=warning
//go:generate go tool -modfile=../../tools.mod esbuild guard.js --minify --target=es2021 --outfile=guard.min.js --log-level=warning

// script is what puts one form into any page.
type script struct {
	body, zipped []byte
	etag         string // without its end, which tells the two apart
}

// embedded is the form as the script knows it.
type embedded struct {
	Name       string            `json:"name"`
	Title      string            `json:"title"`
	Lang       string            `json:"lang"`
	Dir        string            `json:"dir"`
	SuccessURL string            `json:"success_url,omitempty"`
	Shared     bool              `json:"shared,omitempty"` // scripts of other sites may read the API's answer
	Fields     []embeddedField   `json:"fields"`
	Texts      map[string]string `json:"texts"`
	Honeypots  []string          `json:"unseen,omitempty"`
	Timed      bool              `json:"timed,omitempty"` // it says when it was loaded
	Proves     bool              `json:"proves,omitempty"`
	Captcha    *embeddedCaptcha  `json:"captcha,omitempty"`
}

// embeddedCaptcha is the widget of a captcha service.
type embeddedCaptcha struct {
	Script     string            `json:"script"`
	Class      string            `json:"class"`
	Attributes map[string]string `json:"set"`
}

// embeddedField is one input, ready to be made. What it is depends on its kind alone, so
// that the script need not know the types.
type embeddedField struct {
	Name       string            `json:"name"`
	Label      []any             `json:"label"`          // texts, and links as pairs of text and URL
	Kind       string            `json:"kind,omitempty"` // textarea, checkbox, select, radio or checkboxes; "": input
	Attributes map[string]string `json:"set,omitempty"`
	Choices    [][2]string       `json:"choices,omitempty"` // values, and how they are called
	Value      []string          `json:"value,omitempty"`   // the choices at first, or the text
	Missing    string            `json:"missing,omitempty"` // said when a required field is empty
}

// newScripts makes the scripts of the forms: one for each language, by its tag.
func newScripts(pages map[string]*page) (map[string]map[string]*script, error) {
	source, err := files.ReadFile("embed.min.js")
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	guard, err := files.ReadFile("guard.min.js")
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	before, after, _ := bytes.Cut(source, []byte("ONRAMP_FORM"))
	scripts := make(map[string]map[string]*script, len(pages))
	for name, page := range pages {
		scripts[name] = make(map[string]*script, len(page.languages))
		for _, tag := range page.languages {
			described, err := json.Marshal(embeddedOf(page.in(tag)))
			if err != nil {
				return nil, fmt.Errorf("describe form %s: %w", name, err)
			}
			parts := [][]byte{before, described, after}
			if page.guard.Brings() {
				parts = append([][]byte{guard}, parts...)
			}
			scripts[name][tag.String()] = newScript(bytes.Join(parts, nil))
		}
	}
	return scripts, nil
}

func newScript(body []byte) *script {
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // a level that is known
	_, _ = w.Write(body)                                       // into memory
	_ = w.Close()
	sum := sha256.Sum256(body)
	return &script{body, zipped.Bytes(), `"` + base64.RawURLEncoding.EncodeToString(sum[:12])}
}

// embed is GET /embed/{form}.js. Any page may load it: who may submit the form is decided
// when it is submitted.
func (p *Pages) embed(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Access-Control-Allow-Origin", "*")
	name, _ := strings.CutSuffix(r.PathValue("script"), ".js")
	page := p.forms[name]
	if page == nil || name == r.PathValue("script") {
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(noScript) // a browser that has gone away is nobody's error
		return nil
	}
	web.Annotate(w, web.Note{Form: name})
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Vary", "Accept-Encoding, Accept-Language")
	tag, _ := page.language(r)
	s := p.scripts[name][tag.String()]
	body, etag := s.body, s.etag+`"`
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body, etag = s.zipped, s.etag+`g"`
	}
	h.Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	return nil
}

// takesGzip says whether a client takes gzip, as those do that list it without q=0.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, quality, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(coding), " ", ""), ";")
		if name == "gzip" {
			return strings.Trim(strings.TrimPrefix(quality, "q="), "0.") != "" || quality == ""
		}
	}
	return false
}

var noScript = []byte("// There is no form with this name at this gateway.\n" +
	`console.error("onramp: there is no form with the name in the src of this script", document.currentScript);` + "\n")

// embeddedOf describes a form whose inputs are as they are at first.
func embeddedOf(v *view) embedded {
	f := v.page.form
	e := embedded{Name: f.Name, Title: v.Heading, Lang: v.Lang(), Dir: v.Dir(), SuccessURL: f.SuccessURL, Shared: f.Origins != nil, Texts: map[string]string{}}
	v.addInputs(func(*onramp.Field) ([]string, bool) { return nil, false })
	say := func(keys ...string) {
		for _, key := range keys {
			if text := v.Text(key); text != "" {
				e.Texts[key] = text
			}
		}
	}
	e.guard(v.page.guard)
	if e.Honeypots != nil {
		say("leave_empty")
	}
	say("required", "send", "heading_error", "error_required", "error_text", "refused_unavailable", "embed_refused")
	e.Texts["thanks"] = v.Text(v.ThanksKey())
	for i := range v.Inputs {
		in := &v.Inputs[i]
		e.Fields = append(e.Fields, v.embeddedField(in))
		switch in.field.Type {
		case onramp.Boolean, onramp.Text:
		case onramp.Choices:
			say("error_choice")
		default:
			say("error_" + in.field.Type.String())
		}
		switch in.field.Type {
		case onramp.Email:
			say("suggestion", "error_too_long")
		case onramp.Text:
			say("error_too_long")
		case onramp.Date:
			say("error_date_zone")
		}
		if in.field.Pattern != nil {
			say("error_pattern")
		}
		if in.field.NoURLs {
			say("error_url")
		}
	}
	return e
}

// guard adds what the form has to bring for the screening.
func (e *embedded) guard(g *screen.Guard) {
	e.Honeypots, e.Timed, e.Proves = g.Honeypots(), g.AsksTime(), g.MayAskProof()
	w := g.Widget()
	if w == nil {
		return
	}
	e.Captcha = &embeddedCaptcha{w.Script, w.Class, map[string]string{"data-sitekey": w.SiteKey}}
	if w.Action != "" {
		e.Captcha.Attributes["data-action"] = w.Action
	}
}

func (v *view) embeddedField(in *input) embeddedField {
	e := embeddedField{Name: in.Name, Kind: in.Kind, Label: v.labelParts(in), Attributes: map[string]string{}}
	if in.Required && in.Kind != unseen {
		e.Attributes["required"] = ""
		if missing := v.problem(in, "required"); missing != v.Text("error_required") {
			e.Missing = missing
		}
	}
	switch in.Kind {
	case unseen:
		e.Kind = ""
		e.set("type", "hidden", "value", in.Value)
	case box:
		e.set("type", "checkbox", "value", "true")
	case list, severalOf, radios, checkboxes:
		e.choose(in)
	case textArea:
		e.limit(in)
		if in.Value != "" {
			e.Value = []string{in.Value}
		}
	default:
		e.Kind = ""
		e.limit(in)
		e.set("type", strings.TrimPrefix(in.Type, "text"), "value", in.Value, "pattern", in.Pattern, "inputmode", in.InputMode)
		if in.Step {
			e.set("step", "1")
		}
	}
	e.set("autocomplete", in.Autofill)
	return e
}

func (v *view) labelParts(in *input) (parts []any) {
	for _, part := range markdown.Parts(cmp.Or(in.field.Labels.In(v.language), in.field.Label, labelOf(in.Name))) {
		if part.Address == "" {
			parts = append(parts, part.Text)
		} else {
			parts = append(parts, [2]string{part.Text, part.Address})
		}
	}
	return parts
}

// set sets attributes, pairs of a name and a value, unless the value is empty.
func (e *embeddedField) set(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			e.Attributes[pairs[i]] = pairs[i+1]
		}
	}
}

func (e *embeddedField) limit(in *input) {
	if in.Max > 0 {
		e.set("maxlength", strconv.Itoa(in.Max))
	}
}

func (e *embeddedField) choose(in *input) {
	if in.Kind == severalOf {
		e.Kind = checkboxes // for which no key has to be held
	}
	for _, o := range in.Options {
		e.Choices = append(e.Choices, [2]string{o.Value, o.Text})
		if o.Chosen {
			e.Value = append(e.Value, o.Value)
		}
	}
}
