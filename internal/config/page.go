package config

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
	"golang.org/x/net/idna"
	"golang.org/x/text/language"

	"onramp/internal/hosted/markdown"
	"onramp/internal/hosted/palette"
	"onramp/internal/hosted/texts"
	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// page reads how the hosted form looks, and in which languages it speaks.
func (r *reader) page(v value) onramp.Page {
	r.languages = nil
	keys, ok := r.mapping(v, setting.Page().Names()...)
	if !ok {
		return onramp.Page{}
	}
	p := onramp.Page{Languages: r.pageLanguages(keys["lang"])}
	r.languages = p.Languages
	p.Texts = r.pageTexts(keys["texts"])
	r.checkLanguages(keys["lang"], p)
	p.Logo, p.StyleSheet = r.webURL(keys["logo"]), r.webURL(keys["stylesheet"])
	if p.LogoText = r.text(keys["logo_text"]); keys["logo_text"].isSet() && !keys["logo"].isSet() {
		r.report(keys["logo_text"].position, "has no effect without logo")
	}
	p.Colors, p.DarkColors = r.colors(keys["colors"])
	p.FrameAncestors = r.frameAncestors(keys["frame_ancestors"])
	return p
}

// pageLanguages reads one language or a list.
func (r *reader) pageLanguages(v value) []string {
	given := []scalar{}
	if isList(v) {
		given = r.texts(v)
	} else if s, ok := r.scalar(v); ok {
		given = append(given, s)
	}
	var tags []string
	for _, s := range given {
		tag, ok := r.languageTag(s.position, s.text, s.quoted())
		if !ok {
			continue
		}
		if slices.Contains(tags, tag) {
			r.report(s.position, "is listed twice: remove one")
			continue
		}
		tags = append(tags, tag)
	}
	return tags
}

func isList(v value) bool { return v.isSet() && v.target().Kind == yaml.SequenceNode }

func (r *reader) languageTag(at position, text, quoted string) (string, bool) {
	tag, err := language.Parse(text)
	if err != nil || tag == language.Und || strings.Contains(text, "_") {
		r.report(at, "%s is not a language tag, such as de or pt-BR", quoted)
		return "", false
	}
	return tag.String(), true
}

// checkLanguages reports a language that isn't built in and for which texts lack.
func (r *reader) checkLanguages(v value, p onramp.Page) {
	for _, name := range p.Languages {
		if texts.In(language.Make(name)) != nil {
			continue
		}
		var missing []string
		for _, key := range texts.Keys() {
			if p.Texts[key].In(name) == "" && (r.asks || !texts.ForDoubleOptIn(key)) {
				missing = append(missing, key)
			}
		}
		if missing != nil {
			r.report(v.position, "%s is not built in (%s are): add to texts what is missing, %s",
				name, strings.Join(texts.Languages(), ", "), strings.Join(missing, ", "))
		}
	}
}

func (r *reader) pageTexts(v value) map[string]onramp.Wording {
	if !v.isSet() {
		return nil
	}
	given, ok := r.mapping(v, texts.Keys()...)
	if !ok {
		return nil
	}
	own := map[string]onramp.Wording{}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if w := r.wording(given[key]); w != nil {
			own[key] = w
		}
	}
	return own
}

// wording reads a text, or one for each language of the page; nil: none.
func (r *reader) wording(v value) onramp.Wording {
	if !v.isSet() {
		return nil
	}
	if v.target().Kind != yaml.MappingNode {
		s, ok := r.scalar(v)
		if !ok || !r.isSaid(s) {
			return nil
		}
		return onramp.Wording{"": s.text}
	}
	entries, _ := r.entries(v)
	if len(entries) == 0 {
		r.report(v.position, "is empty: set a text or remove the key")
		return nil
	}
	w := onramp.Wording{}
	for _, e := range entries {
		tag, ok := r.languageTag(e.position, e.name, "the key")
		s, hasText := r.scalar(e)
		switch {
		case !ok || !hasText || !r.isSaid(s):
		case !slices.Contains(r.spoken(), tag):
			r.report(e.position, "is not one of the page's languages: add it to page.lang, or remove it")
		default:
			w[tag] = s.text
		}
	}
	return w
}

// spoken lists the languages of the form's page.
func (r *reader) spoken() []string {
	if r.languages == nil {
		return []string{texts.English}
	}
	return r.languages
}

// isSaid says whether a text can be shown; if not, it is reported.
func (r *reader) isSaid(s scalar) bool {
	if strings.TrimSpace(s.text) == "" {
		r.report(s.position, "is empty: set a text or remove the key")
		return false
	}
	if address := markdown.CheckLinks(s.text); address != "" {
		r.report(s.position, "a link must be an http, https or mailto URL, or a path")
		return false
	}
	return true
}

