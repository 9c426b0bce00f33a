package config

import (
	"slices"

	"onramp/internal/onramp"
)

// asked reads how the hosted form asks for a field. The field's type, choices and default
// have been read.
func (r *reader) asked(f *onramp.Field, keys map[string]value) {
	if s, ok := r.word(keys["input"], "hidden", "radio", "select", "checkbox"); ok {
		f.Input = s
		if mistake := inputMistake(f); mistake != "" {
			r.report(keys["input"].position, "%s", mistake)
		}
	}
	f.Prefill = r.prefill(keys["prefill"], f.Name)
	f.ChoiceLabels = r.choiceLabels(keys["choice_labels"], f)
}

// inputMistake says what is wrong with asking for a field in the way that is set.
func inputMistake(f *onramp.Field) string {
	several := f.Type == onramp.Choices
	switch f.Input {
	case "radio":
		if f.Type != onramp.Choice && f.Type != onramp.Boolean {
			return "radio applies only to fields with type: choice or boolean"
		}
	case "select":
		if f.Type != onramp.Choice && f.Type != onramp.Boolean && !several {
			return "select applies only to fields with type: choice, choices or boolean"
		}
	case "checkbox":
		if f.Type != onramp.Boolean && !several {
			return "checkbox applies only to fields with type: boolean or choices"
		}
		if f.Type == onramp.Boolean && f.Default != nil && f.Default.Kind == onramp.True {
			return "a checkbox that is left unticked sends nothing, which would mean the default, true: use radio or select"
		}
	}
	return ""
}

// ownParameters are those of the hosted form's address that it reads itself.
var ownParameters = []string{"lang", "thanks", "meant"}

// prefill reads true, for a parameter with the field's name, or the name of one.
func (r *reader) prefill(v value, name string) string {
	s, ok := r.scalar(v)
	if !ok {
		return ""
	}
	parameter := s.text
	if on, ok := s.boolean(); ok {
		if parameter = name; !on {
			return ""
		}
	}
	if parameter == "" || slices.Contains(ownParameters, parameter) {
		r.report(s.position, "must be true or the name of a query parameter other than lang, thanks and meant")
		return ""
	}
	return parameter
}

// choiceLabels reads what the visitor reads in place of the choices.
func (r *reader) choiceLabels(v value, f *onramp.Field) map[string]onramp.Wording {
	if !v.isSet() {
		return nil
	}
	if f.Type != onramp.Choice && f.Type != onramp.Choices {
		r.report(v.position, "applies only to fields with choices")
		return nil
	}
	entries, _ := r.entries(v)
	labels := map[string]onramp.Wording{}
	for _, e := range entries {
		if len(f.Choices) > 0 && !slices.Contains(f.Choices, e.name) {
			r.report(e.position, "is not one of the choices")
			continue
		}
		if w := r.wording(e); w != nil {
			labels[e.name] = w
		}
	}
	return labels
}
