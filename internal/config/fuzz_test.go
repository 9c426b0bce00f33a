package config_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/onramp"
)

// Whatever the file says, Parse gives a configuration whose forms work or an
// error whose problems can be found, and twice the same.
func FuzzParse(f *testing.F) {
	f.Add(string(config.Template("")))
	f.Add(strings.Replace(example, "file:TOKEN", "env:A", 1))
	f.Add(everyKey)
	f.Add(shortAccount + shortForms)
	f.Add("a: &a [*a]\nforms: &f { a: *f, b: { fields: *f, route: [*f] } }\n")
	for _, list := range [][]wrong{
		wrongYAML(), wrongSettings(), wrongValues(), wrongForms(), wrongFields(), wrongTypes(), wrongRoutes(),
		wrongOAuth(), wrongCallbacks(), wrongTypesOfEvents(), wrongSinks(), wrongRules(), wrongOnce(),
	} {
		for _, w := range list {
			f.Add(shortAccount + w.file)
		}
	}
	environ := append(exampleEnviron(), "A=a", "NEWS=on")
	f.Fuzz(func(t *testing.T, data string) {
		if strings.Contains(data, "${file:") {
			t.Skip("a test reads no file that chance names")
		}
		c, err := config.Parse("f", []byte(data), environ)
		if (c == nil) == (err == nil) {
			t.Fatalf("got the configuration %v and the error %v, want one of them", c, err)
		}
		_, again := config.Parse("f", []byte(data), environ)
		if diff := cmp.Diff(problems(t, err), problems(t, again)); diff != "" {
			t.Errorf("the second time there are other problems:\n%s", diff)
		}
		if err != nil {
			checkProblems(t, data, err)
			return
		}
		for _, rule := range slices.Concat(rulesOf(c)...) {
			if !json.Valid(rule.Value) || rule.Type == "" || rule.Column == "" {
				t.Errorf("got the rule %+v, want a type, a column and a value in JSON", rule)
			}
		}
		for _, form := range c.Forms {
			// that it answers is enough: nothing that it needs is missing
			_, _ = onramp.NewForm(form, "secret").Accept(onramp.Submission{
				ReceivedAt: time.Unix(0, 0),
				Inputs:     []onramp.Input{{Name: form.Fields[0].Name, Value: onramp.Scalar{Kind: onramp.Posted, Text: "a@example.com"}}},
			})
		}
	})
}

func checkProblems(t *testing.T, data string, err error) {
	lines := 2 // the first, and the end of the file
	for _, r := range data {
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
			lines++ // as YAML 1.1 counts
		}
	}
	list := problems(t, err)
	if shown := strings.Count(err.Error(), "\n") + 1; len(list) == 0 || shown != len(list) {
		t.Errorf("%d problems in %d lines, want at least one, and as many lines:\n%v", len(list), shown, err)
	}
	last := 1
	for _, p := range list {
		if p.Message == "" || p.Line < last || p.Line > lines {
			t.Errorf("got %+v after line %d, want a message and a line of the file", p, last)
		}
		last = p.Line
	}
}

func rulesOf(c *config.Config) [][]onramp.EventRule {
	var all [][]onramp.EventRule
	for _, form := range c.Forms {
		all = append(all, form.OnEvent)
	}
	return all
}