// said reads a text that may be given by language. The first result is what is said where
// the language does not matter; the second is nil if it is always that.
func (r *reader) said(v value) (string, onramp.Wording) {
	w := r.wording(v)
	if text, alone := w[""]; alone || w == nil {
		return text, nil
	}
	for _, name := range r.spoken() {
		if w[name] != "" {
			w[""] = w[name] // for the languages that it does not name
			break
		}
	}
	return w[""], w
}

// webURL reads an absolute http or https URL.
func (r *reader) webURL(v value) string {
	s, ok := r.scalar(v)
	if !ok {
		return ""
	}
	if u, ok := onramp.ParseWebURL(s.text); !ok || !plainHost.MatchString(u.Host) {
		r.report(s.position, "must be an absolute http or https URL")
		return ""
	}
	return s.text
}

// plainHost is a host that a Content-Security-Policy can name.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]+$`)

// colors reads the colours, and those for visitors whose system is dark.
func (r *reader) colors(v value) (light, dark onramp.Colors) {
	keys, ok := r.mapping(v, setting.Colors().Names()...)
	if !ok {
		return light, dark
	}
	light = r.colorsOf(keys)
	if keys, ok = r.mapping(keys["dark"], setting.DarkColors().Names()...); ok {
		dark = r.colorsOf(keys)
	}
	return light, dark
}

func (r *reader) colorsOf(keys map[string]value) onramp.Colors {
	c := onramp.Colors{Accent: r.color(keys["accent"]), Background: r.color(keys["background"]), Text: r.color(keys["text"])}
	if c.Background == "" || c.Text == "" {
		return c // what is left out is chosen so that it can be read
	}
	background, _ := palette.Parse(c.Background)
	text, _ := palette.Parse(c.Text)
	if contrast := palette.Contrast(background, text); contrast < palette.Readable {
		r.report(keys["text"].position, "can't be read on the background: their contrast is %.1f, and must be at least %.1f", contrast, palette.Readable)
	}
	return c
}

func (r *reader) color(v value) string {
	s, ok := r.scalar(v)
	if !ok {
		return ""
	}
	c, ok := palette.Parse(s.text)
	if !ok {
		r.report(s.position, `must be a colour such as "#0b5cab", in quotes`)
		return ""
	}
	return c.String()
}

// frameAncestors reads the sites whose pages may frame the form; nil when the key is left
// out: an empty list forbids it even to the form's own site.
func (r *reader) frameAncestors(v value) []string {
	if !v.isSet() {
		return nil
	}
	list := []string{}
	for _, s := range r.texts(v) {
		source, ok := frameAncestor(s.text)
		switch {
		case !ok:
			r.report(s.position, "%s must be an origin without a path, such as https://www.example.com or https://*.example.com, or *", s.quoted())
		case slices.Contains(list, source):
			r.report(s.position, "is listed twice: remove one")
		default:
			list = append(list, source)
		}
	}
	return list
}

// frameAncestor reads a host source of a Content-Security-Policy.
func frameAncestor(s string) (string, bool) {
	if s == "*" {
		return s, true
	}
	scheme, host, _ := strings.Cut(strings.ToLower(s), "://")
	site, wild := strings.CutPrefix(host, "*.")
	u, ok := onramp.ParseWebURL(scheme + "://" + strings.TrimSuffix(site, ":*"))
	if !ok || u.Host != strings.TrimSuffix(site, ":*") {
		return "", false
	}
	name, err := idna.Lookup.ToASCII(u.Hostname())
	if err == nil {
		host = strings.Replace(host, u.Hostname(), name, 1)
	}
	return scheme + "://" + host, plainHost.MatchString(strings.NewReplacer("*.", "", ":*", "").Replace(host)) && (!wild || strings.Contains(name, "."))
}

// checkSuccessURL reports an address at which the gateway itself has no page.
func (r *reader) checkSuccessURL(s scalar) {
	u, err := url.Parse(s.text)
	if err != nil {
		return // it is reported
	}
	own, isOwn := onramp.ParseWebURL(r.publicURL)
	isPath := u.Host == ""
	if !isPath && !(isOwn && strings.EqualFold(u.Host, own.Host) && isGatewayPath(u.Path)) {
		return
	}
	if name, ok := strings.CutPrefix(u.Path, "/f/"); ok && slices.Contains(r.formNames, name) {
		return
	}
	message := "is on the gateway itself, which has no page there: use a page of your site"
	if isPath {
		message += ", by its whole URL, such as https://www.example.com" + s.shownPath()
	}
	r.report(s.position, "%s", message)
}

// shownPath is a path for a message, unless a reference gave it.
func (s scalar) shownPath() string {
	if s.ref != "" || len(s.text) > maxQuoted {
		return "/thanks"
	}
	return s.text
}

// isGatewayPath says that an address surely leads to the gateway, also where a proxy
// serves a site under the same name.
func isGatewayPath(path string) bool {
	return slices.ContainsFunc([]string{"/f/", "/v1/", "/embed/", "/ens/", "/oauth2/"}, func(prefix string) bool {
		return strings.HasPrefix(path, prefix)
	})
}
