package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"onramp/internal/bench"
	"onramp/internal/web"
)

// tokenSettings are what the flags of bench token say.
type tokenSettings struct {
	rounds      int
	duration    time.Duration
	connections int
	data        string
	profile     string
}

func (c *command) benchToken() *cobra.Command {
	s := tokenSettings{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Measure access tokens beside a bare handler that signs the same",
		Long: `Measures how many access tokens a second Onramp gives out to a client that
authenticates by HTTP Basic, as a share of what a bare net/http handler does that
looks at nothing and signs the same JWT by Ed25519. Both run in
turns, each in a process of its own, as does the load generator. Only the ratio
says much: absolute figures change with the machine and the hour.

One token of each server is looked at in every round. Memory is read when Onramp
has warmed up and at the end: it keeps no token, so it must stay as it is.`,
		Example: "  onramp bench token\n  onramp bench token --rounds 9 --duration 10s --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.rounds < 1 || s.duration <= 0 || s.connections < 1 {
				return errors.New("--rounds, --duration and --connections must be more than nothing")
			}
			return run(func(ctx context.Context, _ []string) error { return c.runBenchToken(ctx, s) })(cmd, args)
		},
	}
	cmd.Flags().IntVar(&s.rounds, "rounds", 5, "how often both are measured")
	cmd.Flags().DurationVar(&s.duration, "duration", 4*time.Second, "of one measurement")
	cmd.Flags().IntVar(&s.connections, "connections", 64, "keep-alive connections")
	cmd.Flags().StringVar(&s.data, "data", "", "folder for the database (default: a temporary one)")
	profileFlag(cmd, &s.profile)
	c.outputFlag(cmd)
	return cmd
}

func (c *command) runBenchToken(ctx context.Context, s tokenSettings) error {
	bare, err := startChild(ctx, c.Stderr, "bare-token")
	if err != nil {
		return err
	}
	defer bare.stop()
	const nowhere = "http://127.0.0.1:1" // nothing is asked of an account
	r, err := c.startCallbackRig(ctx, s.data, nowhere, s.profile)
	if err != nil {
		return err
	}
	defer r.close()
	load := bench.LoadConfig{
		Connections: s.connections, Duration: s.duration, Body: []byte(tokenForm), WantStatus: http.StatusOK, Path: tokenPath,
		Header: http.Header{"Content-Type": {tokenFormType}, "Authorization": {basic(tokenClient, r.secret)}},
	}
	if _, err := r.gateway.measure(ctx, load, tokenPath); err != nil { // so that its memory is what it needs
		return err
	}
	begin := r.memory()
	measure := func(of *child) bench.Measure {
		return func(ctx context.Context) (bench.Run, error) {
			if err := checkToken(ctx, of.url, r.secret); err != nil {
				return bench.Run{}, err
			}
			return of.measure(ctx, load, tokenPath)
		}
	}
	rounds, err := bench.Alternate(ctx, s.rounds, measure(bare), measure(r.gateway), nil)
	if err != nil {
		return err
	}
	return c.report(bench.NewTokenReport(rounds, begin, r.memory()))
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// accessClaims are those of Onramp's tokens (RFC 9068, 2.2).
type accessClaims struct {
	jwt.RegisteredClaims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope,omitempty"`
}

// checkToken gets one token and looks at it: both servers must sign the same, or
// there is nothing to compare.
func checkToken(ctx context.Context, server, secret string) error {
	text, err := fetchToken(ctx, server+tokenPath, tokenClient, secret)
	if err != nil {
		return err
	}
	var claims accessClaims
	token, _, err := jwt.NewParser().ParseUnverified(text, &claims)
	if err != nil {
		return fmt.Errorf("the token is no JWT: %w", err)
	}
	if err := jwt.NewValidator(jwt.WithExpirationRequired(), jwt.WithIssuer(server), jwt.WithSubject(tokenClient)).Validate(claims); err != nil {
		return fmt.Errorf("the token's claims: %w", err)
	}
	kid, _ := token.Header["kid"].(string)
	if token.Method != jwt.SigningMethodEdDSA || len(token.Signature) != ed25519.SignatureSize || token.Header["typ"] != "at+jwt" ||
		len(kid) != len(bareKeyID) || len(claims.ID) != len(rand.Text()) || claims.ClientID != tokenClient || claims.Scope == "" ||
		len(claims.Audience) != 1 || claims.IssuedAt == nil {
		return errors.New("the token is another one than that of the bare handler")
	}
	return nil
}

func (c *command) benchBareToken() *cobra.Command {
	return &cobra.Command{
		Use: "bare-token", Short: "The bare handler that bench token compares with", Hidden: true, Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			_, private, err := ed25519.GenerateKey(nil)
			if err != nil {
				return err
			}
			l, err := web.Listen(ctx, "127.0.0.1:0", nil)
			if err != nil {
				return err
			}
			l.Handle(bareToken(l.URL(), private))
			go func() { _ = l.Serve() }() // ends with the process
			return c.answerStats(childReady{URL: l.URL()}, func() childStats { return childStats{} })
		}),
	}
}

const (
	bareKeyID    = "019a4c1e-7b52-7d03-9c41-5f2a8be06d17"
	bareLifetime = 20 * time.Minute
)

// bareToken is the handler that the token endpoint is compared with: it looks at
// nothing, and answers with a JWT that has the header, the claims and the length
// of Onramp's, signed by the same library.
func bareToken(issuer string, private ed25519.PrivateKey) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "body not readable", http.StatusBadRequest)
			return
		}
		now := time.Now().Truncate(time.Second)
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, accessClaims{
			RegisteredClaims: jwt.RegisteredClaims{
				Issuer: issuer, Subject: tokenClient, Audience: jwt.ClaimStrings{"onramp-ens"},
				IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(bareLifetime)), ID: rand.Text(),
			},
			ClientID: tokenClient, Scope: "ens",
		})
		token.Header["typ"], token.Header["kid"] = "at+jwt", bareKeyID
		signed, err := token.SignedString(private)
		if err != nil {
			http.Error(w, "not signed", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		// A client that has gone needs no answer, and nobody waits for the error.
		_ = json.NewEncoder(w).Encode(struct {
			AccessToken string `json:"access_token"`
			TokenType   string `json:"token_type"`
			ExpiresIn   int64  `json:"expires_in"`
			Scope       string `json:"scope"`
		}{signed, "Bearer", int64(bareLifetime.Seconds()), "ens"})
	})
}
