package metadata

import (
	"net/http"
	"strconv"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// userinfo answers GET /v2/userinfo: who the token is and what it may do.
// Vendor page getUserInfo. It needs no scope.
func (s *Service) userinfo(c *call) (wire.Answer, error) {
	member, scopes := c.unit.Number(), s.host.Scopes(c.Call)
	zone := map[string]any{
		"longName": zoneName, "shortName": "CST", "offset": -6.0, "dst": false,
	}
	return wire.JSON(http.StatusOK, map[string]any{
		"exp": c.Token.Expires.Unix(),
		"iss": s.host.Address(c.Request, "auth"),
		"user": map[string]any{
			"sub": strconv.Itoa(account.UserID), "name": "Sandbox API User", "preferred_username": userName,
			"email": "sandbox@example.org", "locale": "en-US", "zoneinfo": "America/Mexico_City", "timezone": zone,
		},
		"organization": map[string]any{
			"member_id": member, "enterprise_id": account.Enterprise, "enterprise_name": "Sandbox",
			"account_type": "Enterprise 2.0", "stack_key": "S0", "region": "NA1", "locale": "en-US",
			"zoneinfo": "America/Mexico_City", "timezone": zone,
		},
		"rest": map[string]any{"rest_instance_url": s.host.Address(c.Request, "rest") + "/", "soap_instance_url": s.host.Address(c.Request, "soap") + "/"},
		"application": map[string]any{
			"id": "b8a1c7d2-3e4f-4a5b-8c6d-0f5100000002", "name": "Onramp Sandbox", "redirectUrl": []string{}, "appScopes": scopes,
		},
		"permissions": permissions(),
	}), nil
}

// permissions are those of the package that the product's calls need. Their
// ids are the vendor's, page "REST API Permission IDs and Scopes".
// Undocumented: the names of the fields beside objectTypeName.
func permissions() []map[string]any {
	return []map[string]any{
		{"objectTypeName": "DataExtension", "operationName": "Write", "name": "Data Extensions | Write", "id": 98},
		{"objectTypeName": "Interactions", "operationName": "Read", "name": "Journeys | Read", "id": 1220},
		{"objectTypeName": "Subscribers", "operationName": "Read", "name": "List and Subscribers | Read", "id": 1018},
	}
}

// tokenContext answers GET /platform/v1/tokenContext, vendor page
// getTokenContext. It needs no scope.
func tokenContext(c *call) (wire.Answer, error) {
	member := c.unit.Number()
	id := func(n int) map[string]int { return map[string]int{"id": n} }
	return wire.JSON(http.StatusOK, map[string]any{
		"enterprise": id(account.Enterprise), "organization": id(member), "user": id(account.UserID),
	}), nil
}

// instance is one host of the account.
type instance struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// instances are the account's hosts. All of them are this sandbox; the file
// transfer host is named but not served.
func (s *Service) instances(r *http.Request) []instance {
	return []instance{{"ftp", "ftp://" + r.Host}, {"rest", s.host.Address(r, "rest")}, {"soap", s.host.Address(r, "soap") + "/Service.asmx"}}
}

// endpoints answers GET /platform/v1/endpoints, vendor page getEndpoints.
func (s *Service) endpoints(c *wire.Call) (wire.Answer, error) {
	items := s.instances(c.Request)
	return wire.JSON(http.StatusOK, map[string]any{
		"page": 1, "pageSize": len(items), "count": len(items), "items": items,
	}), nil
}

// endpoint answers GET /platform/v1/endpoints/{type}, vendor page
// getEndpointByType.
func (s *Service) endpoint(c *wire.Call) (wire.Answer, error) {
	kind := c.Param("type")
	for _, item := range s.instances(c.Request) {
		if item.Type == kind {
			return wire.JSON(http.StatusOK, item), nil
		}
	}
	return wire.Answer{}, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "No endpoint exists for key '%s'.", kind)
}
