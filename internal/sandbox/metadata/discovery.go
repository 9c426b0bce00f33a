package metadata

import (
	"net/http"
	"strings"

	"onramp/internal/sandbox/wire"
)

// sections are the parts of the REST API that tell what routes they have. Known from a
// tenant or from a program that reads all of them.
func sections() []string {
	return []string{
		"address", "asset", "automation", "contacts", "data", "device", "email", "guide", "hub", "interaction", "interaction-experimental", "legacy",
		"messaging", "messaging-experimental", "ott", "platform", "provisioning", "push", "sms",
	}
}

// discoveryRoutes tell what there is, and need no scope.
func (s *Service) discoveryRoutes() []wire.Route {
	list := []wire.Route{
		{Method: "GET", Pattern: "/v2/userinfo", Handle: s.locked(s.userinfo)},
		{Method: "GET", Pattern: "/platform/v1/tokenContext", Handle: s.locked(tokenContext)},
		{Method: "GET", Pattern: "/platform/v1/endpoints", Handle: s.endpoints},
		{Method: "GET", Pattern: "/platform/v1/endpoints/{type}", Handle: s.endpoint},
		{Method: "GET", Pattern: "/v2/discovery", Open: true, Handle: s.discover},
		{Method: "POST", Pattern: "/v1/requestToken", Open: true, Handle: refuseLegacyToken},
	}
	for _, section := range sections() {
		list = append(list, wire.Route{Method: "GET", Pattern: "/" + section + "/v1/rest", Handle: func(*wire.Call) (wire.Answer, error) { return s.index(section), nil }})
	}
	for _, section := range []string{"ott", "platform"} { // which have no routes of this kind here
		list = append(list, wire.Route{Method: "GET", Pattern: "/" + section + "/v1/rest/experimental", Handle: func(*wire.Call) (wire.Answer, error) { return s.index(section + "/experimental"), nil }})
	}
	return list
}

// discover answers GET /v2/discovery?client_id=…&resource=acct:USER, vendor page
// getDiscovery: the addresses of the account. Undocumented: the refusals; the user is not
// looked at, since the sandbox has one.
func (s *Service) discover(c *wire.Call) (wire.Answer, error) {
	query := c.Request.URL.Query()
	subject := query.Get("resource")
	switch {
	case query.Get("client_id") == "":
		return wire.Answer{}, missing("client_id")
	case subject == "":
		return wire.Answer{}, missing("resource")
	case !strings.HasPrefix(subject, "acct:"):
		return wire.Answer{}, invalid("resource", "must be acct:USERNAME")
	}
	type link struct {
		Rel  string `json:"rel"`
		Href string `json:"href"`
	}
	return wire.JSON(http.StatusOK, map[string]any{"subject": subject, "links": []link{
		{"auth_instance_url", s.host.Address(c.Request, "auth")}, {"rest_instance_url", s.host.Address(c.Request, "rest")},
	}}), nil
}

// refuseLegacyToken answers POST /v1/requestToken as it is for packages of today: with the
// reported words. Undocumented: the status.
func refuseLegacyToken(*wire.Call) (wire.Answer, error) {
	return wire.Answer{}, wire.Failuref(http.StatusForbidden, codeNotLegacy, "This integration is not eligible to use the legacy /v1/requestToken endpoint because "+
		"the integration uses enhanced OAuth 2.0 functionality. To obtain a token for this integration, use the applicable Marketing Cloud OAuth 2.0 endpoint "+
		"for authentication. For a web or public app, use /v2/authorize and then /v2/token. For a server-to-server integration, use /v2/token.")
}

const codeNotLegacy = 10007

// method is one route in an index.
type method struct {
	ID         string `json:"id"`
	Path       string `json:"path"`
	HTTPMethod string `json:"httpMethod"`
}

// index answers GET /{section}/v1/rest with the routes of a section. Known from a tenant: it
// is a discovery document, in data one with methods alone; paths are relative to
// the section. Undocumented: the names of the methods.
func (s *Service) index(section string) wire.Answer {
	prefix := "/" + section + "/v1/"
	methods := map[string]method{}
	for _, r := range s.host.Routes() {
		path, ours := strings.CutPrefix(r.Pattern, prefix)
		if !ours || path == "rest" {
			continue
		}
		name := methodName(r.Method, path)
		methods[name] = method{ID: name, Path: path, HTTPMethod: r.Method}
	}
	if section == "data" {
		return wire.JSON(http.StatusOK, map[string]any{"methods": methods})
	}
	return wire.JSON(http.StatusOK, map[string]any{
		"kind": "discovery#restDescription", "discoveryVersion": "v1", "id": section + ":v1", "name": section, "version": "v1",
		"basePath": prefix, "protocol": "rest", "methods": methods,
	})
}

// methodName is a name that no other method of the section has: GET a/{b}/c is
// getAByBC.
func methodName(verb, path string) string {
	name := strings.ToLower(verb)
	for _, word := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '-' }) {
		if strings.HasPrefix(word, "{") {
			name, word = name+"By", strings.Trim(word, "{}")
		}
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name
}
