package ens

import (
	"context"
	"net/http"
	"slices"

	"onramp/internal/sandbox/wire"
)

// What a scheme can be. Vendor page ens-oauth2-support.
const (
	authOAuth2       = "oauth2"
	grantCredentials = "client_credentials"
	grantPassword    = "password"
)

// sentScheme is a member of POST and PUT /platform/v1/ens-authentications. The
// fields' names are those of the vendor's sequence diagram.
type sentScheme struct {
	AuthID       *string `json:"authId"`
	AuthType     *string `json:"authType"`
	GrantType    *string `json:"grantType"`
	AuthEndpoint *string `json:"authEndpoint"`
	ClientID     *string `json:"clientId"`
	ClientSecret *string `json:"clientSecret"`
	Username     *string `json:"username"`
	Password     *string `json:"password"`
}

// over is a scheme with what was sent laid over it. Undocumented: what is not
// sent stays as it is, and the other grant's fields are not kept.
func (m sentScheme) over(sc scheme) scheme {
	for _, field := range []struct {
		to   *string
		from *string
	}{
		{&sc.authType, m.AuthType},
		{&sc.grantType, m.GrantType},
		{&sc.authEndpoint, m.AuthEndpoint},
		{&sc.clientID, m.ClientID},
		{&sc.clientSecret, m.ClientSecret},
		{&sc.username, m.Username},
		{&sc.password, m.Password},
	} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	if sc.grantType != grantPassword {
		sc.username, sc.password = "", ""
	}
	return sc
}

// checkScheme returns what is wrong with a scheme before anything is asked of its
// authorization server.
func (s *Service) checkScheme(sc scheme) error {
	type field struct{ name, value string }
	need := []field{
		{"authType", sc.authType},
		{"grantType", sc.grantType},
		{"authEndpoint", sc.authEndpoint},
		{"clientId", sc.clientID},
		{"clientSecret", sc.clientSecret},
	}
	if sc.grantType == grantPassword {
		need = append(need, field{"username", sc.username}, field{"password", sc.password})
	}
	for _, f := range need {
		if _, err := required(f.name, &f.value); err != nil {
			return err
		}
	}
	if sc.authType != authOAuth2 {
		return invalid("authType", "is not oauth2")
	}
	if sc.grantType != grantCredentials && sc.grantType != grantPassword {
		return invalid("grantType", "is neither client_credentials nor password")
	}
	return s.checkURL("authEndpoint", sc.authEndpoint, true)
}

// verifyScheme gets the scheme its first token. Vendor page ens-oauth2-support:
// "When creating or updating calls for authType='oauth2', we verify the
// retrieval of a token from the authUrl. If verification isn't successful, the
// request fails." Undocumented: how; the words here follow those for a probe.
func (s *Service) verifyScheme(ctx context.Context, sc *scheme) error {
	asked := s.clock()
	token, life, err := s.requestToken(ctx, *sc)
	if err != nil {
		return wire.Failuref(http.StatusBadRequest, wire.CodeGeneric,
			"MCMS_UWH_Runtime_GeneralFailure_verifyAuthentication: Could not retrieve a token from authEndpoint '%s'. "+
				"Please test that it is reachable with a https POST call and returns an access_token within 2 seconds. Status: %v",
			sc.authEndpoint, err)
	}
	sc.keep(token, life, asked)
	return nil
}

// schemeAnswer is a scheme as calls return it: "The sensitive fields are not
// returned in the response, only authId, authType, grantType, and authEndpoint."
type schemeAnswer struct {
	AuthID       string `json:"authId"`
	AuthType     string `json:"authType"`
	GrantType    string `json:"grantType"`
	AuthEndpoint string `json:"authEndpoint"`
}

func (sc scheme) answer() schemeAnswer {
	return schemeAnswer{sc.id, sc.authType, sc.grantType, sc.authEndpoint}
}

// createSchemes answers POST /platform/v1/ens-authentications. A caller that
// hangs up does not end what it has asked for.
func (s *Service) createSchemes(c *wire.Call) (wire.Answer, error) {
	ctx := context.WithoutCancel(c.Request.Context())
	return eachMember(c, http.StatusCreated, func(m sentScheme) (any, error) {
		sc := m.over(scheme{id: wire.NewGUID()})
		if err := s.checkScheme(sc); err != nil {
			return nil, err
		}
		if err := s.verifyScheme(ctx, &sc); err != nil {
			return nil, err
		}
		s.host.Lock.Lock()
		defer s.host.Lock.Unlock()
		s.world.schemes = append(s.world.schemes, &sc)
		return sc.answer(), nil
	})
}

// updateSchemes answers PUT /platform/v1/ens-authentications. Nothing changes
// unless the changed scheme gets a token. Undocumented: a change has effect
// at once; of two at the same time the later one stays whole.
func (s *Service) updateSchemes(c *wire.Call) (wire.Answer, error) {
	ctx := context.WithoutCancel(c.Request.Context())
	return eachMember(c, http.StatusOK, func(m sentScheme) (any, error) {
		id, err := required("authId", m.AuthID)
		if err != nil {
			return nil, err
		}
		before, err := s.findScheme(id)
		if err != nil {
			return nil, err
		}
		sc := m.over(before)
		if err := s.checkScheme(sc); err != nil {
			return nil, err
		}
		if err := s.verifyScheme(ctx, &sc); err != nil {
			return nil, err
		}
		s.host.Lock.Lock()
		defer s.host.Lock.Unlock()
		known := s.world.scheme(id)
		if known == nil { // deleted meanwhile
			return nil, unknownID("authentication")
		}
		*known = sc
		return sc.answer(), nil
	})
}

// findScheme is a copy of the scheme with the id.
func (s *Service) findScheme(id string) (scheme, error) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	if sc := s.world.scheme(id); sc != nil {
		return *sc, nil
	}
	return scheme{}, unknownID("authentication")
}

// listSchemes answers GET /platform/v1/ens-authentications. Undocumented: that
// there is such a route; it is like that of callbacks.
func (s *Service) listSchemes(*wire.Call) (wire.Answer, error) {
	list := []schemeAnswer{}
	s.host.Lock.Lock()
	for _, sc := range s.world.schemes {
		list = append(list, sc.answer())
	}
	s.host.Lock.Unlock()
	return wire.JSON(http.StatusOK, list), nil
}

// getScheme answers GET /platform/v1/ens-authentications/{authId}, which is
// undocumented too.
func (s *Service) getScheme(c *wire.Call) (wire.Answer, error) {
	sc, err := s.findScheme(c.Param("authId"))
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, sc.answer()), nil
}

// deleteScheme answers DELETE /platform/v1/ens-authentications/{authId}.
// Undocumented: that a scheme in use answers 409, as a callback in use does.
func (s *Service) deleteScheme(c *wire.Call) (wire.Answer, error) {
	s.host.Lock.Lock()
	defer s.host.Lock.Unlock()
	w := s.world
	sc := w.scheme(c.Param("authId"))
	if sc == nil {
		return wire.Answer{}, unknownID("authentication")
	}
	if slices.ContainsFunc(w.callbacks, func(cb *callback) bool { return cb.authID == sc.id }) {
		return wire.Answer{}, wire.Failuref(http.StatusConflict, wire.CodeInvalidTransition,
			"Callbacks exist for the authentication. Remove it from all callbacks before deleting it.")
	}
	w.schemes = slices.DeleteFunc(w.schemes, func(other *scheme) bool { return other == sc })
	return done(), nil
}
