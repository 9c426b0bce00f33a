package sandbox

import "net/http"

// userinfo answers GET /v2/userinfo: who the token is and what it may do.
// Vendor page getUserInfo. It needs no scope.
func (s *Sandbox) userinfo(c *call) (answer, error) {
	base := origin(c.request)
	zone := map[string]any{
		"longName": "(GMT-06:00) Central Time (No Daylight Saving)", "shortName": "CST", "offset": -6.0, "dst": false,
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"exp": c.token.expires.Unix(),
		"iss": base,
		"user": map[string]any{
			"sub": "510000777", "name": "Sandbox API User", "preferred_username": "sandbox-api-user",
			"email": "sandbox@example.org", "locale": "en-US", "zoneinfo": "America/Mexico_City", "timezone": zone,
		},
		"organization": map[string]any{
			"member_id": memberNumber, "enterprise_id": memberNumber, "enterprise_name": organizationName,
			"account_type": "Enterprise 2.0", "stack_key": stackKey, "region": "NA1", "locale": "en-US",
			"zoneinfo": "America/Mexico_City", "timezone": zone,
		},
		"rest": map[string]any{"rest_instance_url": base + "/", "soap_instance_url": base + "/"},
		"application": map[string]any{
			"id": packageID, "name": "Onramp Sandbox", "redirectUrl": []string{}, "appScopes": packageScopes(),
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
func (s *Sandbox) tokenContext(*call) (answer, error) {
	id := func(n int) map[string]int { return map[string]int{"id": n} }
	return jsonAnswer(http.StatusOK, map[string]any{
		"enterprise": id(memberNumber), "organization": id(memberNumber), "user": id(userNumber),
	}), nil
}

// instance is one host of the account.
type instance struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// instances are the account's hosts. All of them are this sandbox; the file
// transfer host is named but not served.
func instances(r *http.Request) []instance {
	base := origin(r)
	return []instance{{"ftp", "ftp://" + r.Host}, {"rest", base}, {"soap", base + "/Service.asmx"}}
}

// endpoints answers GET /platform/v1/endpoints, vendor page getEndpoints.
func (s *Sandbox) endpoints(c *call) (answer, error) {
	items := instances(c.request)
	return jsonAnswer(http.StatusOK, map[string]any{
		"page": 1, "pageSize": len(items), "count": len(items), "items": items,
	}), nil
}

// endpoint answers GET /platform/v1/endpoints/{type}, vendor page
// getEndpointByType.
func (s *Sandbox) endpoint(c *call) (answer, error) {
	kind := c.param("type")
	for _, item := range instances(c.request) {
		if item.Type == kind {
			return jsonAnswer(http.StatusOK, item), nil
		}
	}
	return answer{}, failuref(http.StatusNotFound, codeNotFound, "No endpoint exists for key '%s'.", kind)
}
