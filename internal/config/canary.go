package config

import (
	"errors"
	"slices"
	"strings"

	"onramp/internal/onramp"
)

func setCanaryEmail(c *Config, s scalar) error {
	field := onramp.Field{Type: onramp.Email}
	address, err := field.Parse(onramp.Scalar{Kind: onramp.String, Text: s.text})
	if err != nil {
		return errors.New("must be an email address that gets mail also with +TAG before the @")
	}
	c.Watch.Canary.Email = address.Text
	return nil
}

// checkCanary refuses the name of a form that there is not.
func (r *reader) checkCanary(c *Config) {
	at, given := r.given["watch.canary_form"]
	named := func(f onramp.Form) bool { return f.Name == c.Watch.Canary.Form }
	if !given || r.blamed("forms") || slices.ContainsFunc(c.Forms, named) {
		return
	}
	var names []string
	for _, f := range c.Forms {
		names = append(names, f.Name)
	}
	r.report(at, "there is no such form: use %s", strings.Join(names, ", "))
}
