package onramp

import (
	"strings"
	"unicode"
)

var errURL = problem("url", "must not contain a link")

// hasURL says whether mail programs are likely to make a link of a part of a text: a scheme,
// www., or the name of a host with one of the domains that are seen in advertising, also
// with a path. A name such as "St.John" or "J.R. Smith" is none.
func hasURL(text string) bool {
	if strings.Contains(text, "://") {
		return true
	}
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), endsHost) {
		if strings.HasPrefix(word, "www.") && len(word) > len("www.") {
			return true
		}
		host, path, hasPath := strings.Cut(word, "/")
		labels := strings.Split(strings.TrimRight(host, "."), ".")
		if len(labels) < 2 || len(labels[len(labels)-2]) < 2 {
			continue
		}
		last := labels[len(labels)-1]
		if hasPath && path != "" && isWord(last) || linkedDomains[last] {
			return true
		}
	}
	return false
}

// endsHost says whether a character stands between hosts in a text.
func endsHost(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune("()[]{}<>,;\"'|!?:@", r)
}

func isWord(label string) bool {
	for _, r := range label {
		if r < 'a' || r > 'z' {
			return false
		}
	}
	return len(label) >= 2
}

// linkedDomains are the top-level domains by which mail programs know the name of a host, and
// that are no word of a name.
var linkedDomains = setOf(strings.Fields(`com net org info biz ru cn top xyz club online site shop store live vip icu link click space fun pro
	website tech app dev io co me ly gl gg cc tv ws to su ua by kz pl de uk fr nl eu us ca br jp kr tk ml ga cf gq buzz cyou rest bar`))

func setOf(words []string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, word := range words {
		set[word] = true
	}
	return set
}
