package consent

import (
	"testing"

	"onramp/internal/onramp"
)

// Each limit holds at its own count; the second half of a form's is for visitors who have had
// none.
func TestDecide(t *testing.T) {
	t.Parallel()
	limits := onramp.ConfirmationLimits{PersonForm: 1, Person: 3, Domain: 5, Form: 10}
	for _, c := range []struct {
		name                                      string
		personForm, person, domain, form, visitor int64
		of                                        string
		want                                      onramp.Limit
	}{
		{"nothing yet", 0, 0, 0, 0, 0, "a.example", onramp.Limit{}},
		{"just below all", 0, 2, 4, 9, 0, "a.example", onramp.Limit{}},
		{"the person, for the form", 1, 1, 1, 1, 1, "a.example", onramp.Limit{Name: LimitPersonForm}},
		{"the person", 0, 3, 0, 0, 0, "a.example", onramp.Limit{Name: LimitPerson}},
		{"the domain", 0, 0, 5, 0, 0, "a.example", onramp.Limit{Name: LimitDomain, Alarms: true}},
		{"a large provider has more", 0, 0, 9, 9, 0, "gmail.com", onramp.Limit{}},
		{"a large provider, too", 0, 0, 50, 9, 0, "gmail.com", onramp.Limit{Name: LimitDomain, Alarms: true}},
		{"the form", 0, 0, 0, 10, 0, "a.example", onramp.Limit{Name: LimitForm, Alarms: true}},
		{"the first half is for all", 0, 0, 0, 4, 4, "a.example", onramp.Limit{}},
		{"the second is not", 0, 0, 0, 5, 1, "a.example", onramp.Limit{Name: LimitVisitor, Alarms: true}},
		{"a new visitor in it", 0, 0, 0, 5, 0, "a.example", onramp.Limit{}},
	} {
		counts := make([]int64, counters)
		counts[countPersonForm], counts[countPerson], counts[countDomain], counts[countForm], counts[countVisitor] = c.personForm, c.person, c.domain, c.form, c.visitor
		if got := decide(limits, c.of, counts); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// What belongs to one visitor is counted together, what doesn't is not.
func TestNetwork(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"198.51.100.7": "198.51.100.7", "::ffff:198.51.100.7": "198.51.100.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "unix": "unix",
	} {
		if got := network(ip); got != want {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
	}
}

// What may look like something else in a mail is left out.
func TestIsHarmless(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"Ana", "J.R. Smith", "Jean-Luc O’Neill", "Ana María", "山田 太郎", "Dr. Müller", "نور", "3.5", "No. 7"} {
		if !isHarmless(text) {
			t.Errorf("%q is left out", text)
		}
	}
	for _, text := range []string{
		"", "http://evil.example", "https://evil.example/x", "evil.example", "WWW.evil", "win at evil.example now", "evil。example", "<b>x</b>", "a > b", "x\ny", "x\x00",
		"\u202egnp.exe", "a\u200bb", "a\u2028b", "me@evil.example", "%%=v(@x)=%%", "{{x}}", "[x](y)", `\\evil\x`, "a/b", "\ufffd", " x", "x&y",
		"a very long text that nobody has for a name, but that says all that somebody wants to say to a stranger, and more",
	} {
		if isHarmless(text) {
			t.Errorf("%q goes along", text)
		}
	}
}
