// Package spelling proposes what a mistyped word was meant to be. Use DidYouMean
// first. It knows nothing of languages: it counts letters.
package spelling

import "strings"

// Closest gives the known word that differs from a mistyped one in the fewest
// letters, or "" when none is close.
func Closest(word string, known []string) string {
	best, bestDistance := "", 3
	if len(word) <= 3 {
		bestDistance = 2
	}
	for _, k := range known {
		if d := Distance(strings.ToLower(word), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// DidYouMean proposes the known word that is closest to an unknown one, or
// lists them all when none is close.
func DidYouMean(word string, known []string) string {
	if best := Closest(word, known); best != "" {
		return "did you mean " + best + "?"
	}
	return "use " + orList(known)
}

// orList writes "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// maxWord bounds the words whose distance is measured: no key is longer, and
// the work grows with the product of the lengths.
const maxWord = 40

// Distance counts the letters to insert, delete or replace between a and b. For an
// a that is very long it is only not less than that.
func Distance(a, b string) int {
	if len(a) > maxWord {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
