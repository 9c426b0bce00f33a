package config

import (
	"maps"
	"net/url"
	"reflect"
	"slices"

	"onramp/internal/onramp"
)

// LiteralSecrets lists the paths of the values in a file that are secrets and stand
// there themselves, and not as references: whoever can read the file has them.
func LiteralSecrets(file string, environ []string) ([]string, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	r := newReader(environ)
	c := r.parse(data)
	found := map[string]bool{}
	note := func(secret string) { found[r.literals[secret]] = true }
	eachSecret(reflect.ValueOf(c), note)
	if u, err := url.Parse(c.Database); err == nil && u.User != nil {
		note(c.Database)
	}
	delete(found, "")
	return slices.Sorted(maps.Keys(found)), nil
}

// eachSecret finds the secrets in a value, wherever it has them.
func eachSecret(v reflect.Value, found func(string)) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[onramp.Secret]() && v.Len() > 0 {
			found(v.String())
		}
	case reflect.Pointer:
		if !v.IsNil() {
			eachSecret(v.Elem(), found)
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() {
				eachSecret(value, found)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachSecret(v.Index(i), found)
		}
	case reflect.Map:
		for _, value := range v.Seq2() {
			eachSecret(value, found)
		}
	}
}
