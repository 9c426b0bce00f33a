package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/hosted/texts"
	"onramp/internal/onramp"
)

// A form that says all about its page.
const pageExample = `forms:
  f:
    title: { en: Stay in touch, de-AT: Servus }
    success_url: /f/f?thanks
    page:
      lang: [en, DE-at]
      texts:
        send: Sign up
        thanks: { en: "*Thanks*, see [us](/a)", de-AT: Danke }
      logo: https://cdn.example.com/logo.svg
      logo_text: Example Ltd
      colors: { accent: "#FD0", background: "#fff", text: "#123456", dark: { accent: "#ABCDEF" } }
      stylesheet: https://cdn.example.com/form.css
      frame_ancestors: [https://WWW.example.com, "https://*.example.com:*", https://bücher.example]
    fields:
      - { name: email, column: Email, type: email, required: true, label: E-mail, prefill: true }
      - { name: plan, column: Plan, type: choice, choices: [a, b], input: radio, choice_labels: { a: One, b: { en: Two, de-AT: Zwei } }, prefill: p }
      - { name: terms, column: Terms, type: boolean, input: checkbox, label: { en: "I agree to the [terms](https://example.com/t)", de-AT: Ja } }
      - { name: news, column: News, type: boolean, default: true, input: select, prefill: false }
      - { name: source, column: Source, input: hidden, prefill: utm_source }
    route: [ { data_extension: { key: K } } ]
`

func TestPage(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("onramp.yaml", []byte(shortAccount+pageExample), nil)
	if err != nil {
		t.Fatal(err)
	}
	both := func(english, german string) onramp.Wording {
		return onramp.Wording{"": english, "en": english, "de-AT": german}
	}
	yes := onramp.Scalar{Kind: onramp.True}
	want := onramp.Form{
		Name: "f", Title: "Stay in touch", Titles: both("Stay in touch", "Servus"), SuccessURL: "/f/f?thanks",
		Page: onramp.Page{
			Languages: []string{"en", "de-AT"},
			Texts:     map[string]onramp.Wording{"send": {"": "Sign up"}, "thanks": {"en": "*Thanks*, see [us](/a)", "de-AT": "Danke"}},
			Logo:      "https://cdn.example.com/logo.svg", LogoText: "Example Ltd",
			Colors: onramp.Colors{Accent: "#ffdd00", Background: "#ffffff", Text: "#123456"}, DarkColors: onramp.Colors{Accent: "#abcdef"},
			StyleSheet:     "https://cdn.example.com/form.css",
			FrameAncestors: []string{"https://www.example.com", "https://*.example.com:*", "https://xn--bcher-kva.example"},
		},
		Fields: []onramp.Field{
			{Name: "email", Label: "E-mail", Column: "Email", Type: onramp.Email, Required: true, Max: 254, Prefill: "email"},
			{
				Name: "plan", Label: "Plan", Column: "Plan", Type: onramp.Choice, Choices: []string{"a", "b"}, Input: "radio", Prefill: "p",
				ChoiceLabels: map[string]onramp.Wording{"a": {"": "One"}, "b": {"en": "Two", "de-AT": "Zwei"}},
			},
			{
				Name: "terms", Label: "I agree to the [terms](https://example.com/t)", Labels: both("I agree to the [terms](https://example.com/t)", "Ja"),
				Column: "Terms", Type: onramp.Boolean, Input: "checkbox",
			},
			{Name: "news", Label: "News", Column: "News", Type: onramp.Boolean, Default: &yes, Input: "select"},
			{Name: "source", Label: "Source", Column: "Source", Input: "hidden", Prefill: "utm_source"},
		},
		Route: []onramp.Destination{{Kind: onramp.DataExtension, Key: "K", KeyColumns: []string{"SubscriberKey"}}},
	}
	if diff := cmp.Diff([]onramp.Form{want}, c.Forms, compared()); diff != "" {
		t.Errorf("forms (-want +got):\n%s", diff)
	}
}

