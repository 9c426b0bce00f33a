package onramp_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// from is a field that Onramp fills in, of at most 40 characters.
func from(t *testing.T, source string) onramp.Field {
	t.Helper()
	s, ok := onramp.ParseSource(source)
	if !ok {
		t.Fatalf("no source is called %s", source)
	}
	return onramp.Field{Column: source, From: s, Max: 40}
}

// What is stored of the page that a form stood on, its referrer, the first page of the
// visit, and their parameters.
func TestOfPage(t *testing.T) {
	t.Parallel()
	form := onramp.Form{Name: "f", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}}
	for _, source := range []string{"page_url", "referrer", "landing_page", "utm_source", "utm_campaign", "gclid", "li_fat_id"} {
		form.Fields = append(form.Fields, from(t, source))
	}
	posted := func(pairs ...string) (inputs []onramp.Input) {
		for i := 0; i < len(pairs); i += 2 {
			inputs = append(inputs, onramp.Input{Name: pairs[i], Value: onramp.Scalar{Kind: onramp.Posted, Text: pairs[i+1]}})
		}
		return inputs
	}
	for name, row := range map[string]struct {
		referer string
		inputs  []onramp.Input
		values  string
	}{
		"nothing known": {"", nil, `{}`},
		"the Referer":   {"https://a.example/p?utm_source=mail&id=1", nil, `{"page_url":"https://a.example/p?utm_source=mail","utm_source":"mail"}`},
		"a Referer without its path": {
			"https://a.example/", posted("_landing_page", "https://a.example/?gclid=Cj0"),
			`{"page_url":"https://a.example/","landing_page":"https://a.example/?gclid=Cj0","gclid":"Cj0"}`,
		},
		"inputs before the Referer": {
			"https://frame.example/?utm_source=frame", posted("_page", "https://a.example/b#c", "_referrer", "https://www.google.com/?q=secret", "_landing_page", ""),
			`{"page_url":"https://a.example/b","referrer":"https://www.google.com/"}`,
		},
		"the page before the landing page": {
			"", posted("_page", "https://a.example/?utm_source=page&utm_source=second", "_landing_page", "https://a.example/?utm_source=first&UTM_Campaign=spring"),
			`{"page_url":"https://a.example/?utm_source=page&utm_s","landing_page":"https://a.example/?utm_source=first&UTM_","utm_source":"page","utm_campaign":"spring"}`,
		},
		"by their own names": {
			"https://a.example/?utm_source=page&gclid=page", posted("utm_source", "own", "page_url", "https://b.example/", "gclid", "", "utm_campaign", "50% off"),
			`{"page_url":"https://b.example/","utm_source":"own","utm_campaign":"50% off"}`,
		},
		"decoded": {
			"https://a.example/?utm_source=%C3%BCber+uns%21&utm_campaign=50%off&gclid=%zz&li_fat_id=%", nil,
			`{"page_url":"https://a.example/?utm_source=%C3%BCber+","utm_source":"über uns!","utm_campaign":"50%off","gclid":"%zz","li_fat_id":"%"}`,
		},
		"a name in escapes, an empty value": {
			"https://a.example/?%75tm_source=x&gclid=&utm_campaign", posted("_landing_page", "https://a.example/?gclid=1&utm_campaign=2"),
			`{"page_url":"https://a.example/?%75tm_source=x&gclid=","landing_page":"https://a.example/?gclid=1&utm_campaign=","utm_source":"x","utm_campaign":"2","gclid":"1"}`,
		},
		"a secret behind a second query, and in the fragment": {
			"", posted("_page", "https://a.example/?utm_source=x?token=s3cret#&gclid=s3cret"),
			`{"page_url":"https://a.example/?utm_source=x","utm_source":"x"}`,
		},
		"user names and passwords": {
			"https://user:pass@a.example/b@c", posted("_referrer", "HTTPS://me@b.example:8443?x", "_landing_page", "http://u:p@[::1]:80/"),
			`{"page_url":"https://a.example/b@c","referrer":"https://b.example:8443","landing_page":"http://[::1]:80/"}`,
		},
		"no web pages": {
			"android-app://com.google/", posted("_page", "javascript:alert(1)//https://x", "_referrer", "about:srcdoc", "_landing_page", "https:///a?gclid=1"), `{}`,
		},
		"not believed, so the Referer": {
			"https://a.example/", posted("_page", "about:srcdoc"), `{"page_url":"https://a.example/"}`,
		},
		"more that is no page": {
			"/relative", posted("_page", "//a.example/", "_referrer", "https://user:pa/ss@a.example", "_landing_page", "https://a b.example/"), `{}`,
		},
		"blanks around, a lone % and umlauts in the path": {
			"", posted("_page", " https://a.example/50%/ü \n"), `{"page_url":"https://a.example/50%/ü"}`,
		},
		"other kinds of values": {
			"https://a.example/",
			[]onramp.Input{{Name: "_page"}, {Name: "utm_source", Value: onramp.Scalar{Kind: onramp.Number, Text: "7"}}, {Name: "gclid", Value: onramp.Scalar{Kind: onramp.Nested}}, {Name: "_referrer", Value: onramp.Scalar{Kind: onramp.True}}},
			`{"page_url":"https://a.example/","utm_source":"7"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := acceptRow(t, form, onramp.Submission{ReceivedAt: time.Unix(0, 0), PageURL: row.referer, Inputs: row.inputs})
			if diff := cmp.Diff(row.values, string(got.Values)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

// A form that has fields with these names gets them as what the visitor typed; one that
// does not fill them in refuses all but the reserved names.
func TestPageInputsAreFields(t *testing.T) {
	t.Parallel()
	yes := onramp.Scalar{Kind: onramp.Posted, Text: "https://a.example/"}
	own := onramp.Form{
		Name: "f", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID},
		Fields: []onramp.Field{{Name: "_page", Column: "A"}, {Name: "utm_source", Column: "B"}, from(t, "page_url"), from(t, "utm_source")},
	}
	got := acceptRow(t, own, onramp.Submission{ReceivedAt: time.Unix(0, 0), Inputs: []onramp.Input{{Name: "_page", Value: yes}, {Name: "utm_source", Value: yes}}})
	if want := `{"A":"https://a.example/","B":"https://a.example/"}`; string(got.Values) != want {
		t.Errorf("stored %s, want %s", got.Values, want)
	}

	none := onramp.NewForm(onramp.Form{Name: "f", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}, Fields: []onramp.Field{{Name: "a", Column: "A"}}}, "secret")
	for name, taken := range map[string]bool{
		"_page": true, "_referrer": true, "_landing_page": true,
		"page_url": false, "utm_source": false, "user_agent": false, "ip": false, "_pages": false, "": false,
	} {
		if _, err := none.Accept(onramp.Submission{Inputs: []onramp.Input{{Name: name, Value: yes}}}); (err == nil) != taken {
			t.Errorf("%q: %v, want that it is taken: %v", name, err, taken)
		}
	}
}

// An operator's edit can't change what the page said.
func TestEditKeepsPage(t *testing.T) {
	t.Parallel()
	f := onramp.NewForm(onramp.Form{
		Name: "f", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyUUID}, Fields: []onramp.Field{{Name: "a", Column: "A"}, from(t, "utm_source")},
	}, "secret")
	r, err := f.Accept(onramp.Submission{PageURL: "https://a.example/?utm_source=mail"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"_page", "utm_source"} {
		if edited, err := f.Edit(r, map[string]string{name: "x"}); err == nil {
			t.Errorf("%s is taken: %s", name, edited.Values)
		}
	}
	columns, gone, err := f.Columns(&r)
	if want := `{"utm_source":"mail"}`; err != nil || gone != nil || string(columns) != want {
		t.Errorf("columns %s, without %v, %v; want %s", columns, gone, err, want)
	}
}
