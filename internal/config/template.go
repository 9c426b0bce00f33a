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

// FormText is a form for a data extension that exists, and the account with it. The texts
// are scalars of YAML as they are written.
type FormText struct {
	Name, SubscriberKey string
	Fields              []string // each as a mapping of YAML
	Key, KeyColumn      string   // of the data extension
	Account             MarketingCloud
}

// TemplateFor is Template with another form in place of the registration's, and with the
// address and business unit of the account; credentials stay references.
func TemplateFor(tokenFile string, f FormText) []byte {
	pairs := []string{
		"\n  registration:\n", "\n  " + f.Name + ":\n",
		"/v1/forms/registration/registrations", "/v1/forms/" + f.Name + "/registrations",
		"/f/registration", "/f/" + f.Name,
		"    subscriber_key: email\n", "    subscriber_key: " + f.SubscriberKey + "\n",
		RegistrationFields(), "      - " + strings.Join(f.Fields, "\n      - ") + "\n",
		" key: Web_Registrations ", " key: " + f.Key + " ",
		"          key_column: SubscriberKey ", "          key_column: " + f.KeyColumn + " ",
	}
	if f.Account.AuthURL != "" {
		pairs = append(pairs, "  subdomain: "+placeholder, "  # subdomain: "+placeholder, "  # auth_url: http://127.0.0.1:8090 ", "  auth_url: "+strconv.Quote(f.Account.AuthURL)+" ")
	} else {
		pairs = append(pairs, "  subdomain: "+placeholder, "  subdomain: "+f.Account.Subdomain)
	}
	if f.Account.AccountID != "" {
		pairs = append(pairs, `  # account_id: "510000001" `, "  account_id: "+strconv.Quote(f.Account.AccountID)+" ")
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(Template(tokenFile))))
}

// RegistrationFields returns the fields of the template's form, which is that of
// the specification: the lines below the key fields, indented as the template is.
func RegistrationFields() string {
	_, fields, _ := strings.Cut(template, "\n    fields:\n")
	fields, _, _ = strings.Cut(fields, "\n\n")
	return fields + "\n"
}
