package config

import (
	"errors"
	"strconv"

	"onramp/internal/onramp"
)

// setCollector reads an address that the log shows when it fails: it may hold no secret.
func setCollector(c *Config, s scalar) error {
	u, ok := onramp.ParseWebURL(s.text)
	switch {
	case !ok || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must be the absolute http or https URL of a collector that takes OTLP over HTTP, such as http://localhost:4318")
	case u.User != nil:
		return errors.New("must not contain a user or a password: send them in a header, such as headers: { Authorization: … }")
	}
	c.Tracing.Endpoint = s.text
	return nil
}

func setSample(c *Config, s scalar) error {
	share, err := strconv.ParseFloat(s.text, 64)
	if err != nil || s.tag == "!!str" || !(share > 0 && share <= 1) {
		return errors.New("must be a number above 0 and up to 1, without quotes: the share of traces that are recorded")
	}
	c.Tracing.Sample = share
	return nil
}
