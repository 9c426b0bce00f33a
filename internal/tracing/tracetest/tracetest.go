// Package tracetest is a collector for tests: it takes traces by OTLP over HTTP, and
// shows them as trees.
package tracetest

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes traces. It is safe for concurrent use.
type Collector struct {
	URL string // base URL

	mu       sync.Mutex
	spans    []*trace.Span
	resource []*common.KeyValue
	header   http.Header // of the last request
	raw      bytes.Buffer
}

// New starts a collector until the test ends.
func New(t *testing.T) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("an export can't be read: %v", err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) take(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
		return fmt.Errorf("%s %s", r.Method, r.URL.Path)
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			return err
		}
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(raw, &request); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(raw)
	_ = r.Header.Write(&c.raw) // a buffer takes everything
	c.header = r.Header
	for _, of := range request.ResourceSpans {
		c.resource = of.Resource.Attributes
		for _, scope := range of.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	return nil
}

// Raw is all that has come, without its compression.
func (c *Collector) Raw() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.raw.Bytes())
}

// Header is that of the last request.
func (c *Collector) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header.Clone()
}

// Resource describes who has sent the last request: "key=value", sorted.
func (c *Collector) Resource() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return describe(c.resource)
}

// Spans is how many have come.
func (c *Collector) Spans() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.spans)
}

// TraceOf gives the id of the trace of the first span with a name, in hexadecimal; "" if
// there is none.
func (c *Collector) TraceOf(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.Name == name {
			return hex.EncodeToString(s.TraceId)
		}
	}
	return ""
}

// Tree writes a trace as a tree: for each span its name, kind, attributes, status and
// tracestate, indented below its parent, in the order in which they began. A parent that
// did not come is named by its id. Below a span stand the names of those that it has
// links to.
func (c *Collector) Tree(traceID string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var of []*trace.Span
	known := map[string]bool{}
	for _, s := range c.spans {
		if hex.EncodeToString(s.TraceId) == traceID {
			of = append(of, s)
			known[string(s.SpanId)] = true
		}
	}
	slices.SortStableFunc(of, func(a, b *trace.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	var b strings.Builder
	for _, s := range of {
		if !known[string(s.ParentSpanId)] {
			if len(s.ParentSpanId) > 0 {
				fmt.Fprintf(&b, "(%x)\n", s.ParentSpanId)
			}
			c.write(&b, of, s, 0)
		}
	}
	return b.String()
}

func (c *Collector) write(b *strings.Builder, of []*trace.Span, s *trace.Span, depth int) {
	indent := strings.Repeat("  ", depth)
	kind := strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"))
	fmt.Fprintf(b, "%s%s (%s) %s", indent, s.Name, kind, strings.Join(describe(s.Attributes), " "))
	if s.Status.GetCode() == trace.Status_STATUS_CODE_ERROR {
		fmt.Fprintf(b, " ERROR %s", s.Status.Message)
	}
	if s.TraceState != "" {
		fmt.Fprintf(b, " state %s", s.TraceState)
	}
	b.WriteString("\n")
	for _, link := range s.Links {
		fmt.Fprintf(b, "%s  -> %s\n", indent, c.name(link.SpanId))
	}
	for _, child := range of {
		if bytes.Equal(child.ParentSpanId, s.SpanId) {
			c.write(b, of, child, depth+1)
		}
	}
}

func (c *Collector) name(spanID []byte) string {
	for _, s := range c.spans {
		if bytes.Equal(s.SpanId, spanID) {
			return s.Name
		}
	}
	return "(unknown)"
}

func describe(attributes []*common.KeyValue) []string {
	var all []string
	for _, a := range attributes {
		var value any
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			value = v.StringValue
		case *common.AnyValue_IntValue:
			value = v.IntValue
		case *common.AnyValue_BoolValue:
			value = v.BoolValue
		}
		all = append(all, fmt.Sprintf("%s=%v", a.Key, value))
	}
	slices.Sort(all)
	return all
}
