package outbound

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"onramp/internal/onramp"
)

// shortestEcho is the length of the shortest value that is looked for in an answer: a
// shorter one is part of any text.
const shortestEcho = 2

// mostDetails are as many different details of one call as are compared with the values of
// all its deliveries. Beyond that each is about a row of its own, and compared with that.
const mostDetails = 64

// withoutEchoes takes out of the details what the answer repeats of what was sent: details
// go into the log and alerts, and must name nobody. The answer itself stays whole, for
// operators.
func withoutEchoes(c onramp.Call, outcomes []onramp.Outcome) {
	masked := map[string]string{}
	for i := range outcomes {
		if hasEcho(&outcomes[i]) {
			masked[outcomes[i].Detail] = ""
		}
	}
	if len(masked) == 0 {
		return // nearly always
	}
	if len(masked) <= mostDetails {
		values := valuesOf(c.Deliveries)
		for detail := range masked {
			masked[detail] = mask(detail, values)
		}
	}
	for i := range outcomes {
		switch o := &outcomes[i]; {
		case !hasEcho(o):
		case len(masked) <= mostDetails:
			o.Detail = masked[o.Detail]
		default:
			o.Detail = mask(o.Detail, valuesOf(c.Deliveries[i:i+1]))
		}
	}
}

// hasEcho says that an outcome may repeat what was sent.
func hasEcho(o *onramp.Outcome) bool {
	return o.Verdict != onramp.Delivered && o.Detail != "" && o.Answer != ""
}

// valuesOf are the texts of deliveries that an answer could repeat, in lower case; the longest
// first, which may hold others.
func valuesOf(deliveries []onramp.Delivery) []string {
	found := map[string]bool{}
	for i := range deliveries {
		d := &deliveries[i]
		note(found, d.SubscriberKey)
		var columns map[string]any
		if json.Unmarshal(d.Values, &columns) != nil {
			continue
		}
		for _, value := range columns {
			note(found, value)
		}
		for _, raw := range d.Keys {
			var value any
			if json.Unmarshal(raw, &value) == nil {
				note(found, value)
			}
		}
	}
	values := make([]string, 0, len(found))
	for value := range found {
		values = append(values, value)
	}
	slices.SortFunc(values, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return values
}

// note adds a value that is a text, in lower case, since an answer may change it.
func note(found map[string]bool, value any) {
	if text, ok := value.(string); ok && len(text) >= shortestEcho {
		found[strings.ToLower(text)] = true
	}
}

// mask puts … in the place of each value that stands in a text as a word or as words.
func mask(text string, values []string) string {
	lower := strings.ToLower(text)
	if len(lower) != len(text) {
		return "…" // places in the one are not those in the other
	}
	for _, value := range values {
		for from := 0; ; {
			i := strings.Index(lower[from:], value)
			if i < 0 {
				break
			}
			begin, end := from+i, from+i+len(value)
			if isInWord(lower, begin, end) {
				from = begin + 1
				continue
			}
			text, lower = text[:begin]+"…"+text[end:], lower[:begin]+"…"+lower[end:]
			from = begin + len("…")
		}
	}
	return text
}

// isInWord says that what stands between two places is a part of a longer word.
func isInWord(text string, begin, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:begin])
	first, _ := utf8.DecodeRuneInString(text[begin:])
	last, _ := utf8.DecodeLastRuneInString(text[:end])
	after, _ := utf8.DecodeRuneInString(text[end:])
	return isOfWord(before) && isOfWord(first) || isOfWord(last) && isOfWord(after)
}

func isOfWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
