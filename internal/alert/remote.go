package alert

import (
	"regexp"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxRemote is how much of a text from elsewhere an alert repeats, in letters.
const maxRemote = 300

// maxLooked is how many bytes of such a text are looked at.
const maxLooked = 1000

// masked are the parts of a text from elsewhere that no alert repeats.
var masked = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)` + strings.Join([]string{
		`[a-z][a-z0-9+.-]*:/+\S*|//\S*`, // links
		`\S*@\S*`,                       // email addresses, mentions
		`'[^']*[^'a-z0-9_][^']*'|"[^"]*[^"a-z0-9_][^"]*"`,              // values, but not names such as that of a column
		`[\pL\pN_-]+(?:\.[\pL\pN_-]+)*\.[\pL_][\pL\pN_-]*(?:[:/]\S*)?`, // host and file names
		`[0-9]+(?:\.[0-9]+){2,}\S*`,                                    // IP addresses
		`[0-9a-f]*(?::[0-9a-f]*){2,}(?:%\S*)?`,
		`\+?[0-9][0-9-]{6,}`,    // phone numbers, ids
		`[\pL\pN+/=_.~%-]{40,}`, // tokens
		`[\pL+/=_.~%-]*[0-9][\pL\pN+/=_.~%-]{19,}`,
		`[\pL\pN+/=_.~%-]{19,}[0-9][\pL+/=_.~%-]*`,
	}, "|"))
})

// remote makes a text that came from elsewhere, such as what Marketing Cloud or a
// proxy answered, fit for an alert. An alert reaches people by services that each
// have a markup of their own, so nothing is left that is one anywhere: no link,
// mention, channel or format. Who needs the whole text finds it with onramp status
// and onramp deliveries show.
func remote(text string) string {
	if len(text) > maxLooked {
		text = text[:strings.LastIndexAny(text[:maxLooked], " \n")+1] + "…" // no half of an address
	}
	text = norm.NFKC.String(strings.ToValidUTF8(text, " ")) // full-width forms are letters, too
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case !unicode.IsGraphic(r):
			return -1 // such as those without width that hide in a word
		}
		return r
	}, text)
	text = masked().ReplaceAllString(text, "…")
	text = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) || strings.ContainsRune(` .,;:'"()/+-=%_?…`, r) {
			return r
		}
		return ' '
	}, text)
	return clip(strings.Join(strings.Fields(text), " "), maxRemote)
}
