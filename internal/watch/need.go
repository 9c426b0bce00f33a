package watch

import (
	"strings"

	"onramp/internal/columns"
	"onramp/internal/onramp"
)

// needs are the columns that the forms send to a data extension, by their names in lower
// case.
func (c *Config) needs(to onramp.Destination) map[string]*columns.Column {
	all := map[string]*columns.Column{}
	for _, form := range c.Forms {
		for _, step := range form.Route {
			if step.Name() == to.Name() {
				addNeeds(all, columns.Of(form, step))
			}
		}
	}
	return all
}

func addNeeds(all map[string]*columns.Column, sent []columns.Column) {
	for i := range sent {
		name := strings.ToLower(sent[i].Name)
		if known := all[name]; known != nil {
			known.Merge(&sent[i])
		} else {
			all[name] = &sent[i]
		}
	}
}
