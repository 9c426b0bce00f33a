package onramp

// Page is how the hosted form looks, and in which languages it speaks.
type Page struct {
	Languages      []string           // BCP 47 tags, the default first; none: English
	Texts          map[string]Wording // by key, see package hosted/texts: what replaces the built-in text
	Logo           string             // URL of an image; "": none
	LogoText       string             // what stands for the image where it can't be seen
	Colors         Colors             // in place of the built-in ones
	DarkColors     Colors             // the same where the visitor's system is dark
	StyleSheet     string             // URL of one that is loaded after the built-in one; "": none
	FrameAncestors []string           // origins whose pages may frame the form, beside its own; nil: none; empty: not even its own
}

// Colors are what a page is painted with, each as #rrggbb; "": the built-in colour.
type Colors struct{ Accent, Background, Text string }

// Wording is a text by language; "" is the one for languages that it does not name.
type Wording map[string]string

// In gives the text in a language; "" when it is said in none that would do.
func (w Wording) In(language string) string {
	if text, ok := w[language]; ok {
		return text
	}
	return w[""]
}
