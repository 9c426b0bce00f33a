package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"onramp/internal/config"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// adminClient calls the admin API of a gateway that is running.
type adminClient struct {
	base  string
	token onramp.Secret
	http  *http.Client
}

// admin finds the running gateway by the configuration; without a file, by the
// default address, which is the demo's.
func (c *command) admin() (*adminClient, error) {
	named := c.configFile != "" || c.getenv(configEnv) != ""
	cfg, err := config.LoadAdmin(c.configPath(), !named, c.Environ)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return &adminClient{"http://" + net.JoinHostPort(host, port), cfg.Token, &http.Client{Timeout: time.Minute}}, nil
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
