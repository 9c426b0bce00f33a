package onramp_test

import (
	"strings"
	"testing"
	"time"

	"onramp/internal/onramp"
)

// What is stored of the page that a form stood on.
func TestPageURL(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		query      []string
		page, want string
	}{
		"nothing to drop":       {nil, "https://example.com/a", "https://example.com/a"},
		"a secret":              {nil, "https://example.com/a?token=s3cret", "https://example.com/a"},
		"a campaign":            {nil, "https://example.com/a?utm_source=x&token=s3cret&gclid=1&UTM_Term=%20y", "https://example.com/a?utm_source=x&gclid=1&UTM_Term=%20y"},
		"an encoded name":       {nil, "https://example.com/a?%75tm_source=x&%74oken=s3cret", "https://example.com/a?%75tm_source=x"},
		"no name":               {nil, "https://example.com/a?=s3cret&&s3cret&%zz=s3cret", "https://example.com/a"},
		"fragment":              {nil, "https://example.com/a#token=s3cret", "https://example.com/a"},
		"fragment with a query": {nil, "https://example.com/a?fbclid=1#?utm_source=s3cret", "https://example.com/a?fbclid=1"},
		"second query":          {nil, "https://example.com/a?utm_source=x?token=s3cret&gclid=1;token=s3cret", "https://example.com/a?utm_source=x&gclid=1"},
		"a longer name":         {nil, "https://example.com/a?gclid_token=s3cret&xutm_source=s3cret", "https://example.com/a"},
		"listed":                {[]string{"ref", "my_*"}, "https://example.com/a?ref=1&REF=2&my_a=3&utm_source=x&refer=s3cret", "https://example.com/a?ref=1&REF=2&my_a=3"},
		"none":                  {[]string{}, "https://example.com/a?utm_source=x", "https://example.com/a"},
		"all":                   {[]string{"*"}, "https://example.com/a?token=1;b?c&=2#top", "https://example.com/a?token=1;b?c&=2"},
		"all of nothing":        {[]string{"*"}, "https://example.com/a?", "https://example.com/a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, want := pageURL(t, row.query, row.page), `{"page_url:PageURL":"`+row.want+`"}`; got != want {
				t.Errorf("stored %s, want %s", got, want)
			}
		})
	}
}

// Whatever stands in a query, only what is listed stays.
func FuzzPageURL(f *testing.F) {
	f.Add("utm_source=x", "token=s3cret")
	f.Add("%75tm_source=x;", "&?#utm_=")
	f.Fuzz(func(t *testing.T, before, after string) {
		got := pageURL(t, []string{"ref"}, "https://example.com/?"+before+"&ref=1&"+after)
		_, query, _ := strings.Cut(strings.TrimSuffix(got, `"}`), "?")
		for pair := range strings.SplitSeq(query, "&") {
			name, _, _ := strings.Cut(pair, "=")
			if strings.ContainsAny(pair, "?;#") || !strings.HasPrefix(strings.ToLower(name), "r") && !strings.HasPrefix(name, "%") && query != "" {
				t.Errorf("%q stays", pair)
			}
		}
	})
}

func pageURL(t *testing.T, query []string, page string) string {
	t.Helper()
	form := onramp.NewForm(onramp.Form{
		Name: "f", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
		Fields: []onramp.Field{{Column: "PageURL", From: onramp.FromPageURL, Query: query}},
	}, "secret")
	r, err := form.Accept(onramp.Submission{ReceivedAt: time.Unix(0, 0), PageURL: page})
	if err != nil {
		t.Fatal(err)
	}
	return string(r.Values)
}
