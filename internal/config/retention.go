package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"onramp/internal/retention"
	"onramp/internal/setting"
)

const (
	// leastKept is how long everything is kept at least: keys of requests stand for what was
	// stored for a day, and late calls are waited for.
	leastKept = 24 * time.Hour
	// leastEvents is more than the seven days for which Marketing Cloud sends events again.
	leastEvents = 8 * 24 * time.Hour
	mostKept    = 100 * 366 * 24 * time.Hour
)

// setPeriod reads how long something is kept.
func setPeriod(to *time.Duration, s scalar, least time.Duration) error {
	if s.text == "off" {
		*to = 0
		return nil
	}
	d, ok := parsePeriod(s.text)
	if !ok || d < least || d > mostKept {
		return fmt.Errorf("must be %s or longer, such as 30d, or off: for ever", retention.Period(least))
	}
	*to = d
	return nil
}

// parsePeriod reads a number of days, or a duration with its units.
func parsePeriod(text string) (time.Duration, bool) {
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// policyPeriod is the period with a name in a policy.
func policyPeriod(p *retention.Policy, name string) *time.Duration {
	return map[string]*time.Duration{
		"delivered": &p.Delivered, "dead": &p.Dead, "unknown": &p.Unknown, "discarded": &p.Discarded, "held": &p.Held,
	}[name]
}

// retentionSettings are the periods at the top of the file.
func retentionSettings() (all []single) {
	for _, name := range setting.FormRetention().Names() {
		all = append(all, single{"retention." + name, func(c *Config, s scalar) error {
			return setPeriod(policyPeriod(&c.Retention.Policy, name), s, leastKept)
		}})
	}
	return append(all,
		single{"retention.events", func(c *Config, s scalar) error { return setPeriod(&c.Retention.Events, s, leastEvents) }},
		single{"retention.attempts", func(c *Config, s scalar) error { return setPeriod(&c.Retention.Attempts, s, leastKept) }})
}

// retention reads the periods of a form that has some of its own: what it leaves out is as
// at the top.
func (r *reader) retention(form string, v value) {
	keys, ok := r.mapping(v, setting.FormRetention().Names()...)
	if !ok || !v.isSet() {
		return
	}
	own := r.kept.Policy
	for _, name := range setting.FormRetention().Names() {
		s, ok := r.scalar(keys[name])
		if !ok {
			continue
		}
		if err := setPeriod(policyPeriod(&own, name), s, leastKept); err != nil {
			r.report(s.position, "%v", err)
		}
	}
	if r.kept.Forms == nil {
		r.kept.Forms = map[string]retention.Policy{}
	}
	r.kept.Forms[form] = own
}
