package config

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed onramp.yaml
var template string

// Template returns what onramp init writes: a configuration for a website's
// registration form with every key explained. It is valid as soon as it has a
// subdomain and the variables SFMC_CLIENT_ID and SFMC_CLIENT_SECRET are set.
// tokenFile is the absolute path of the file with the admin token; "" for none.
func Template(tokenFile string) []byte {
	if tokenFile == "" {
		return []byte(template)
	}
	line := "token: " + strconv.Quote("${file:"+tokenFile+"}")
	return []byte(strings.Replace(template, tokenExample, line, 1))
}

// tokenExample is what stands in the template where no token was made.
const tokenExample = `# token: "${file:/run/secrets/onramp-admin}"  `

// RegistrationFields returns the fields of the template's form, which is that of
// the specification: the lines below the key fields, indented as the template is.
func RegistrationFields() string {
	_, fields, _ := strings.Cut(template, "\n    fields:\n")
	fields, _, _ = strings.Cut(fields, "\n\n")
	return fields + "\n"
}
