package config

import (
	"slices"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/screen"
)

// longestOnce is how long equal submissions are surely remembered.
const longestOnce = 24 * time.Hour

// once reads what makes several submissions one registration.
func (r *reader) once(f *onramp.Form, keys map[string]value, set fieldSet) {
	if s, ok := r.scalar(keys["idempotency_field"]); ok {
		f.IdempotencyField = r.keyField(s, set)
	}
	s, ok := r.scalar(keys["once_per"])
	if !ok {
		return
	}
	err := setDuration(&f.OncePer, s)
	hasEmail := func(f onramp.Field) bool { return f.From == onramp.Submitted && f.Type == onramp.Email }
	switch {
	case err != nil:
		r.report(s.position, "%v", err)
	case f.OncePer < time.Second || f.OncePer > longestOnce:
		r.report(s.position, "must be from 1s to 24h")
	case f.SubscriberKey.From == onramp.KeyUUID && set.complete() && !slices.ContainsFunc(set.fields, hasEmail):
		r.report(s.position, "has no effect: without a field with type: email, subscriber_key: uuid makes every submission another person's")
	}
}

// keyField reads the name of the input that holds a submission's key.
func (r *reader) keyField(s scalar, set fieldSet) string {
	at := slices.IndexFunc(set.fields, func(f onramp.Field) bool { return f.Name == s.text })
	switch {
	case s.text == "":
		r.report(s.position, "is empty: set it to the name of the input that holds the key, or remove it")
	case at < 0 && slices.Contains(reservedInputs, s.text):
		r.report(s.position, "%s is a name that Onramp's own pages use: choose another one", s.quoted())
	case at >= 0 && slices.Contains(keyless, set.fields[at].Type):
		r.report(s.position, "a field of type %s can't be the key: use one whose values are all different, or a name that no field has", set.fields[at].Type)
	}
	return s.text
}

// keyless are the types with too few values for a key.
var keyless = []onramp.FieldType{onramp.Boolean, onramp.Choice}

// reservedInputs are the inputs that the hosted form, the embed and browsers send along.
var reservedInputs = []string{onramp.OnceInput, "_page", "_referrer", "_landing_page", "_charset_", screen.TimeInput, screen.ProofInput}
