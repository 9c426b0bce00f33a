package bundle

import (
	_ "embed"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"onramp/docs"
	"onramp/internal/answers"
)

// further are words of the Go library, the operating system, SQLite, PostgreSQL and of
// Onramp's log that its documentation does not have.
//
//go:embed words.txt
var further string

// vocabulary is what may stand in a bundle as it is.
type vocabulary struct {
	words map[string]bool // as they are written, but for capital letters at the beginning
	codes map[string]bool // of Marketing Cloud, and the statuses of HTTP
}

var (
	fenced   = regexp.MustCompile("(?s)```.*?```")
	ordinary = regexp.MustCompile(`^[A-Za-z]+('[a-z]+)?$`)
	proper   = regexp.MustCompile(`^[A-Z][a-z']*$`) // so names of people are written
)

// loadVocabulary reads the words of the documentation, without its examples. A word that has only
// a capital letter there is left out: it may be a name.
func loadVocabulary() (vocabulary, error) {
	v := vocabulary{words: map[string]bool{}, codes: map[string]bool{}}
	all, err := answers.Load()
	if err != nil {
		return v, err
	}
	for _, a := range all {
		for _, code := range a.Codes {
			v.codes[code] = true
		}
	}
	for status := range 600 {
		if http.StatusText(status) != "" {
			v.codes[strconv.Itoa(status)] = true
		}
	}
	prose := fenced.ReplaceAllString(docs.Answers()+docs.Operation(), "")
	for chunk := range strings.FieldsSeq(prose + further) {
		if strings.ContainsAny(chunk, "@%\\") {
			continue // an example of an address
		}
		for word := range strings.FieldsFuncSeq(chunk, func(r rune) bool { return !strings.ContainsRune("'", r) && !isLetter(r) }) {
			if word = strings.Trim(word, "'"); ordinary.MatchString(word) && !proper.MatchString(word) {
				v.words[word] = true
			}
		}
	}
	return v, nil
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// has says whether a word is known; begins says that it begins a sentence.
func (v vocabulary) has(word string, begins bool) bool {
	return v.words[word] || begins && proper.MatchString(word) && v.words[strings.ToLower(word)]
}
