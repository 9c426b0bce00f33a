package onramp_test

import (
	"strings"
	"testing"

	"onramp/internal/onramp"
)

// The addresses that Marketing Cloud takes, as they are stored, and those that
// it would refuse, or that nobody has.
func TestEmail(t *testing.T) {
	t.Parallel()
	as := func(n int) string { return strings.Repeat("a", n) }
	label := strings.Repeat("b", 61) + "."
	good := map[string]string{
		"user@example.com":                        "user@example.com",
		"  user@example.com\r\n":                  "user@example.com",
		"\u200b\ufeffuser@example.com\u2060":      "user@example.com",
		"\u202auser@example.com\u202c":            "user@example.com",
		"\u3164user@example.com\u2800\ufe0f":      "user@example.com",
		"user@bücher.example\u00ad":               "user@xn--bcher-kva.example",
		"taro.@docomo.ne.jp":                      "taro.@docomo.ne.jp",
		"taro..yamada@docomo.ne.jp":               "taro..yamada@docomo.ne.jp",
		"...taro...@ezweb.ne.jp":                  "...taro...@ezweb.ne.jp",
		".@b.co":                                  ".@b.co",
		"First.Last+tag@Example.COM":              "First.Last+tag@example.com",
		"o'neil_x-y=z/w!#$%&*?^`{|}~@example.org": "o'neil_x-y=z/w!#$%&*?^`{|}~@example.org",
		"1@2.museum":                              "1@2.museum",
		"a@b.co":                                  "a@b.co",
		as(100) + "@example.org":                  as(100) + "@example.org",
		"a@" + strings.Repeat(label, 4) + "abcd":  "a@" + strings.Repeat(label, 4) + "abcd",
		"a@" + strings.Repeat("b", 63) + ".org":   "a@" + strings.Repeat("b", 63) + ".org",
		"a@bücher.example":                        "a@xn--bcher-kva.example",
		"a@BU\u0308CHER.Example":                  "a@xn--bcher-kva.example",
		"a@straße.de":                             "a@xn--strae-oqa.de",
		"a@пример.рф":                             "a@xn--e1afmkfd.xn--p1ai",
		"a@例え。jp":                                 "a@xn--r8jz45g.jp",
		"a@xn--bcher-kva.example":                 "a@xn--bcher-kva.example",
		"a@XN--BCHER-KVA.Example":                 "a@xn--bcher-kva.example",
		"a@x.xn--fiqs8s":                          "a@x.xn--fiqs8s",
		"a@ab--cd.com":                            "a@ab--cd.com",
		"a@AB--cd.com":                            "a@ab--cd.com",
		"a@r3---sn-1.example.org":                 "a@r3---sn-1.example.org",
		"a@123.example":                           "a@123.example",
	}
	for in, out := range good {
		if got, want := parse(onramp.Field{Type: onramp.Email}, text(in)), is(text(out)); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
	bad := []string{
		"", "a", "@", "a@", "@b.co", "a.co", "a@b", "a@@b.co", "a@b@c.co", "a@b@ü.de", "a b@c.co", "a@b c.co", "a@ b.co",
		"a@.co", "a@b..co", "a@b.co.", "a@b.", "a@b.c", "a@b.1", "a@b.c1", "a@1.2.3.4", "a@[1.2.3.4]",
		"a@-b.co", "a@b-.co", "a@b_c.co", "a@B_C.co", "a@-ü.de", "a@ü_b.de", "ä@b.co", "jané@b.co", "日本@b.co", "a\u200b@b.co",
		`"a b"@c.co`, `"a"@c.co`, `a\b@c.co`, "a,b@c.co", "a;b@c.co", "a:b@c.co", "(a)b@c.co", "<a@b.co>", "Jane <a@b.co>", "mailto:a@b.co",
		"a@b.co, c@d.co", "a@b.co>", "a@xn--a.de", "a@b.xn--a.de", "a@xn--.de", "a@b.xn--", "a@ü.xn--", "a@b.co/", "a@b\u2024co",
		as(101) + "@example.org", "a@" + strings.Repeat(label, 4) + "abcde", "a@" + strings.Repeat("b", 64) + ".org",
		"a@" + strings.Repeat("ü", 60) + ".de",
	}
	for _, in := range bad {
		if got := parse(onramp.Field{Type: onramp.Email}, text(in)); got != wrong(notEmail) {
			t.Errorf("%q: got %v, want %q", in, got, notEmail)
		}
	}
	if got := parse(onramp.Field{Type: onramp.Email}, text("a\x00@b.co")); got != wrong(noControls) {
		t.Errorf("with a NUL: got %v, want %q", got, noControls)
	}
	if got := parse(onramp.Field{Type: onramp.Email, Max: 10}, text("abcd@de.org")); got != wrong("must be at most 10 characters") {
		t.Errorf("longer than the field's max: got %v", got)
	}
}
