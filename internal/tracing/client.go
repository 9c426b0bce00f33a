package tracing

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// tracesPath is where collectors take traces, below their base URL.
	tracesPath      = "/v1/traces"
	defaultEndpoint = "http://localhost:4318"
	sendWithin      = 10 * time.Second // one request
	retryWithin     = time.Minute      // all of them, for a batch
	firstRetry      = 5 * time.Second
	lastRetry       = 30 * time.Second
	longestAnswer   = 64 << 10
)

// client sends spans by OTLP over HTTP (OpenTelemetry Protocol Specification 1.10, section
// "OTLP/HTTP"). The library's own client would link all of gRPC, a tenth of the program.
type client struct {
	http    *http.Client
	url     string
	headers http.Header
	plain   bool // not compressed
}

// newClient reads what the configuration leaves out from the standard variables
// (specification, "OpenTelemetry Protocol Exporter").
func newClient(cfg *Config) (*client, error) {
	c := &client{headers: http.Header{}, plain: variable("COMPRESSION") == "none"}
	var err error
	if c.url, err = cfg.endpoint(); err != nil {
		return nil, err
	}
	if protocol := variable("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		cfg.Log.Warn("traces are sent by http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
	}
	for pair := range strings.SplitSeq(variable("HEADERS"), ",") {
		if name, value, found := strings.Cut(pair, "="); found {
			if decoded, err := url.PathUnescape(strings.TrimSpace(value)); err == nil {
				value = decoded
			}
			c.headers.Set(strings.TrimSpace(name), value)
		}
	}
	for name, value := range cfg.Headers {
		c.headers.Set(name, value.Reveal())
	}
	within := sendWithin
	if milliseconds, err := strconv.Atoi(variable("TIMEOUT")); err == nil && milliseconds > 0 {
		within = time.Duration(milliseconds) * time.Millisecond
	}
	trusted, err := trust()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = trusted
	c.http = &http.Client{Transport: transport, Timeout: within}
	return c, nil
}

// variable is a standard variable: the one for traces takes precedence.
func variable(name string) string {
	return strings.TrimSpace(cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name), os.Getenv("OTEL_EXPORTER_OTLP_"+name)))
}

// endpoint is the URL for traces. The variable for traces alone holds it as it is, all
// others the base URL.
func (c *Config) endpoint() (string, error) {
	base, whole := cmp.Or(c.Endpoint, os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")), os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if c.Endpoint != "" {
		whole = ""
	}
	u, err := url.Parse(cmp.Or(whole, base, defaultEndpoint))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("the address of the collector must be a URL such as http://localhost:4318")
	}
	if whole == "" && !strings.HasSuffix(u.Path, tracesPath) {
		u = u.JoinPath(tracesPath)
	}
	return u.String(), nil
}

// trust is whom we trust beside those that the system does, and who we are.
func trust() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := variable("CERTIFICATE"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %s holds no certificate", file)
		}
	}
	if file, key := variable("CLIENT_CERTIFICATE"), variable("CLIENT_KEY"); file != "" && key != "" {
		pair, err := tls.LoadX509KeyPair(file, key)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// Start connects to nothing.
func (c *client) Start(context.Context) error { return nil }

// Stop closes what is idle.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces sends spans, and again while the collector asks for that.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// on the wire it is what a request to a collector is
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	if !c.plain {
		body = compress(body)
	}
	ctx, cancel := context.WithTimeout(ctx, retryWithin)
	defer cancel()
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		again, err := c.post(ctx, body)
		if err == nil || again < 0 {
			return err
		}
		timer := time.NewTimer(cmp.Or(again, wait/2+rand.N(wait/2)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// never is how long to wait before what is in vain.
const never = -1

// post sends one request. With an error it says how long to wait before the next one:
// never, or as long as the collector asks for; 0: it asks for no time.
func (c *client) post(ctx context.Context, body []byte) (again time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return never, err
	}
	r.Header = c.headers.Clone()
	r.Header.Set("Content-Type", "application/x-protobuf")
	if !c.plain {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, longestAnswer)) // what is there says enough
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return never, rejected(said)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return time.Duration(seconds) * time.Second, fmt.Errorf("the collector answered %s", answer.Status)
	}
	return never, fmt.Errorf("the collector answered %s", answer.Status)
}

// rejected reads from a success whether some spans were rejected: an
// ExportTraceServiceResponse holds an ExportTracePartialSuccess as field 1, and that their
// number as field 1.
func rejected(answer []byte) error {
	partial, _ := protowire.ConsumeBytes(fieldOne(answer, protowire.BytesType))
	count, _ := protowire.ConsumeVarint(fieldOne(partial, protowire.VarintType))
	if count == 0 {
		return nil
	}
	return fmt.Errorf("the collector has rejected %d spans", count)
}

// fieldOne is what a message holds as field 1; nil: nothing, or it is no message.
func fieldOne(message []byte, of protowire.Type) []byte {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return nil
		}
		size := protowire.ConsumeFieldValue(number, kind, message[tag:])
		switch {
		case size < 0:
			return nil
		case number == 1 && kind == of:
			return message[tag : tag+size]
		}
		message = message[tag+size:]
	}
	return nil
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // into memory
	_ = w.Close()
	return b.Bytes()
}
