package hosted

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"onramp/internal/hosted/palette"
	"onramp/internal/hosted/texts"
	"onramp/internal/onramp"
	"onramp/internal/screen"
)

// page is what all views of a form's page share.
type page struct {
	form      *onramp.Form
	guard     *screen.Guard  // nil: nothing is screened
	languages []language.Tag // the default first
	matcher   language.Matcher
	colors    string // a style sheet; "" when the built-in colours do
	policy    string // the Content-Security-Policy
}

func newPage(form *onramp.Form, guard *screen.Guard) (*page, error) {
	p := &page{form: form, guard: guard, colors: styleOf(&form.Page), policy: policyOf(&form.Page, guard)}
	for _, name := range form.Page.Languages {
		tag, err := language.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("language %q: %w", name, err)
		}
		p.languages = append(p.languages, tag)
	}
	if len(p.languages) == 0 {
		p.languages = []language.Tag{language.English}
	}
	p.matcher = language.NewMatcher(p.languages)
	return p, nil
}

// everyLanguage lists those that are built in, English first.
func everyLanguage() []string {
	rest := slices.DeleteFunc(texts.Languages(), func(name string) bool { return name == texts.English })
	return append([]string{texts.English}, rest...)
}

// language finds the language for a request: the one that its URL names, or the best of
// those that the browser asks for. chosen says that it was the URL.
func (p *page) language(r *http.Request) (tag language.Tag, chosen bool) {
	if asked, err := language.Parse(r.URL.Query().Get("lang")); err == nil {
		if _, at, confidence := p.matcher.Match(asked); confidence >= language.High {
			return p.languages[at], true
		}
	}
	accepted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil || len(p.languages) == 1 {
		return p.languages[0], false
	}
	_, at, _ := p.matcher.Match(accepted...)
	return p.languages[at], false
}

// policyOf allows a page its own parts, and what the configuration adds to them.
func policyOf(p *onramp.Page, guard *screen.Guard) string {
	styles, images, fonts := []string{"'self'"}, []string(nil), []string(nil)
	if origin := originOf(p.StyleSheet); origin != "" {
		styles, images, fonts = append(styles, origin), append(images, origin), append(fonts, origin)
	}
	if origin := originOf(p.Logo); origin != "" && !slices.Contains(images, origin) {
		images = append(images, origin)
	}
	ancestors := []string{"'none'"}
	if p.FrameAncestors == nil || len(p.FrameAncestors) > 0 {
		ancestors = append([]string{"'self'"}, p.FrameAncestors...)
	}
	scripts := []string{"'self'"}
	var frames, connections []string
	if w := guard.Widget(); w != nil {
		scripts, styles, frames, connections = append(scripts, w.Sources...), append(styles, w.Sources...), w.Sources, w.Sources
	}
	if guard.MayAskProof() {
		connections = append([]string{"'self'"}, connections...)
	}
	policy := []string{"default-src 'none'", "script-src " + strings.Join(scripts, " "), "style-src " + strings.Join(styles, " ")}
	if frames != nil {
		policy = append(policy, "frame-src "+strings.Join(frames, " "))
	}
	if connections != nil {
		policy = append(policy, "connect-src "+strings.Join(connections, " "))
	}
	if images != nil {
		policy = append(policy, "img-src "+strings.Join(images, " "))
	}
	if fonts != nil {
		policy = append(policy, "font-src "+strings.Join(fonts, " "))
	}
	return strings.Join(append(policy, "form-action *", "base-uri 'none'", "frame-ancestors "+strings.Join(ancestors, " ")), "; ")
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// The built-in colours, as style.css has them.
var (
	lightColors = onramp.Colors{Accent: "#0b5cab", Background: "#ffffff", Text: "#1c2430"}
	darkColors  = onramp.Colors{Accent: "#7db8f7", Background: "#14181f", Text: "#e8ebf0"}
)

// styleOf is the style sheet of a form's own colours.
func styleOf(p *onramp.Page) string {
	if p.Colors == (onramp.Colors{}) && p.DarkColors == (onramp.Colors{}) {
		return ""
	}
	dark := p.DarkColors
	if dark.Accent == "" {
		dark.Accent = p.Colors.Accent
	}
	return ":root { " + variables(p.Colors, lightColors) + " }\n" +
		"@media (prefers-color-scheme: dark) { :root { " + variables(dark, darkColors) + " } }\n" +
		"@media print { :root { " + variables(onramp.Colors{Accent: p.Colors.Accent}, lightColors) + " } }\n"
}

// variables are those of style.css. A colour in which something is written is made as
// light or dark as it takes to be read.
func variables(own, builtIn onramp.Colors) string {
	pick := func(own, builtIn string) palette.Color {
		if c, ok := palette.Parse(own); ok {
			return c
		}
		c, _ := palette.Parse(builtIn)
		return c
	}
	accent, background, text := pick(own.Accent, builtIn.Accent), pick(own.Background, builtIn.Background), pick(own.Text, builtIn.Text)
	bad, _ := palette.Parse("#b3261e")
	line, _ := palette.Parse("#737d8c")
	return fmt.Sprintf("--accent: %s; --on-accent: %s; --link: %s; --background: %s; --text: %s; --bad: %s; --line: %s;",
		accent, palette.On(accent), accent.Visible(background), background, text.Visible(background), bad.Visible(background), line.Visible(background))
}
