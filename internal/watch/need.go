package watch

import (
	"strings"

	"onramp/internal/columns"
	"onramp/internal/onramp"
)

// needs are the columns that the forms send to a data extension, by their names in lower
// case.
func (c *Config) needs(to onramp.Destination) map[string]*columns.Column {
	var all []columns.Column
	for _, form := range c.Forms {
		for _, step := range form.Route {
			if step.Name() == to.Name() {
				all = columns.Join(all, columns.Of(form, step))
			}
		}
	}
	byName := make(map[string]*columns.Column, len(all))
	for i := range all {
		byName[strings.ToLower(all[i].Name)] = &all[i]
	}
	return byName
}
