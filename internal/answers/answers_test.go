package answers_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/answers"
)

func load(t *testing.T) answers.List {
	t.Helper()
	all, err := answers.Load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Every entry says whose turn it is, how it is known and by which check, in the words
// that the document explains.
func TestDocument(t *testing.T) {
	t.Parallel()
	checks := []string{
		"clock", "subdomain", "credentials", "account", "scopes", "data-extension", "event-definition", "message", "ens", "public-url", "quiet",
		"sinks", "alerts", "database", "disk", "files", "encryption-key", "backup",
	}
	titles := map[string]bool{}
	for _, a := range load(t) {
		if titles[a.Title] {
			t.Errorf("%s: two entries have this title", a.Title)
		}
		titles[a.Title] = true
		for _, who := range a.WhoseTurn {
			if !slices.Contains([]string{"admin", "developer", "operator", "nobody"}, who) {
				t.Errorf("%s: it is the turn of %q", a.Title, who)
			}
		}
		if !slices.ContainsFunc([]string{"documented", "seen in code", "reported", "inferred"}, func(mark string) bool { return strings.HasPrefix(a.Source, mark) }) {
			t.Errorf("%s: source %q", a.Title, a.Source)
		}
		names, ok := strings.CutPrefix(a.Check, "onramp check --only ")
		for name := range strings.SplitSeq(names, ",") {
			if a.Check != "" && (!ok || !slices.Contains(checks, name)) {
				t.Errorf("%s: check %q", a.Title, a.Check)
			}
		}
		if a.Section == "" || slices.Contains(a.Codes, "") || a.Answer == "" || a.Meaning == "" || a.WhatToDo == "" || a.Onramp == "" {
			t.Errorf("%s: something is empty: %+v", a.Title, a)
		}
	}
}

func titles(found answers.List) (all []string) {
	for _, a := range found {
		all = append(all, a.Title)
	}
	return all
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for code, want := range map[string][]string{
		"596":                        {"No such service"},
		"  30002 ":                   {"Journey not running", "Message definition in a state that takes no messages"},
		"customobject NOTFOUND":      {"Data extension not found"},
		"Invalid Client":             {"Client ID not known", "Client secret wrong, or package disabled"},
		"AsyncRequestStatusNotFound": {"Status of a request not found"},
		"invalidemailaddress":        {"Email address not valid", "Address of a person missing or not valid"},
		"12014":                      {"Subscriber is on the list already"},
		"121226":                     {"Journey not valid"},
	} {
		found, err := answers.Explain(code)
		if diff := cmp.Diff(want, titles(found)); diff != "" || err != nil {
			t.Errorf("%q: %v %s", code, err, diff)
		}
	}
	for code, want := range map[string]string{
		"10066":  `no answer of Marketing Cloud with the code "10066" is known; similar ones are 10006, 10007, 10004, 10000, 10001; onramp explain lists them all`,
		"109126": `no answer of Marketing Cloud with the code "109126" is known; similar ones are 109106, 109121, 109122, 109116, 109120; onramp explain lists them all`,
		"qwerty": `no answer of Marketing Cloud with the code "qwerty" is known; onramp explain lists them all`,
		"...":    `no answer of Marketing Cloud with the code "..." is known; onramp explain lists them all`,
	} {
		found, err := answers.Explain(code)
		if found != nil || err == nil {
			t.Errorf("%q is known: %v", code, titles(found))
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Error(diff)
		}
	}
	all, err := answers.Explain("")
	if diff := cmp.Diff(titles(load(t)), titles(all)); diff != "" || err != nil {
		t.Errorf("without a code: %v %s", err, diff)
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, code int
		want         string
	}{
		{400, 10006, "10006"},
		{401, 0, "401"},
		{200, 2, "2"},
		{200, 0, ""}, // of somebody else, or a request that is not known: the status does not say
		{0, 0, ""},
		{418, 0, ""},
	} {
		if got := answers.CodeOf(c.status, c.code); got != c.want {
			t.Errorf("%d %d: %q, want %q", c.status, c.code, got, c.want)
		}
	}
}

// An entry that lacks something is a mistake, not an entry that says less.
func TestParse(t *testing.T) {
	t.Parallel()
	const entry = "# T\n\n## S\n\n### E\n\n- **Codes:** `1`, `a`\n- **Answer:** x\n- **Meaning:** x\n- **Whose turn:** admin, nobody\n" +
		"- **What to do:** x `y`\n- **Onramp:** `retry`: x\n- **Source:** reported\n\ntext\n"
	want := answers.List{{
		Title: "E", Section: "S", Codes: []string{"1", "a"}, Answer: "x", Meaning: "x", WhoseTurn: []string{"admin", "nobody"},
		WhatToDo: "x y", Outcome: "retry", Onramp: "retry: x", Source: "reported",
	}}
	got, err := answers.Parse(entry)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, line := range []string{"- **Meaning:** x\n", "- **Source:** reported\n"} {
		if got, err := answers.Parse(strings.Replace(entry, line, "", 1)); err == nil || got != nil {
			t.Errorf("without %q: %v", line, got)
		}
	}
}
