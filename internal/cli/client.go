package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/config"
	"onramp/internal/listen"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// adminClient calls the admin API of a gateway that is running.
type adminClient struct {
	base  string
	token onramp.Secret
	http  *http.Client
}

// adminAddress is the value of --admin.
type adminAddress string

func (a *adminAddress) String() string { return string(*a) }

// Type is what help calls the value.
func (a *adminAddress) Type() string { return "url" }

// Set takes the URL of a listener: without a path.
func (a *adminAddress) Set(s string) error {
	s = strings.TrimSuffix(s, "/")
	if u, ok := onramp.ParseWebURL(s); !ok || s != u.Scheme+"://"+u.Host {
		return errors.New("must be a URL without a path, such as http://127.0.0.1:8081")
	}
	*a = adminAddress(s)
	return nil
}

// adminFlag lets commands, and those under them, ask a gateway elsewhere.
func (c *command) adminFlag(commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.PersistentFlags().Var(&c.adminURL, "admin", "address of the running gateway's admin API (default: admin.listen of the configuration)")
	}
}

// admin finds the running gateway by --admin or the configuration; without a file,
// by the default address, which is the demo's. The token is the configuration's.
func (c *command) admin() (*adminClient, error) {
	named := c.configFile != "" || c.getenv(configEnv) != ""
	cfg, err := config.LoadAdmin(c.configPath(), !named, c.Environ)
	if err != nil {
		return nil, c.missing(err)
	}
	base := string(c.adminURL)
	if base == "" {
		base = listen.URL(cfg.Listen)
	}
	return &adminClient{base, cfg.Token, &http.Client{Timeout: time.Minute}}, nil
}

func (a *adminClient) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return a.call(ctx, http.MethodGet, path, nil, into)
}

// call sends a body as JSON, unless it is nil, and reads the answer.
func (a *adminClient) call(ctx context.Context, method, path string, send, into any) error {
	client := web.Client{Base: a.base, Token: a.token, HTTP: a.http}
	err := client.Call(ctx, method, path, send, into)
	if _, unreached := errors.AsType[*url.Error](err); unreached {
		return fmt.Errorf("no gateway answers at %s (is onramp serve or demo running?): %w", a.base, err)
	}
	return err
}
