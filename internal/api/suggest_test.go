package api_test

import (
	"strings"
	"testing"

	"onramp/internal/web/webtest"
)

// What may have been meant comes back with the answer; what was typed is what is stored.
func TestSuggestion(t *testing.T) {
	t.Parallel()
	for typed, meant := range map[string]string{
		"ana@gmial.com":       "ana@gmail.com",
		" Ana.B@Hotmial.COM ": "Ana.B@hotmail.com",
		"ana@yahoo.con":       "ana@yahoo.com",
		"ana@outlok.com":      "ana@outlook.com",
		"ana@example.ogr":     "ana@example.org",
		"ana@gmail.com":       "",
		"ana@example.com":     "",
		"ana@hotmail.de":      "",
		"taro..@docomo.ne.jp": "",
	} {
		t.Run(typed, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			want := accepted(202, "queued")
			if meant != "" {
				want.Body = strings.TrimSuffix(want.Body, "}\n") + `,"suggestions":[{"field":"email","suggestion":"` + meant + `"}]}` + "\n"
			}
			webtest.Check(t, want, masked(do(g, "POST", registrations, `{"email":"`+typed+`"}`, "Content-Type: application/json")))
			local, domain, _ := strings.Cut(strings.TrimSpace(typed), "@")
			if key, as := g.registrations(t)[0].SubscriberKey, local+"@"+strings.ToLower(domain); key != as {
				t.Errorf("stored %q, want %q", key, as)
			}
		})
	}
}
