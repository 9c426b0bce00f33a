package sfmc_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
)

// store is a TokenStore that keeps what a file would.
type store struct {
	data    []byte
	loadErr error
	saveErr error
	hang    bool
	log     []string
}

func (s *store) LoadToken(ctx context.Context) (*sfmc.Token, error) {
	s.log = append(s.log, "load")
	if s.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if s.data == nil || s.loadErr != nil {
		return nil, s.loadErr
	}
	return sfmc.DecodeToken(s.data)
}

func (s *store) SaveToken(ctx context.Context, t *sfmc.Token) (err error) {
	s.log = append(s.log, "save "+t.AccessToken.Reveal())
	if s.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.saveErr == nil {
		s.data, err = t.Encode()
	}
	return errors.Join(s.saveErr, err)
}

func (s *store) wantLog(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.log); diff != "" {
		t.Errorf("calls of the store (-want +got):\n%s", diff)
	}
}

// A restart does not cost a token while the stored one is good.
func TestStoreAcrossRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, kept := newIssuer(), &store{}
		c := sfmc.NewTokenCache(src, sfmc.WithTokenStore(kept))
		wantToken(t, c, "t1")
		wantToken(t, c, "t1")
		c.Invalidate("t1")
		wantToken(t, c, "t2")

		pass(t, 500*time.Second)
		c = sfmc.NewTokenCache(src, sfmc.WithTokenStore(kept))
		if diff := cmp.Diff(map[string]int{"<nil>": 200}, together(200, func() error { _, err := c.Token(t.Context()); return err })); diff != "" {
			t.Errorf("errors (-want +got):\n%s", diff)
		}
		wantToken(t, c, "t2")
		c.Invalidate("t2") // revoked meanwhile: it is not loaded once more
		wantToken(t, c, "t3")

		pass(t, 2000*time.Second)
		c = sfmc.NewTokenCache(src, sfmc.WithTokenStore(kept))
		wantToken(t, c, "t4") // the stored one has expired

		kept.wantLog(t, "load", "save t1", "save t2", "load", "save t3", "load", "save t4")
	})
}

// A stored token that comes near its end is renewed ahead like any other.
func TestStoredTokenIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, kept := newIssuer(), &store{}
		wantToken(t, sfmc.NewTokenCache(src, sfmc.WithTokenStore(kept)), "t1")
		pass(t, 1049*time.Second) // 30 s to go
		c := sfmc.NewTokenCache(src, sfmc.WithTokenStore(kept))
		wantToken(t, c, "t1")
		pass(t, 24*time.Second) // a fifth of them to go
		wantToken(t, c, "t1")
		pass(t, time.Second)
		wantToken(t, c, "t2")
	})
}

// Errors of the store are told, and cost nothing else.
func TestStoreErrors(t *testing.T) {
	t.Parallel()
	redacted := []byte(`{"access_token":"redacted"}`)
	for name, tt := range map[string]struct {
		store store
		want  []string
		took  time.Duration
	}{
		"load":             {store{loadErr: io.ErrNoProgress}, []string{"load token: " + io.ErrNoProgress.Error()}, time.Second},
		"save":             {store{saveErr: io.ErrShortWrite}, []string{"save token: " + io.ErrShortWrite.Error()}, time.Second},
		"hangs":            {store{hang: true}, []string{"load token: context deadline exceeded", "save token: context deadline exceeded"}, 11 * time.Second},
		"stored redacted":  {store{data: redacted}, []string{"load token: decode token: no access token"}, time.Second},
		"stored something": {store{data: []byte("?")}, []string{"load token: decode token: not the JSON of a token"}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told []string
				src := newIssuer()
				c := sfmc.NewTokenCache(src, sfmc.WithTokenStore(&tt.store), sfmc.OnStoreError(func(err error) { told = append(told, err.Error()) }))
				wantToken(t, c, "t1")
				if took := time.Since(src.begun); took != tt.took {
					t.Errorf("took %v; want %v", took, tt.took)
				}
				if diff := cmp.Diff(tt.want, told); diff != "" {
					t.Errorf("errors told (-want +got):\n%s", diff)
				}
			})
			synctest.Test(t, func(t *testing.T) { // and nobody need listen
				wantToken(t, sfmc.NewTokenCache(newIssuer(), sfmc.WithTokenStore(&tt.store), sfmc.OnStoreError(nil)), "t1")
			})
		})
	}
}

// loaded is a store that always holds the same token, and saves nothing.
type loaded struct{ token *sfmc.Token }

func (l loaded) LoadToken(context.Context) (*sfmc.Token, error) { return l.token, nil }
func (l loaded) SaveToken(context.Context, *sfmc.Token) error   { return nil }

// Only a token that the source could have given itself is taken from the store.
func TestStoredTokenMustFit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := requesterOf(t, reply{status: 200, body: `{"access_token":"new","expires_in":1079}`})
		other := source(func(ctx context.Context) (*sfmc.Token, error) { return r.Token(ctx) })
		soon := time.Now().Add(time.Hour)
		for i, tt := range []struct {
			src  sfmc.TokenSource
			tok  *sfmc.Token
			want string
		}{
			{r, &sfmc.Token{AccessToken: "old", ExpiresAt: soon, IssuedFor: r.IssuedFor()}, "old"},
			{r, &sfmc.Token{AccessToken: "old", ExpiresAt: soon, IssuedFor: "another"}, "new"},
			{r, &sfmc.Token{AccessToken: "old", ExpiresAt: soon}, "new"},
			{r, &sfmc.Token{AccessToken: "old", IssuedFor: r.IssuedFor()}, "new"},
			{r, &sfmc.Token{AccessToken: "old", ExpiresAt: time.Now(), IssuedFor: r.IssuedFor()}, "new"},
			{r, &sfmc.Token{AccessToken: "redacted", ExpiresAt: soon, IssuedFor: r.IssuedFor()}, "new"},
			{r, &sfmc.Token{ExpiresAt: soon, IssuedFor: r.IssuedFor()}, "new"},
			{r, nil, "new"},
			{other, &sfmc.Token{AccessToken: "old", ExpiresAt: soon, IssuedFor: "another"}, "old"},
		} {
			t.Log("case " + strconv.Itoa(i))
			wantToken(t, sfmc.NewTokenCache(tt.src, sfmc.WithTokenStore(loaded{tt.tok})), tt.want)
		}
	})
}
