package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// others are the routes that no OpenAPI document has, and what each one is for.
func others() map[string]string {
	return map[string]string{
		"GET /openapi.json":                           "public: the routes above for the forms as they are configured, as OpenAPI 3.1",
		"GET /f/{form}":                               "public: the [hosted form](../forms.md#the-hosted-form), a page",
		"GET /f/{form}/colors.css":                    "public: the colours of the hosted form",
		"GET /f/style.css":                            "public: the style of hosted forms",
		"GET /confirm/{token}":                        "public: the page of a confirmation's link, see [Double opt-in](../double-opt-in.md)",
		"POST /confirm/{token}":                       "public: what it posts",
		"GET /f/confirm.js":                           "public: the script of that page",
		"GET /f/form.js":                              "public: the script of hosted forms",
		"GET /embed/{script}":                         "public: `/embed/FORM.js`, the script that puts the form [into any page](../forms.md#the-embedded-form)",
		"POST /oauth2/token":                          "public: the token endpoint for Marketing Cloud (RFC 6749): `client_credentials` and `password`",
		"GET /.well-known/oauth-authorization-server": "public: the metadata of the token endpoint (RFC 8414)",
		"POST /ens/{callback}":                        "public: a [callback](../events.md), for batches of events",
		"GET /healthz":                                "public: 200 while registrations can be taken, else 503, for load balancers. admin: 200 as long as the process answers at all",
		"GET /metrics":                                "admin: the [metrics](../metrics.md) for Prometheus; this machine needs no token",
		"GET /readyz":                                 "admin: `{\"ready\":true}`, or 503 with the reason why no registrations can be taken",
	}
}

const (
	apiHead = "What a gateway answers. The [public API](#public-api) is for sites and Marketing Cloud, on the public listener; the " +
		"[admin API](#admin-api) is for operators, on the admin listener. Errors are [problem documents](#problem). " +
		"[forms.md](../forms.md) has examples in several languages."

	adminHead = "On the admin listener, with `Authorization: Bearer` and `admin.token`; the demo's is open on loopback. The commands `onramp registrations`, " +
		"`deliveries`, `destinations`, `events` and `ens` use it, too. [admin-api.md](../admin-api.md) says how lists, waiting and tries work."

	errorsHead = "Errors are the same on both listeners: 400 the body or a parameter can't be parsed, 401 the token is missing or wrong, 403 not allowed from there, 404 there is no such thing, " +
		"409 its state forbids it, 413 too large, 415 the content type is not supported, 422 fields are wrong, 429 too many wrong tokens, or too much was sent, 503 try again after `Retry-After`."
)

// routes writes the page of both listeners.
func routes(root string) (string, error) {
	var b strings.Builder
	b.WriteString(head("API", apiHead+"\n\n"+errorsHead))
	document, err := openAPI()
	if err != nil {
		return "", err
	}
	b.WriteString("\n## Public API\n")
	document.write(&b)
	b.WriteString("\n### Other routes\n")
	more, err := otherRoutes(root, document)
	if err != nil {
		return "", err
	}
	table(&b, []string{"route", "on which listener, and what for"}, more)
	b.WriteString("\n## Admin API\n\n" + adminHead + "\n")
	err = writeAdmin(&b, root)
	return b.String(), err
}

// otherRoutes are the rows of others. The error names routes that are in the code and are
// described nowhere, or the other way round.
func otherRoutes(root string, document *openAPIDocument) ([][]string, error) {
	found, err := patterns(root)
	if err != nil {
		return nil, err
	}
	known := others()
	var wrong []string
	for _, p := range found {
		if known[p] == "" && !document.has(p) && !strings.HasPrefix(p, "OPTIONS ") {
			wrong = append(wrong, p+" is not described")
		}
	}
	var rows [][]string
	for _, p := range slices.Sorted(maps.Keys(known)) {
		if !slices.Contains(found, p) {
			wrong = append(wrong, p+" is described, but not in the code")
		}
		rows = append(rows, []string{code(p), cell(known[p])})
	}
	if wrong != nil {
		return nil, fmt.Errorf("routes: %s", strings.Join(wrong, "; "))
	}
	return rows, nil
}
