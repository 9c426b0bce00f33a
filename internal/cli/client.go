package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
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
	var content io.Reader
	if send != nil {
		text, err := json.Marshal(send)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return err
	}
	if send != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token.Reveal())
	}
	response, err := a.http.Do(r)
	if err != nil {
		return fmt.Errorf("no gateway answers at %s (is onramp serve or demo running?): %w", a.base, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", a.base, err)
	}
	if response.StatusCode >= 300 {
		var p web.Problem
		if json.Unmarshal(body, &p) == nil && p.Detail != "" {
			return errors.New(explain(p))
		}
		return fmt.Errorf("%s answered %s", a.base, response.Status)
	}
	return json.Unmarshal(body, into)
}

// explain gives what a problem says of each field, too.
func explain(p web.Problem) string {
	texts := []string{p.Detail}
	for _, e := range p.Errors {
		texts = append(texts, e.Field+" "+e.Message)
	}
	return strings.Join(texts, "; ")
}
