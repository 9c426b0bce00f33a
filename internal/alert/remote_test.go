package alert_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"onramp/internal/alert"
	"onramp/internal/onramp"
)

// What alerts repeat of a text that came from elsewhere.
func TestRemoteText(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"403: Insufficient privileges to complete this action.": "403: Insufficient privileges to complete this action.",
		"400 10003: Primary key 'Subscriber_Key' not found":     "400 10003: Primary key 'Subscriber_Key' not found",
		"429 50200: too many requests (limit 12.5)":             "429 50200: too many requests (limit 12.5)",
		"403: <!channel> <!here|x> <@U123> <#C1>":               "403: channel here x … C1",
		"@everyone ＠here a＠b.c":                                 "… … …",
		"see https://evil.example.net/a?b=c now":                "see … now",
		"see HTTPS:/evil now":                                   "see … now",
		"evil.example.net or www.evil.net:8080/x":               "… or …",
		"xn--80ak6aa92e.com, пример.испытание":                  "…, …",
		"ev\u200bil.exam\u00adple.net \u202etxt.exe":            "… …",
		"dial tcp 192.0.2.7:443: connect: connection refused":   "dial tcp … connect: connection refused",
		"dial tcp [2001:db8::1]:443: connection refused":        "dial tcp … … connection refused",
		"for ana@example.org and 'Jane Doe' and \"J. D.\"":      "for … and … and …",
		"call +4917012345678 or 0170-1234567":                   "call … or …",
		"id 0192f0a1-7b1f-7c55-9d52-0f5100000001 seen":          "id … seen",
		"Bearer eyJhbGciOiJFZERTQSJ9eyJzdWIiOiIxIn0":            "Bearer …",
		"**a** `b` ~~c~~ [d](e) | f\n# g\n> h":                  "a b c d (e) f g h",
		"\x1b[31mred\x07":                                       "31mred",
		"broken \xff\xfe":                                       "broken",
		strings.Repeat("x ", 400):                               strings.Repeat("x ", 150) + "…",
	} {
		t.Run(said[:min(len(said), 20)], func(t *testing.T) {
			t.Parallel()
			if got := told(t, said); got != want {
				t.Errorf("%q is told as %q, want %q", said, got, want)
			}
		})
	}
}

// told gives what an alert says for a reason that a destination is blocked for.
func told(t *testing.T, reason string) string {
	t.Helper()
	all := watching(t, alert.Config{}, func(w *world) {
		w.change(func(w *world) {
			w.health = []onramp.Health{stopped(extension, "blocked", reason, "c", time.Now())}
		})
		pass(2 * time.Second)
	})
	if len(all) != 1 {
		t.Fatalf("%d alerts, want one", len(all))
	}
	line, _, _ := strings.Cut(all[0].Text, "\n")
	return strings.TrimPrefix(line, "cause: ")
}

// A database's error is told in the same way: it may name a host.
func TestRemoteTextOfTheStore(t *testing.T) {
	t.Parallel()
	all := watching(t, alert.Config{}, func(w *world) {
		w.change(func(w *world) {
			w.trouble = errors.New("failed to connect to `user=onramp host=db.example.net`: 192.0.2.7:5432 <refused>")
		})
		pass(2 * time.Second)
	})
	if len(all) != 1 || !strings.HasPrefix(all[0].Text, "cause: failed to connect to user=onramp host=… : … refused\n") {
		t.Errorf("told %+v", all)
	}
}

// Whatever is said, nothing of it is a link, a mention or markup.
func FuzzRemoteText(f *testing.F) {
	f.Add("<!channel> @here https://a.b [x](y) `z`")
	f.Add("a.b:c@d//e'f\"g…")
	unwanted := regexp.MustCompile("[<>@*`~|\\[\\]{}\\\\#&!^\\x00-\\x08]|://|[a-zA-Z]\\.[a-zA-Z]{2}")
	f.Fuzz(func(t *testing.T, said string) {
		if got := alert.Remote(said); unwanted.MatchString(got) || len([]rune(got)) > 301 {
			t.Errorf("%q is told as %q", said, got)
		}
	})
}
