package config

import _ "embed"

//go:embed onramp.yaml
var template string

// Template returns what onramp init writes: a configuration for a website's
// registration form with every key explained. It is valid as soon as the
// variables SFMC_CLIENT_ID and SFMC_CLIENT_SECRET are set.
func Template() []byte { return []byte(template) }
