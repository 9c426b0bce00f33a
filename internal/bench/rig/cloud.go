package rig

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// signatureKeySize is that of the keys which Marketing Cloud makes.
const signatureKeySize = 32

// cloud stands in for Marketing Cloud while a gateway sets up its callback, and
// knows afterwards what batches of events have to bring: the key of their
// signature, which the sandbox keeps to itself, and where tokens come from. It has
// one callback, and answers what a set-up from the start asks.
type cloud struct {
	listener *web.Listener
	key      []byte // of the signature

	// what the gateway has submitted; each call of a set-up follows the one before
	scheme       cloudScheme
	verification string
}

type cloudScheme struct {
	AuthEndpoint string `json:"authEndpoint"`
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
}

const (
	cloudSchemeID   = "bench-scheme"
	cloudCallbackID = "6f0e2d0c-54b1-4c53-9a4e-0b9d3c1f7a10"
)

// startCloud starts one. The caller must close it.
func startCloud(ctx context.Context) (*cloud, error) {
	c := &cloud{key: make([]byte, signatureKeySize), verification: rand.Text()}
	rand.Read(c.key)
	const services = "/platform/v1/"
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(*http.Request) (any, error){
		"POST /v2/token": c.giveToken,
		"GET " + services + "ens-authentications":          c.list,
		"POST " + services + "ens-authentications":         c.createScheme,
		"GET " + services + "ens-callbacks":                c.list,
		"POST " + services + "ens-callbacks":               c.createCallback,
		"POST " + services + "ens-verify":                  c.verify,
		"GET " + services + "ens-subscriptions-by-cb/{id}": c.list,
		"POST " + services + "ens-subscriptions":           c.createSubscription,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v, err := answer(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			_ = web.WriteJSON(w, http.StatusOK, v) // all that is answered can be encoded
		})
	}
	var err error
	if c.listener, err = web.Listen(ctx, "127.0.0.1:0", mux); err != nil {
		return nil, err
	}
	go func() { _ = c.listener.Serve() }() // until it is closed
	return c, nil
}

func (c *cloud) url() string { return c.listener.URL() }

func (c *cloud) close() { _ = c.listener.Close() } // it keeps nothing

// setUp has a gateway set up its callback here.
func (c *cloud) setUp(ctx context.Context, g *gateway) error {
	var done struct{ Failed *struct{ Step, Cause string } }
	admin := web.Client{Base: g.admin}
	if err := admin.Call(ctx, http.MethodPost, "/api/ens/setup", struct{}{}, &done); err != nil {
		return fmt.Errorf("set up the callback: %w", err)
	}
	if f := done.Failed; f != nil {
		return fmt.Errorf("set up the callback: %s: %s", f.Step, f.Cause)
	}
	return nil
}

func (c *cloud) giveToken(*http.Request) (any, error) {
	return map[string]any{
		"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 1079, "rest_instance_url": c.url() + "/", "scope": "",
	}, nil
}

// list answers that there is nothing yet.
func (c *cloud) list(*http.Request) (any, error) { return []any{}, nil }

// createScheme fetches a token, as Marketing Cloud does before it takes a scheme.
func (c *cloud) createScheme(r *http.Request) (any, error) {
	var sent []cloudScheme
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || len(sent) != 1 {
		return nil, errors.New("not an array of one scheme")
	}
	c.scheme = sent[0]
	if _, err := c.token(r.Context(), c.scheme.AuthEndpoint); err != nil {
		return nil, err
	}
	return []any{map[string]any{"authId": cloudSchemeID, "authType": "oauth2", "authEndpoint": c.scheme.AuthEndpoint}}, nil
}

// createCallback asks the address with a key whether it is the gateway's.
func (c *cloud) createCallback(r *http.Request) (any, error) {
	var sent []struct {
		CallbackName, URL, AuthID string
		MaxBatchSize              int
	}
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || len(sent) != 1 || sent[0].AuthID != cloudSchemeID {
		return nil, errors.New("not an array of one callback with the scheme")
	}
	token, err := c.token(r.Context(), c.scheme.AuthEndpoint)
	if err != nil {
		return nil, err
	}
	probe := map[string]string{"callbackId": cloudCallbackID, "verificationKey": c.verification}
	callback := web.Client{Base: sent[0].URL, Token: onramp.Secret(token)}
	if err := callback.Call(r.Context(), http.MethodPost, "", probe, nil); err != nil {
		return nil, fmt.Errorf("probe the callback: %w", err)
	}
	return []any{map[string]any{
		"callbackId": cloudCallbackID, "callbackName": sent[0].CallbackName, "url": sent[0].URL,
		"maxBatchSize": sent[0].MaxBatchSize, "signatureKey": base64.StdEncoding.EncodeToString(c.key),
	}}, nil
}

func (c *cloud) verify(r *http.Request) (any, error) {
	var sent struct{ CallbackID, VerificationKey string }
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || sent.CallbackID != cloudCallbackID || sent.VerificationKey != c.verification {
		return nil, errors.New("not the key of the callback")
	}
	return map[string]any{}, nil
}

func (c *cloud) createSubscription(r *http.Request) (any, error) {
	var sent []map[string]any
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || len(sent) != 1 {
		return nil, errors.New("not an array of one subscription")
	}
	sent[0]["subscriptionId"], sent[0]["status"] = "bench-subscription", "active"
	return sent, nil
}

// token fetches an access token as Marketing Cloud does.
func (c *cloud) token(ctx context.Context, endpoint string) (string, error) {
	return fetchToken(ctx, endpoint, c.scheme.ClientID, c.scheme.ClientSecret)
}
