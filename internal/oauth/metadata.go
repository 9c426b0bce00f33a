package oauth

import (
	"errors"
	"net/http"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

var errNoIssuer = errors.New("set public.url: the metadata of the token endpoint name it")

// metadata answers GET /.well-known/oauth-authorization-server (RFC 8414, 2).
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) error {
	issuer := s.cfg.Issuer
	if issuer == "" { // the Host header is the stranger's word
		return &onramp.Error{Kind: onramp.NotFound, Message: "there is nothing at this address", Err: errNoIssuer}
	}
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
