package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"onramp/internal/onramp"
)

// maxAnswer is the largest answer that a Client reads, in bytes.
const maxAnswer = 64 << 20

// Client calls an API that answers with JSON.
type Client struct {
	Base   string        // URL that each path is added to
	Token  onramp.Secret // bearer token; "": none
	Header http.Header   // sent with each request
	HTTP   *http.Client  // nil: http.DefaultClient
}

// Call sends a request and decodes the answer into a value, unless that is nil.
// The body is url.Values for a form, anything else is sent as JSON, and nil for
// none. The error is an *AnswerError when there was an answer, but not the one
// that is wanted, and a *url.Error when the server can't be reached.
func (c *Client) Call(ctx context.Context, method, path string, body, into any) error {
	r, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return &AnswerError{From: c.Base, Status: response.Status, Body: answer}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return &AnswerError{From: c.Base, Status: response.Status, Body: answer, Err: err}
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	content, contentType, err := encodeBody(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.Base+path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if c.Header != nil {
		r.Header = c.Header.Clone()
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	}
	return r, nil
}

func encodeBody(body any) (content []byte, contentType string, err error) {
	switch b := body.(type) {
	case nil:
		return nil, "", nil
	case url.Values:
		return []byte(b.Encode()), "application/x-www-form-urlencoded", nil
	}
	content, err = json.Marshal(body)
	return content, "application/json", err
}

// AnswerError is an answer that reports a failure, or that can't be decoded.
type AnswerError struct {
	From   string // the client's Base
	Status string // such as "404 Not Found"
	Body   []byte
	Err    error // why the body of a success can't be decoded; nil for a failure
}

// Error gives the detail of a problem document and what it says of each field;
// without one, who answered and the status.
func (e *AnswerError) Error() string {
	var p Problem
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s answered %s with a body that can't be read: %v", e.From, e.Status, e.Err)
	case json.Unmarshal(e.Body, &p) != nil || p.Detail == "":
		return e.From + " answered " + e.Status
	}
	texts := []string{p.Detail}
	for _, f := range p.Errors {
		texts = append(texts, f.Field+" "+f.Message)
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives why the body can't be decoded.
func (e *AnswerError) Unwrap() error { return e.Err }