// A language that is not built in needs every text, and gets none in English instead.
func TestPageInAnotherLanguage(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, key := range texts.Keys() {
		all.WriteString("        " + key + ": نص\n")
	}
	file := "forms:\n  f:\n    page:\n      lang: ar\n      texts:\n" + all.String() + rightFields + rightRoute
	c, err := config.Parse("onramp.yaml", []byte(shortAccount+file), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Forms[0].Page; !cmp.Equal(got.Languages, []string{"ar"}) || len(got.Texts) != len(texts.Keys()) {
		t.Errorf("got %+v, want Arabic with all texts", got)
	}
}

func TestWrongPages(t *testing.T) {
	t.Parallel()
	form := func(name, page string) string {
		return "  " + name + ":\n    page:\n" + page + rightFields + rightRoute
	}
	withFields := func(fields string) string { return "forms:\n  f:\n    fields:\n" + rightEmail + fields + rightRoute }
	const (
		tag     = " is not a language tag, such as de or pt-BR"
		webURL  = "must be an absolute http or https URL"
		color   = `must be a colour such as "#0b5cab", in quotes`
		origin  = " must be an origin without a path, such as https://www.example.com or https://*.example.com, or *"
		empty   = "is empty: set a text or remove the key"
		badLink = "a link must be an http, https or mailto URL, or a path"
		nowhere = "is on the gateway itself, which has no page there: use a page of your site"
	)
	needed := slices.DeleteFunc(texts.Keys(), texts.ForDoubleOptIn)
	missing := strings.Join(needed[1:], ", ") // all but the first, which is there
	for _, w := range []wrong{
		{"page", "forms:\n" + form("a", "      language: de\n") + "  b:\n    page: de\n" + rightFields + rightRoute, nil, []config.Problem{
			{5, "forms.a.page.language", "unknown key; use lang, texts, logo, logo_text, colors, stylesheet or frame_ancestors"},
			{9, "forms.b.page", "must be a map of keys and values, not a single value"},
		}},
		{"languages", "forms:\n" + form("a", "      lang: german\n") + form("b", "      lang: [de, de_AT, de, \"\", en]\n") + form("c", "      lang: { de: x }\n"), nil, []config.Problem{
			{5, "forms.a.page.lang", `"german"` + tag},
			{10, "forms.b.page.lang[1]", `"de_AT"` + tag},
			{10, "forms.b.page.lang[2]", "is listed twice: remove one"},
			{10, "forms.b.page.lang[3]", `""` + tag},
			{15, "forms.c.page.lang", "must be a single value, not a map"},
		}},
		{"not built in", "forms:\n" + form("a", "      lang: [en, sv]\n      texts: { "+needed[0]+": { sv: x } }\n"), nil, []config.Problem{
			{5, "forms.a.page.lang", "sv is not built in (de, en, es, fr, it, ja, nl, pl, pt are): add to texts what is missing, " + missing},
		}},
		{"texts", "forms:\n" + form("a", "      lang: de\n      texts:\n        sent: x\n        send: \"\"\n        thanks: \"[a](javascript:b)\"\n        yes: { fr: Oui, de: Ja, x y: z }\n        no: {}\n        choose: [a]\n"), nil, []config.Problem{
			{7, "forms.a.page.texts.sent", "unknown key; did you mean send?"},
			{8, "forms.a.page.texts.send", empty},
			{9, "forms.a.page.texts.thanks", badLink},
			{10, "forms.a.page.texts.yes.fr", "is not one of the page's languages: add it to page.lang, or remove it"},
			{10, `forms.a.page.texts.yes["x y"]`, "the key" + tag},
			{11, "forms.a.page.texts.no", empty},
			{12, "forms.a.page.texts.choose", "must be a single value, not a list"},
		}},
		{"looks", "forms:\n" + form("a", `      logo: /logo.svg
      stylesheet: "https://a;b/c"
      colors: { accent: red, background: "#fff", text: "#bbb", dark: { text: "#12345", link: "#000" } }
      frame_ancestors: ["https://a.example/", example.com, "https://*.com", "'self'", "https://a.example", "https://A.example", "https://a;b"]
`) + form("b", "      logo_text: x\n      frame_ancestors: https://a.example\n"), nil, []config.Problem{
			{5, "forms.a.page.logo", webURL},
			{6, "forms.a.page.stylesheet", webURL},
			{7, "forms.a.page.colors.accent", color},
			{7, "forms.a.page.colors.text", "can't be read on the background: their contrast is 1.9, and must be at least 4.5"},
			{7, "forms.a.page.colors.dark.link", "unknown key; use accent, background or text"},
			{7, "forms.a.page.colors.dark.text", color},
			{8, "forms.a.page.frame_ancestors[0]", `"https://a.example/"` + origin},
			{8, "forms.a.page.frame_ancestors[1]", `"example.com"` + origin},
			{8, "forms.a.page.frame_ancestors[2]", `"https://*.com"` + origin},
			{8, "forms.a.page.frame_ancestors[3]", `"'self'"` + origin},
			{8, "forms.a.page.frame_ancestors[5]", "is listed twice: remove one"},
			{8, "forms.a.page.frame_ancestors[6]", `"https://a;b"` + origin},
			{13, "forms.b.page.logo_text", "has no effect without logo"},
			{14, "forms.b.page.frame_ancestors", "must be a list, not a single value"},
		}},
		{"fields", withFields(`      - { name: a, column: A, input: radio }
      - { name: b, column: B, type: integer, input: select }
      - { name: c, column: C, type: choice, choices: [x], input: checkbox, choice_labels: { x: "", y: Y } }
      - { name: d, column: D, type: boolean, default: true, input: checkbox }
      - { name: e, column: E, input: textbox, prefill: lang, choice_labels: { a: b } }
      - { name: g, column: G, label: { de: x }, prefill: "" }
      - { name: h, column: H, label: "[a](data:b)" }
      - { from: uuid, column: I, input: hidden, prefill: true, choice_labels: {} }
`), nil, []config.Problem{
			{6, "forms.f.fields[1].input", "radio applies only to fields with type: choice or boolean"},
			{7, "forms.f.fields[2].input", "select applies only to fields with type: choice, choices or boolean"},
			{8, "forms.f.fields[3].input", "checkbox applies only to fields with type: boolean or choices"},
			{8, "forms.f.fields[3].choice_labels.x", empty},
			{8, "forms.f.fields[3].choice_labels.y", "is not one of the choices"},
			{9, "forms.f.fields[4].input", "a checkbox that is left unticked sends nothing, which would mean the default, true: use radio or select"},
			{10, "forms.f.fields[5].input", `"textbox" is not known; use hidden, radio, select or checkbox`},
			{10, "forms.f.fields[5].prefill", "must be true or the name of a query parameter other than lang, thanks and meant"},
			{10, "forms.f.fields[5].choice_labels", "applies only to fields with choices"},
			{11, "forms.f.fields[6].label.de", "is not one of the page's languages: add it to page.lang, or remove it"},
			{11, "forms.f.fields[6].prefill", "must be true or the name of a query parameter other than lang, thanks and meant"},
			{12, "forms.f.fields[7].label", badLink},
			{13, "forms.f.fields[8].choice_labels", "applies only to fields with a name; Onramp fills this one in"},
			{13, "forms.f.fields[8].input", "applies only to fields with a name; Onramp fills this one in"},
			{13, "forms.f.fields[8].prefill", "applies only to fields with a name; Onramp fills this one in"},
		}},
		{"success URLs", "public: { url: https://signup.example.com }\nforms:\n" + success("a", "/thanks") + success("b", "/f/nobody?thanks") + success("c", "https://signup.example.com/f/nobody") +
			success("d", "/") + success("e", "/f/a/?thanks") + success("f", "/f/a?thanks") + success("g", "https://signup.example.com/f/a") +
			success("h", "https://www.example.com/f/nobody") + success("i", "https://signup.example.com/thanks"), nil, []config.Problem{
			{5, "forms.a.success_url", nowhere + ", by its whole URL, such as https://www.example.com/thanks"},
			{9, "forms.b.success_url", nowhere + ", by its whole URL, such as https://www.example.com/f/nobody?thanks"},
			{13, "forms.c.success_url", nowhere},
			{17, "forms.d.success_url", nowhere + ", by its whole URL, such as https://www.example.com/"},
			{21, "forms.e.success_url", nowhere + ", by its whole URL, such as https://www.example.com/f/a/?thanks"},
		}},
	} {
		w.run(t, shortAccount+w.file)
	}
}

// success is a form of four lines that sends browsers on.
func success(name, address string) string {
	return "  " + name + ":\n    success_url: " + address + "\n" + rightFields + rightRoute
}
