package markdown_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"

	"onramp/internal/hosted/markdown"
)

func TestMarkdown(t *testing.T) {
	t.Parallel()
	const blank = ` target="_blank" rel="noopener"`
	for source, want := range map[string]struct{ html, plain, refused string }{
		"":                 {"", "", ""},
		"First name":       {"First name", "First name", ""},
		`<b>"a" & 'b'</b>`: {"&lt;b&gt;&#34;a&#34; &amp; &#39;b&#39;&lt;/b&gt;", `<b>"a" & 'b'</b>`, ""},
		"I agree to the [terms](https://example.com/a?b=c&d=e).": {`I agree to the <a href="https://example.com/a?b=c&amp;d=e"` + blank + `>terms</a>.`, "I agree to the terms.", ""},
		"[a](/terms) [b](mailto:a@example.com)":                  {`<a href="/terms"` + blank + `>a</a> <a href="mailto:a@example.com">b</a>`, "a b", ""},
		"[wiki](https://example.com/a_(b))":                      {`<a href="https://example.com/a_(b)"` + blank + `>wiki</a>`, "wiki", ""},
		"[*very* <b>](/x)":                                       {`<a href="/x"` + blank + `><em>very</em> &lt;b&gt;</a>`, "very <b>", ""},
		"*[a](/x)*":                                              {`<em><a href="/x"` + blank + `>a</a></em>`, "a", ""},
		"[a](javascript:alert(1))":                               {"[a](javascript:alert(1))", "[a](javascript:alert(1))", "javascript:alert(1)"},
		"[a](JaVaScRiPt:x)":                                      {"[a](JaVaScRiPt:x)", "[a](JaVaScRiPt:x)", "JaVaScRiPt:x"},
		"[a](data:text/html,x)":                                  {"[a](data:text/html,x)", "[a](data:text/html,x)", "data:text/html,x"},
		"[a](https:)":                                            {"[a](https:)", "[a](https:)", "https:"},
		`[a](/x"onclick="y)`:                                     {`<a href="/x&#34;onclick=&#34;y"` + blank + `>a</a>`, "a", ""},
		"[a] (b)":                                                {"[a] (b)", "[a] (b)", ""},
		"[a](b":                                                  {"[a](b", "[a](b", ""},
		"[a](b c)":                                               {"[a](b c)", "[a](b c)", ""},
		"[":                                                      {"[", "[", ""},
		"*a* **b** _c_ __d__":                                    {"<em>a</em> <strong>b</strong> <em>c</em> <strong>d</strong>", "a b c d", ""},
		"**a *b***":                                              {"<strong>a <em>b</em></strong>", "a b", ""},
		"first_name_x":                                           {"first_name_x", "first_name_x", ""},
		"2 * 3 * 4":                                              {"2 * 3 * 4", "2 * 3 * 4", ""},
		"*a":                                                     {"*a", "*a", ""},
		"**":                                                     {"**", "**", ""},
		"***":                                                    {"***", "***", ""},
		`\*a\* \[b](c) \\ \a`:                                    {`*a* [b](c) \ \a`, `*a* [b](c) \ \a`, ""},
		"Ünïcode *ü*":                                            {"Ünïcode <em>ü</em>", "Ünïcode ü", ""},
	} {
		if got := string(markdown.HTML(source)); got != want.html {
			t.Errorf("%q: HTML is\n%s, want\n%s", source, got, want.html)
		}
		if got := markdown.Plain(source); got != want.plain {
			t.Errorf("%q: plain is %q, want %q", source, got, want.plain)
		}
		if got := markdown.CheckLinks(source); got != want.refused {
			t.Errorf("%q: refuses %q, want %q", source, got, want.refused)
		}
	}
}

// Whatever a label is, its HTML has no elements but these, no attributes but these, and
// reads as its plain text.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{"a", "*a*", "[a](/b)", "**a _b_**", `\*`, "<script>", "[a](javascript:b)", "[*a](/b)*", "*[a*](/b)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		body, err := html.Parse(strings.NewReader("<!doctype html><body>" + string(markdown.HTML(source))))
		if err != nil {
			t.Fatal(err)
		}
		for n := range body.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch n.Data {
			case "html", "head", "body", "em", "strong":
			case "a":
				if href := n.Attr[0].Val; !markdown.IsLink(href) {
					t.Errorf("%q links to %q", source, href)
				}
			default:
				t.Errorf("%q has a <%s>", source, n.Data)
			}
		}
	})
}
