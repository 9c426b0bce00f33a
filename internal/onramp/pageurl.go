package onramp

import (
	"iter"
	"net/url"
	"slices"
	"strings"
)

// campaignParameters are what advertising adds to an address: they say where a
// visit came from, and nothing else.
var campaignParameters = []string{
	"utm_*", "gclid", "gbraid", "wbraid", "dclid", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id", "yclid", "rdt_cid", "epik", "sccid",
}

// keepQuery drops the fragment of a page's URL, and the parameters of its query
// that no name takes in: they may be secrets, such as the token of a link in a
// mail. A name that ends in * takes in what begins so; nil means the campaign
// parameters.
func keepQuery(page string, names []string) string {
	page, _, _ = strings.Cut(page, "#")
	page, query, _ := strings.Cut(page, "?")
	if names == nil {
		names = campaignParameters
	}
	if query != "" && slices.Contains(names, "*") {
		return page + "?" + query
	}
	var kept []string
	for pair := range parameters(query) {
		if isKept(pair, names) {
			kept = append(kept, pair)
		}
	}
	if kept == nil {
		return page
	}
	return page + "?" + strings.Join(kept, "&")
}

// parameters gives the pairs of a query, as they stand there.
func parameters(query string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for pair := range strings.SplitSeq(query, "&") {
			// a second ? or a ; begins what its author meant as another parameter
			if end := strings.IndexAny(pair, "?;"); end >= 0 {
				pair = pair[:end]
			}
			if !yield(pair) {
				return
			}
		}
	}
}

func isKept(pair string, names []string) bool {
	encoded, _, _ := strings.Cut(pair, "=")
	parameter, err := url.QueryUnescape(encoded)
	if err != nil || parameter == "" {
		return false
	}
	parameter = strings.ToLower(parameter)
	return slices.ContainsFunc(names, func(name string) bool {
		name = strings.ToLower(name)
		prefix, isPrefix := strings.CutSuffix(name, "*")
		return parameter == name || isPrefix && strings.HasPrefix(parameter, prefix)
	})
}
