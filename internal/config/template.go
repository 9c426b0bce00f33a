package config

import (
	_ "embed"
	"strings"
)

//go:embed onramp.yaml
var template string

// Template returns what onramp init writes: a configuration for a website's
// registration form with every key explained. It is valid as soon as the
// variables SFMC_CLIENT_ID and SFMC_CLIENT_SECRET are set.
func Template() []byte { return []byte(template) }

// RegistrationFields returns the fields of the template's form, which is that of
// the specification: the lines below the key fields, indented as the template is.
func RegistrationFields() string {
	_, fields, _ := strings.Cut(template, "\n    fields:\n")
	fields, _, _ = strings.Cut(fields, "\n\n")
	return fields + "\n"
}
