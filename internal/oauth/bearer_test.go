package oauth_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"onramp/internal/oauth"
	"onramp/internal/onramp"
)

// forged is a token made by somebody else than the server. Left as it is, it is
// a good one of its key.
type forged struct {
	key    onramp.SigningKey
	method jwt.SigningMethod // EdDSA
	with   any               // key to sign with; the key's own
	header map[string]any    // instead of the good ones; nil: left out
	claims map[string]any    // the same
}

func (f forged) token(t testing.TB) string {
	t.Helper()
	var private any = ed25519.NewKeyFromSeed(f.key.Seed)
	if f.with != nil {
		private = f.with
	}
	method := jwt.SigningMethod(jwt.SigningMethodEdDSA)
	if f.method != nil {
		method = f.method
	}
	token := jwt.NewWithClaims(method, jwt.MapClaims(changed(map[string]any{
		"iss": issuer, "sub": "mc", "aud": "onramp-ens", "client_id": "mc", "scope": "ens", "jti": "1",
		"iat": time.Now().Unix(), "exp": time.Now().Add(20 * time.Minute).Unix(), "grant_id": oauth.GrantID(f.key, "mc", longSecret, "", ""),
	}, f.claims)))
	token.Header = changed(map[string]any{"typ": "at+jwt", "alg": method.Alg(), "kid": f.key.ID}, f.header)
	signed, err := token.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func changed(good, with map[string]any) map[string]any {
	maps.Copy(good, with)
	maps.DeleteFunc(good, func(_ string, value any) bool { return value == nil })
	return good
}

func TestCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := newKey("ours", time.Now().Add(-time.Hour)), newKey("theirs", time.Now())
		public := ed25519.NewKeyFromSeed(ours.Seed).Public().(ed25519.PublicKey)
		n := newNode(t, oauth.Config{}, &keeper{keys: []onramp.SigningKey{ours}})
		made := func(f forged) string {
			if f.key.ID == "" {
				f.key = ours
			}
			return "Bearer " + f.token(t)
		}
		claim := func(name string, value any) string { return made(forged{claims: map[string]any{name: value}}) }
		ofUser := func(name, password string) string {
			return made(forged{claims: map[string]any{"sub": name, "grant_id": oauth.GrantID(ours, "mc", longSecret, name, password)}})
		}
		head := func(name string, value any) string { return made(forged{header: map[string]any{name: value}}) }
		whole := made(forged{})
		parts := strings.Split(whole, ".")
		other := strings.Split(claim("sub", "jane"), ".")
		type result struct {
			Bearer onramp.Bearer
			Reason string
		}
		client := result{Bearer: onramp.Bearer{Client: "mc", Scope: "ens"}}
		refused := func(reason string) result { return result{Reason: reason} }
		for _, row := range []struct {
			name, header string
			want         result
		}{
			{"client", whole, client},
			{"again, as it is remembered", whole, client},
			{"another case of the scheme, two spaces", "bearer  " + whole[7:], client},
			{"user", ofUser("jane", "pässword 2"), result{Bearer: onramp.Bearer{Client: "mc", User: "jane", Scope: "ens"}}},
			{"user with a password that is not hers", ofUser("jane", "joe's"), refused("retired")},
			{"user that nobody knows", ofUser("eve", "joe's"), refused("retired")},
			{"user who gave no password", claim("sub", "jane"), refused("retired")},
			{"the client's other secret", claim("grant_id", oauth.GrantID(ours, "mc", otherSecret, "", "")), client},
			{"a secret that the client no longer has", claim("grant_id", oauth.GrantID(ours, "mc", "a secret from before", "", "")), refused("retired")},
			{"the secret of another client", made(forged{claims: map[string]any{"client_id": "weak", "sub": "weak"}}), refused("retired")},
			{"a client that is gone", made(forged{claims: map[string]any{"client_id": "gone", "sub": "gone"}}), refused("retired")},
			{"a token of an Onramp before", claim("grant_id", nil), refused("retired")},
			{"no scope", claim("scope", nil), result{Bearer: onramp.Bearer{Client: "mc"}}},
			{"several audiences", claim("aud", []string{"x", "onramp-ens"}), client},
			{"the full media type", head("typ", "application/AT+JWT"), client},
			{"expired within the leeway", claim("exp", time.Now().Unix()-4), client},
			{"no header", "", refused("missing")},
			{"another scheme", "Basic " + whole[7:], refused("malformed")},
			{"the token alone", whole[7:], refused("malformed")},
			{"the scheme alone", "Bearer", refused("malformed")},
			{"the scheme and spaces", "Bearer   ", refused("malformed")},
			{"no JWT", "Bearer abc", refused("malformed")},
			{"no base64", "Bearer a.b!.c", refused("malformed")},
			{"no JSON", "Bearer YQ.YQ.YQ", refused("malformed")},
			{"two parts", parts[0] + "." + parts[1], refused("malformed")},
			{"four parts", whole + ".x", refused("malformed")},
			{"two tokens", whole + ", " + whole, refused("malformed")},
			{"too long", claim("x", strings.Repeat("x", 4096)), refused("malformed")},
			{"alg none", made(forged{method: jwt.SigningMethodNone, with: jwt.UnsafeAllowNoneSignatureType}), refused("algorithm")},
			{"alg none with our signature", head("alg", "none"), refused("algorithm")},
			{"alg None", head("alg", "None"), refused("algorithm")},
			{"no alg", head("alg", nil), refused("algorithm")},
			{"alg that nobody knows", head("alg", "XX1"), refused("algorithm")},
			{"HS256 with our public key", made(forged{method: jwt.SigningMethodHS256, with: []byte(public)}), refused("algorithm")},
			{"a header that must be understood", head("crit", []string{"exp"}), refused("malformed")},
			{"a key in the header", made(forged{with: ed25519.NewKeyFromSeed(theirs.Seed), header: map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "eA"}, "jku": "https://evil.example/keys"}}), refused("signature")},
			{"a path as the key", head("kid", "../../../../dev/null"), refused("key")},
			{"SQL as the key", head("kid", "' OR 1=1 --"), refused("key")},
			{"no type", head("typ", nil), refused("type")},
			{"an ID token", head("typ", "JWT"), refused("type")},
			{"a type that is no text", head("typ", 1), refused("type")},
			{"another key", made(forged{key: theirs}), refused("key")},
			{"no key", head("kid", nil), refused("key")},
			{"a key that is no text", head("kid", []string{"ours"}), refused("key")},
			{"another key under our key's name", made(forged{with: ed25519.NewKeyFromSeed(theirs.Seed)}), refused("signature")},
			{"claims of another token", parts[0] + "." + other[1] + "." + parts[2], refused("signature")},
			{"no signature", parts[0] + "." + parts[1] + ".", refused("signature")},
			{"a signature that was cut", whole[:len(whole)-2], refused("signature")},
			{"a replayed old one", claim("exp", time.Now().Unix()-5), refused("expired")},
			{"never expires", claim("exp", nil), refused("claims")},
			{"expires, but not by a number", claim("exp", "never"), refused("malformed")},
			{"another issuer", claim("iss", "https://onramp.example"), refused("issuer")},
			{"no issuer", claim("iss", nil), refused("claims")},
			{"another audience", claim("aud", "onramp"), refused("audience")},
			{"no audience", claim("aud", nil), refused("claims")},
			{"not yet", claim("nbf", time.Now().Unix()+60), refused("claims")},
			{"no client", claim("client_id", nil), refused("claims")},
			{"no subject", claim("sub", nil), refused("claims")},
		} {
			bearer, err := n.server.Check(t.Context(), row.header)
			if diff := cmp.Diff(row.want, result{bearer, oauth.Reason(err)}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", row.name, diff)
			}
			if err == nil {
				continue
			}
			if e, ok := errors.AsType[*onramp.Error](err); !ok || e.Kind != onramp.Denied {
				t.Errorf("%s: %v is not denied", row.name, err)
			}
			if _, token, _ := strings.Cut(row.header, " "); len(token) > 5 && strings.Contains(err.Error(), token) {
				t.Errorf("%s: the token is in the error", row.name)
			}
		}
	})
}

