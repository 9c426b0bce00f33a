package operator

import (
	"maps"
	"slices"

	"onramp/internal/ignored"
	"onramp/internal/onramp"
	"onramp/internal/spelling"
)

// FormStatus is what came with a form since the start that is no field of it, and was
// ignored: the most frequent names.
type FormStatus struct {
	Name    string         `json:"name"`
	Ignored []IgnoredField `json:"ignored"`          // first those that may be misspelt, then by count
	Others  int64          `json:"others,omitempty"` // how often there were other names
}

// IgnoredField is one name that came with a form.
type IgnoredField struct {
	Field      string `json:"field"`
	Count      int64  `json:"count"`
	DidYouMean string `json:"did_you_mean,omitempty"` // a field of the form whose name is close
}

// ignoredFields lists the forms for which something was ignored.
func (d *Desk) ignoredFields() (forms []FormStatus) {
	for _, name := range slices.Sorted(maps.Keys(d.Forms)) {
		names, others := d.Ignored.List(name)
		form := FormStatus{Name: name, Others: others}
		fields := fieldNames(d.Forms[name])
		for _, n := range names {
			if slices.Contains(fields, n.Name) {
				continue // from before the configuration had it
			}
			one := IgnoredField{Field: n.Name, Count: n.Count}
			if !ignored.IsCompanion(n.Name) {
				one.DidYouMean = spelling.Closest(n.Name, fields)
			}
			form.Ignored = append(form.Ignored, one)
		}
		if len(form.Ignored) > 0 {
			slices.SortStableFunc(form.Ignored, func(a, b IgnoredField) int { return misspelt(b) - misspelt(a) })
			forms = append(forms, form)
		}
	}
	return forms
}

func misspelt(f IgnoredField) int { return min(len(f.DidYouMean), 1) }

func fieldNames(f *onramp.Form) (names []string) {
	for i := range f.Fields {
		if f.Fields[i].Name != "" {
			names = append(names, f.Fields[i].Name)
		}
	}
	return names
}
