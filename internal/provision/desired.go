package provision

import (
	"onramp/internal/columns"
	"onramp/internal/onramp"
	"onramp/sfmc/metadata"
)

// Desired is the data extension that takes whatever a form sends to a step of its route:
// every column with type, length and whether it must have a value, so that no value that
// the form accepts is too long, but for numbers with more than 20 digits before the point
// or 9 behind it. ID and CategoryID are empty. Where the step is a journey, it is the one
// that the event is bound to: that of the form's data_extension step, or one of the
// event's own.
//
// A column is Required if it is part of the key, or of a field that is required; a column
// of the key that no field fills has the subscriber key. It is sendable if a column holds
// the subscriber key, which it then sends by.
func Desired(form *onramp.Form, step onramp.Destination) metadata.DataExtension {
	key := extensionKey(form, step)
	d := metadata.DataExtension{Key: key, Name: key, Description: "Registrations of the form " + form.Name}
	for i, c := range columns.Of(form, step) {
		c.Ordinal = i
		d.Fields = append(d.Fields, c.Field)
	}
	if d.SendableField = columns.Subscriber(form, step); d.SendableField != "" {
		d.Sendable, d.SubscriberField = true, "_SubscriberKey"
	}
	return d
}

// AllDesired are the data extensions that the forms need, each once, with columns that take
// what any step of any form sends. What only some of them send is not Required.
func AllDesired(forms []onramp.Form) []metadata.DataExtension {
	var p plan
	for i := range forms {
		for _, to := range forms[i].Route {
			if to.Kind == onramp.DataExtension || to.Kind == onramp.Journey {
				p.extension(&forms[i], to, extensionKey(&forms[i], to))
			}
		}
	}
	all := make([]metadata.DataExtension, len(p.extensions))
	for i, e := range p.extensions {
		all[i] = e.want
		for ordinal, c := range e.columns {
			c.Ordinal = ordinal
			all[i].Fields = append(all[i].Fields, c.Field)
		}
	}
	return all
}

// extensionKey is the key of the data extension for a step.
func extensionKey(form *onramp.Form, step onramp.Destination) string {
	if step.Kind == onramp.DataExtension {
		return step.Key
	}
	for _, d := range form.Route {
		if d.Kind == onramp.DataExtension {
			return d.Key
		}
	}
	return "onramp_" + form.Name
}
