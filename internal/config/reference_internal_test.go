package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"onramp/internal/setting"
)

// Each key with a single value has a variable, and the defaults that the reference gives are
// those that hold.
func TestReference(t *testing.T) {
	t.Parallel()
	var described []string
	defaults := map[string]string{}
	for _, s := range setting.Sections() {
		for _, k := range s.Keys {
			if path := s.In(k.Name); s.IsSingle() && !k.Several {
				described = append(described, path)
				defaults[path] = k.Default
			}
		}
	}
	var read []string
	for _, s := range settings() {
		read = append(read, s.path)
	}
	slices.Sort(described)
	slices.Sort(read)
	if diff := cmp.Diff(read, described); diff != "" {
		t.Fatalf("settings that are read (-), and described (+):\n%s", diff)
	}
	c := &Config{}
	for _, s := range settings() {
		if text := defaults[s.path]; text != "" {
			if err := s.set(c, scalar{text: text}); err != nil {
				t.Errorf("%s: the default %s %v", s.path, text, err)
			}
		}
	}
	if diff := cmp.Diff(Default(), c); diff != "" {
		t.Errorf("what holds without a file (-), and with the defaults of the reference (+):\n%s", diff)
	}
}

// listed has everything whose keys have defaults in the reference, though not the keys themselves.
const listed = `
public: { url: https://signup.example.com }
encryption_key: x
marketing_cloud: { auth_url: "http://127.0.0.1:8090", client_id: a, client_secret: b }
oauth: { clients: [{ id: mc-ens, secret: only-for-a-test-of-defaults }] }
forms:
  registration:
    fields:
      - { name: first_name, column: FirstName }
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: topics, column: Topics, type: choices, choices: [a, b] }
    route:
      - data_extension: { key: Web_Registrations }
      - journey: { event_definition_key: APIEvent-welcome }
  confirmed:
    double_opt_in: { journey: { event_definition_key: APIEvent-confirm }, limits: { per_form: 5000 } }
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
    route:
      - data_extension: { key: Web_Registrations }
ens:
  callbacks:
    events: { subscribe: [TransactionalSendEvents.EmailSent] }
    more: { subscriptions: [{ name: all, types: [TransactionalSendEvents.EmailBounced] }] }
sinks: [{ name: lake, kafka: { brokers: ["kafka:9092"], topic: t } }]
`

// The defaults of keys in lists and forms are what holds without them, too.
func TestReferenceOfLists(t *testing.T) {
	t.Parallel()
	without, err := Parse("without", []byte(listed), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range setting.Sections() {
		for _, k := range s.Keys {
			if s.IsSingle() || k.Default == "" {
				continue
			}
			n++
			var root, value any
			if err := yaml.Unmarshal([]byte(listed), &root); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(k.Default), &value); err != nil {
				t.Fatal(err)
			}
			place(root, strings.Split(s.Path, "."), k.Name)[k.Name] = value
			text, err := yaml.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			if with, err := Parse("with", text, nil); err != nil {
				t.Errorf("%s: %v", s.In(k.Name), err)
			} else if diff := cmp.Diff(without, with, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("%s: %s is not what holds without it (-without +with):\n%s", s.In(k.Name), k.Default, diff)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d defaults were found", n)
	}
}

// place finds where the keys of a section stand: of several things that have names, or are in a
// list, in the first, or the one that has what comes next; the separator needs a field with choices.
func place(node any, path []string, key string) map[string]any {
	for i, step := range path {
		keys := node.(map[string]any)
		name, isList := strings.CutSuffix(step, "[]")
		var all []any
		switch {
		case name == "NAME":
			for _, name := range slices.Sorted(maps.Keys(keys)) {
				all = append(all, keys[name])
			}
		case isList:
			all = keys[name].([]any)
		default:
			all = []any{keys[name]}
		}
		node = all[0]
		for _, one := range all[1:] {
			keys := one.(map[string]any)
			if i+1 < len(path) && keys[strings.TrimSuffix(path[i+1], "[]")] != nil || key == "separator" && keys["choices"] != nil {
				node = one
			}
		}
	}
	return node.(map[string]any)
}
