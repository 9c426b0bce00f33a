package oauth

import (
	"net/http"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// metadata answers GET /.well-known/oauth-authorization-server (RFC 8414, 2). Its
// issuer is that of the tokens; the Host header is a stranger's word.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) error {
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
		s.cfg.Issuer, s.cfg.Issuer + onramp.TokenPath,
		[]string{"client_secret_basic", "client_secret_post"},
		[]string{onramp.ClientCredentials.String(), onramp.PasswordGrant.String()},
		[]string{},
		s.cfg.Scopes,
	})
}
