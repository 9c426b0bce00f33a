package rig

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"onramp/internal/bench"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// TokenSettings are those of Token.
type TokenSettings struct {
	Rounds      int           // how often each server is measured
	Duration    time.Duration // of one measurement
	Connections int
	Data        string // folder for the database; "": a temporary one
	Profile     string // file for the gateway's CPU profile; "": none
}

// Token measures how many access tokens a second the gateway gives out, in turns
// with a bare handler that signs the same and checks nothing.
func (r *Rig) Token(ctx context.Context, s TokenSettings) (*bench.TokenReport, error) {
	secret := rand.Text()
	gateway, err := r.newCallbackGateway(s.Data, gatewaySettings{ClientSecret: secret, Profile: s.Profile})
	if err != nil {
		return nil, err
	}
	defer gateway.close()
	bare, err := r.startServer(ctx, partBareToken, nil)
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	if err := gateway.start(ctx); err != nil {
		return nil, err
	}
	load := bench.LoadConfig{
		Connections: s.Connections, Duration: s.Duration, Path: onramp.TokenPath, Body: []byte(tokenForm), WantStatus: http.StatusOK,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {basic(tokenClient, secret)}},
	}
	if _, err := gateway.measure(ctx, load); err != nil { // so that its memory is what it needs
		return nil, err
	}
	begin := gateway.memory()
	measure := func(of *server) bench.Measure {
		return func(ctx context.Context) (bench.Run, error) {
			if err := checkToken(ctx, of.url, secret); err != nil {
				return bench.Run{}, err
			}
			return of.measure(ctx, load)
		}
	}
	rounds, err := bench.Alternate(ctx, s.Rounds, measure(bare), measure(gateway.server), nil)
	if err != nil {
		return nil, err
	}
	return bench.NewTokenReport(rounds, begin, gateway.memory()), nil
}

const (
	tokenClient = "bench"
	tokenForm   = "grant_type=client_credentials"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// fetchToken asks an endpoint for an access token by HTTP Basic (RFC 6749, 4.4),
// as Marketing Cloud does.
func fetchToken(ctx context.Context, endpoint, id, secret string) (string, error) {
	client := web.Client{Base: endpoint, Header: http.Header{"Authorization": {basic(id, secret)}}}
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := client.Call(ctx, http.MethodPost, "", url.Values{"grant_type": {"client_credentials"}}, &granted); err != nil {
		return "", fmt.Errorf("fetch token: %w", err)
	}
	if granted.AccessToken == "" {
		return "", errors.New("the token endpoint gave no token")
	}
	return granted.AccessToken, nil
}

// checkToken gets one token and looks at it: both servers must sign the same, or
// there is nothing to compare.
func checkToken(ctx context.Context, server, secret string) error {
	text, err := fetchToken(ctx, server+onramp.TokenPath, tokenClient, secret)
	if err != nil {
		return err
	}
	var claims accessClaims
	token, _, err := jwt.NewParser().ParseUnverified(text, &claims)
	if err != nil {
		return fmt.Errorf("the token is not a JWT: %w", err)
	}
	if err := jwt.NewValidator(jwt.WithExpirationRequired(), jwt.WithIssuer(server), jwt.WithSubject(tokenClient)).Validate(claims); err != nil {
		return fmt.Errorf("the token's claims: %w", err)
	}
	kid, _ := token.Header["kid"].(string)
	if token.Method != jwt.SigningMethodEdDSA || len(token.Signature) != ed25519.SignatureSize || token.Header["typ"] != "at+jwt" ||
		len(kid) != len(bareKeyID) || len(claims.ID) != len(rand.Text()) || claims.ClientID != tokenClient || claims.Scope == "" ||
		len(claims.Audience) != 1 || claims.IssuedAt == nil {
		return errors.New("the token differs from that of the bare handler")
	}
	return nil
}
