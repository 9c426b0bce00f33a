package oauth

import (
	"net/http"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// metadata answers GET /.well-known/oauth-authorization-server (RFC 8414, 2).
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) error {
	issuer := s.cfg.Issuer
	if issuer == "" {
		issuer = baseOf(r)
	}
	// what is taken from the request must not be stored for others
	w.Header().Set("Cache-Control", "no-store")
	return web.WriteJSON(w, http.StatusOK, struct {
		Issuer        string   `json:"issuer"`
		TokenEndpoint string   `json:"token_endpoint"`
		Methods       []string `json:"token_endpoint_auth_methods_supported"`
		Grants        []string `json:"grant_types_supported"`
		// required, though 3.2 would have an empty list left out: strict clients
		// miss it, and without an authorization endpoint there is nothing to list
		Responses []string `json:"response_types_supported"`
		Scopes    []string `json:"scopes_supported"`
	}{
		issuer, issuer + onramp.TokenPath,
		[]string{"client_secret_basic", "client_secret_post"},
		[]string{onramp.ClientCredentials.String(), onramp.PasswordGrant.String()},
		[]string{},
		s.cfg.Scopes,
	})
}

// baseOf is the address that the request came to, as far as can be seen.
func baseOf(r *http.Request) string {
	scheme := "http"
	if forwarded, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ","); r.TLS != nil || strings.TrimSpace(forwarded) == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
