package email_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/email"
)

// What is suggested for a slip, and that nothing is for what may well be right.
func TestSuggest(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"ana@gmial.com":        "ana@gmail.com",
		"Ana.B@gmai.com":       "Ana.B@gmail.com",
		"ana@gmaill.com":       "ana@gmail.com",
		"ana@gnail.com":        "ana@gmail.com",
		"ana@fmail.com":        "ana@gmail.com",
		"ana@mgail.com":        "ana@gmail.com",
		"ana@utlook.com":       "ana@outlook.com",
		"ana@ooutlook.com":     "ana@outlook.com",
		"ana@xoutlook.com":     "ana@outlook.com",
		"ana@otlook.com":       "ana@outlook.com",
		"ana@gmail.co":         "ana@gmail.com",
		"ana@gmail.cm":         "ana@gmail.com",
		"ana@gmail.con":        "ana@gmail.com",
		"ana@gmial.con":        "ana@gmail.com",
		"ana@hotmial.com":      "ana@hotmail.com",
		"ana@outlok.com":       "ana@outlook.com",
		"ana@yahooo.co.uk":     "ana@yahoo.co.uk",
		"ana@t-onlin.de":       "ana@t-online.de",
		"ana@docmo.ne.jp":      "ana@docomo.ne.jp",
		"ana@wanadoo.fe":       "", // a country's domain may be anybody's
		"ana@example.con":      "ana@example.com",
		"ana@example.ogr":      "ana@example.org",
		"ana@gmail.com":        "",
		"ana@ymail.com":        "",
		"ana@mail.com":         "",
		"ana@email.com":        "",
		"ana@hotmail.de":       "",
		"ana@hotmail.dk":       "",
		"ana@yahoo.com.my":     "",
		"ana@inbox.lv":         "",
		"ana@gmx.de":           "",
		"ana@gmy.de":           "",
		"ana@op.pl":            "",
		"ana@web.com":          "",
		"ana@example.com":      "",
		"ana@example.cm":       "",
		"ana@mail.gmial.com":   "",
		"ana@company.com":      "",
		"nobody":               "",
		"ana@xn--bcher-kva.de": "",
	}
	got := map[string]string{}
	for address, meant := range want {
		if usual := email.IsUsual(strings.ToLower(address)); usual != (meant == "") {
			t.Errorf("%s is usual: %v", strings.ToLower(address), usual)
		}
	}
	for address := range want {
		got[address] = email.Suggest(address)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Nobody who has an address at a large provider is asked about it.
func TestSuggestNoneOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{"gmail.com", "hotmail.co.uk", "live.co.uk", "yahoo.fr", "yahoo.ca", "hotmail.be", "outlook.dk", "fastmail.fm", "yahoo.co.jp", "yahoo.ne.jp"} {
		if got := email.Suggest("ana@" + domain); got != "" {
			t.Errorf("%s: suggested %s", domain, got)
		}
	}
}

func BenchmarkSuggest(b *testing.B) {
	for _, domain := range []string{"gmail.com", "example.com"} {
		b.Run(domain, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				email.Suggest("user@" + domain)
			}
		})
	}
}
