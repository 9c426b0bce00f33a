package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"onramp/internal/spelling"
)

// checkVariables reports the variables that look like those of settings and are
// none, since most of them are misspelt. An empty one counts as none.
func (r *reader) checkVariables(file string) {
	known := map[string]bool{variablePrefix + "CONFIG": true, variablePrefix + "BACKUP_PASSPHRASE": true} // see package cli
	var names []string
	for _, s := range settings() {
		known[s.variable()] = true
		names = append(names, strings.TrimPrefix(s.variable(), variablePrefix))
	}
	for _, name := range slices.Sorted(maps.Keys(r.environ)) {
		short, ours := strings.CutPrefix(name, variablePrefix)
		text := r.environ[name]
		if !ours || known[name] || text == "" || isForeign(name, text) || r.isReferred(name, file) {
			continue
		}
		message := "is not the variable of a setting; docs/reference/configuration.md says which settings have one"
		if meant := spelling.Closest(short, names); meant != "" {
			message = "is not the variable of a setting; did you mean " + variablePrefix + meant + "?"
		}
		r.report(position{path: name}, "%s", message)
	}
}

var (
	// Kubernetes describes each service to all pods of its namespace, in the form that
	// Docker's links have. A service may be called onramp, or onramp-admin.
	serviceVariable = regexp.MustCompile(`^ONRAMP(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR|START|END))?)$`)
	serviceURL      = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// isForeign says that a variable is not meant for the gateway: it describes a
// service, belongs to a link of Docker's, or controls our tests.
func isForeign(name, text string) bool {
	return serviceVariable.MatchString(name) ||
		strings.HasSuffix(name, "_PORT") && serviceURL.MatchString(text) ||
		strings.HasSuffix(name, "_NAME") && strings.HasPrefix(text, "/") ||
		strings.Contains(name, "_ENV_") ||
		strings.HasPrefix(name, variablePrefix+"TEST_")
}

// isReferred says that the file or a variable refers to a variable, so that its
// name may be any.
func (r *reader) isReferred(name, file string) bool {
	reference := "${env:" + name + "}"
	return strings.Contains(file, reference) ||
		slices.Contains(slices.Collect(maps.Values(r.environ)), reference)
}