// A token that is remembered expires like any other, and goes with its key.
func TestRememberedToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		n := newNode(t, oauth.Config{}, k)
		token := n.mustToken(t)
		got := []string{n.checks(t, token)}
		<-time.After(20*time.Minute + 4*time.Second)
		got = append(got, n.checks(t, token))
		<-time.After(time.Second)
		got = append(got, n.checks(t, token))
		young := n.mustToken(t)
		got = append(got, n.checks(t, young))
		k.change(func() { k.keys = []onramp.SigningKey{newKey("another", time.Now())} })
		if err := n.server.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		got = append(got, n.checks(t, young))
		if diff := cmp.Diff([]string{"ok", "ok", "expired", "ok", "key"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Many tokens are alive at once, and no new one takes the life of another.
func TestManyTokens(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	a, b := newNode(t, oauth.Config{}, k), newNode(t, oauth.Config{}, k)
	tokens := map[string]bool{}
	for range 200 {
		tokens[a.mustToken(t)] = true
	}
	if len(tokens) != 200 {
		t.Errorf("%d different ones", len(tokens))
	}
	for token := range tokens {
		if a.checks(t, token) != "ok" || b.checks(t, token) != "ok" {
			t.Fatal("one is not good any more")
		}
	}
	if diff := cmp.Diff(oauth.Counts{Issued: 200}, a.server.Counts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReasonOfOthers(t *testing.T) {
	t.Parallel()
	if oauth.Reason(nil) != "" || oauth.Reason(errors.New("x")) != "" {
		t.Error("a reason for an error that isn't ours")
	}
}

// A token goes with its client, and with the secret that it was issued for; what is
// newer, or another node's, is found.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		set := func(clients ...onramp.TokenClient) { k.change(func() { k.clients = clients }) }
		kept := func(secrets ...onramp.Secret) onramp.TokenClient {
			return onramp.TokenClient{ID: "kept", Secrets: secrets}
		}
		set(kept("the first of twenty letters"))
		a, b := newNode(t, oauth.Config{}, k), newNode(t, oauth.Config{}, k)
		token := func(secret string) string {
			t.Helper()
			w := a.send(plain("kept:" + secret).request())
			var granted struct {
				AccessToken string `json:"access_token"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &granted); err != nil || w.Code != 200 {
				t.Fatal(w.Code, err)
			}
			return granted.AccessToken
		}
		reload := func() {
			t.Helper()
			if err := a.server.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		old := token("the first of twenty letters")
		got := []string{a.checks(t, old), b.checks(t, old)}
		set(kept("the second of twenty letters", "the first of twenty letters"))
		reload()
		young := token("the second of twenty letters")
		<-time.After(10 * time.Second)
		got = append(got, a.checks(t, old), a.checks(t, young), b.checks(t, young))
		set(kept("the second of twenty letters"))
		reload()
		got = append(got, a.checks(t, old), a.checks(t, young))
		set()
		reload()
		got = append(got, a.checks(t, young))
		if diff := cmp.Diff([]string{"ok", "ok", "ok", "ok", "ok", "retired", "ok", "retired"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
