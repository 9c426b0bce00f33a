package consent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/text/language"

	"onramp/internal/hosted/texts"
	"onramp/internal/onramp"
	"onramp/internal/visible"
)

// The names of what a journey or a message gets in its data.
const (
	DataURL      = "ConfirmURL"
	DataLanguage = "Language"
	DataTitle    = "FormTitle"
)

// Letter is what a person is asked to confirm a registration with.
type Letter struct {
	To, ConfirmURL, Language, Title string
	Include                         []Included
}

// Included is the value of a field that may stand in a confirmation.
type Included struct{ Column, Label, Value string }

// Letter makes the confirmation of a delivery. ok is false when there is nobody to ask.
func (d *Desk) Letter(form *onramp.Form, delivery *onramp.Delivery) (l Letter, ok bool) {
	to := form.FindAddress(delivery.Values)
	if form.DoubleOptIn == nil || delivery.Confirmation == nil || to == "" || !onramp.ValidID(delivery.RegistrationID) {
		return l, false
	}
	own := delivery.Confirmation
	l = Letter{To: to, Language: own.Language, Title: titleOf(form, own.Language)}
	l.ConfirmURL = d.confirmURL(Token{Form: form.Name, ID: delivery.RegistrationID, Expires: own.LinkUntil})
	for _, name := range form.DoubleOptIn.Include {
		if value := form.KeptText(name, delivery.Values); isHarmless(value) {
			l.Include = append(l.Include, included(form, name, own.Language, value))
		}
	}
	return l, true
}

func included(form *onramp.Form, name, language, value string) Included {
	for i := range form.Fields {
		if f := &form.Fields[i]; f.Name == name {
			return Included{f.Column, cmp.Or(f.Labels.In(language), f.Label, name), value}
		}
	}
	return Included{}
}

// DataNames are the names of all that the confirmations of a form can have in their data.
func DataNames(form *onramp.Form) []string {
	names := []string{DataURL, DataLanguage, DataTitle}
	for _, name := range form.DoubleOptIn.Include {
		names = append(names, included(form, name, "", "").Column)
	}
	return names
}

// Data are the values of a letter as an object by name.
func (l *Letter) Data() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	add := func(name, value string) {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		for i, text := range []string{name, value} {
			quoted, _ := json.Marshal(text) // a text can always be written
			if i > 0 {
				b.WriteByte(':')
			}
			b.Write(quoted)
		}
	}
	add(DataURL, l.ConfirmURL)
	add(DataLanguage, l.Language)
	add(DataTitle, l.Title)
	for _, in := range l.Include {
		add(in.Column, in.Value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// isHarmless says whether what a stranger has typed may stand in a mail to somebody else: it
// has no address of a page, no markup, and nothing that can't be seen or turns the text around.
func isHarmless(text string) bool {
	if text == "" || len(text) > longestIncluded || visible.Trim(text) != text {
		return false
	}
	lower := strings.ToLower(text)
	for _, sign := range []string{"://", "www.", "<", ">", "&", "%%", "@", "{{", "[", "]", `\`, "/"} {
		if strings.Contains(lower, sign) {
			return false
		}
	}
	for _, r := range text {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return !looksLikeHost(lower)
}

const longestIncluded = 100

// looksLikeHost says that a mail program would make a link of a word: letters around a full
// stop, as in example.com. An initial, as in J.R., is none.
func looksLikeHost(text string) bool {
	isStop := func(r rune) bool { return r == '.' || r == '。' || r == '．' || r == '｡' }
	for _, word := range strings.Fields(text) {
		labels := strings.FieldsFunc(word, isStop)
		if len(labels) < 2 || strings.IndexFunc(word, isStop) < 0 {
			continue
		}
		for i := 1; i < len(labels); i++ {
			if len([]rune(labels[i])) > 1 && !isNumber(labels[i]) {
				return true
			}
		}
	}
	return false
}

func isNumber(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsDigit(r) }) < 0
}

// titleOf is what the form is called in a language.
func titleOf(form *onramp.Form, language string) string {
	if title := form.Titles.In(language); title != "" {
		return title
	}
	if form.Title != "" {
		return form.Title
	}
	return strings.ReplaceAll(form.Name, "_", " ")
}

// languageOf finds the language of the form in which a visitor is asked.
func languageOf(form *onramp.Form, preferred string) string {
	names := form.Page.Languages
	if len(names) == 0 {
		return texts.English
	}
	if len(names) == 1 {
		return names[0]
	}
	tags := make([]language.Tag, len(names))
	for i, name := range names {
		tags[i] = language.Make(name)
	}
	accepted, _, err := language.ParseAcceptLanguage(preferred)
	if err != nil {
		return names[0]
	}
	_, at, _ := language.NewMatcher(tags).Match(accepted...)
	return names[at]
}

func (d *Desk) confirmURL(t Token) string {
	return strings.TrimRight(d.cfg.PublicURL, "/") + "/confirm/" + url.PathEscape(d.keys.Sign(t))
}
