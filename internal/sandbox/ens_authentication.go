package sandbox

import (
	"context"
	"net/http"
	"slices"
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

// checkScheme tells what is wrong with a scheme before anything is asked of its
// authorization server.
func (s *Sandbox) checkScheme(sc scheme) error {
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
func (s *Sandbox) verifyScheme(ctx context.Context, sc *scheme) error {
	asked := s.Now()
	token, life, err := s.requestToken(ctx, *sc)
	if err != nil {
		return failuref(http.StatusBadRequest, codeGeneric,
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
func (s *Sandbox) createSchemes(c *call) (answer, error) {
	ctx := context.WithoutCancel(c.request.Context())
	return eachMember(c, http.StatusCreated, func(m sentScheme) (any, error) {
		sc := m.over(scheme{id: newGUID()})
		if err := s.checkScheme(sc); err != nil {
			return nil, err
		}
		if err := s.verifyScheme(ctx, &sc); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.world.ens.schemes = append(s.world.ens.schemes, &sc)
		return sc.answer(), nil
	})
}

// updateSchemes answers PUT /platform/v1/ens-authentications. Nothing changes
// unless a token can be had with the change. Undocumented: a change has effect
// at once; of two at the same time the later one stays whole.
func (s *Sandbox) updateSchemes(c *call) (answer, error) {
	ctx := context.WithoutCancel(c.request.Context())
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
		s.mu.Lock()
		defer s.mu.Unlock()
		known := s.world.ens.scheme(id)
		if known == nil { // deleted meanwhile
			return nil, unknownID("authentication")
		}
		*known = sc
		return sc.answer(), nil
	})
}

// findScheme is a copy of the scheme with the id.
func (s *Sandbox) findScheme(id string) (scheme, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc := s.world.ens.scheme(id); sc != nil {
		return *sc, nil
	}
	return scheme{}, unknownID("authentication")
}

// listSchemes answers GET /platform/v1/ens-authentications. Undocumented: that
// there is such a route; it is like that of callbacks.
func (s *Sandbox) listSchemes(*call) (answer, error) {
	list := []schemeAnswer{}
	s.mu.Lock()
	for _, sc := range s.world.ens.schemes {
		list = append(list, sc.answer())
	}
	s.mu.Unlock()
	return jsonAnswer(http.StatusOK, list), nil
}

// getScheme answers GET /platform/v1/ens-authentications/{authId}, which is
// undocumented too.
func (s *Sandbox) getScheme(c *call) (answer, error) {
	sc, err := s.findScheme(c.param("authId"))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, sc.answer()), nil
}

// deleteScheme answers DELETE /platform/v1/ens-authentications/{authId}.
// Undocumented: that a scheme in use answers 409, as a callback in use does.
func (s *Sandbox) deleteScheme(c *call) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &s.world.ens
	sc := e.scheme(c.param("authId"))
	if sc == nil {
		return answer{}, unknownID("authentication")
	}
	if slices.ContainsFunc(e.callbacks, func(cb *callback) bool { return cb.authID == sc.id }) {
		return answer{}, failuref(http.StatusConflict, codeInvalidTransition,
			"Callbacks exist for the authentication. Remove it from all callbacks before deleting it.")
	}
	e.schemes = slices.DeleteFunc(e.schemes, func(other *scheme) bool { return other == sc })
	return done(), nil
}
