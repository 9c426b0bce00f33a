package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// trigger is the body of POST /_sandbox/events.
type trigger struct {
	Type       string                     `json:"type"`
	MessageKey string                     `json:"message_key,omitempty"`
	ContactKey string                     `json:"contact_key,omitempty"`
	To         string                     `json:"to,omitempty"`
	Count      int                        `json:"count"`
	Callback   string                     `json:"callback,omitempty"`
	Fields     map[string]json.RawMessage `json:"fields,omitempty"`
}

// triggered is the answer, also when it is a refusal.
type triggered struct {
	Queued        int    `json:"queued"`
	Subscriptions int    `json:"subscriptions"`
	Message       string `json:"message"`
}

// parseEventFields reads NAME=VALUE: a value that is JSON is that, any other is
// a text.
func parseEventFields(list []string) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	for _, one := range list {
		name, value, ok := strings.Cut(one, "=")
		if !ok || name == "" {
			return nil, errors.New("--field takes NAME=VALUE")
		}
		if fields[name] != nil {
			return nil, fmt.Errorf("--field names %s twice", name)
		}
		if fields[name] = json.RawMessage(value); !json.Valid(fields[name]) {
			text, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			fields[name] = text
		}
	}
	return fields, nil
}

// trigger asks a sandbox for events and prints what it says to that.
func (c *command) trigger(ctx context.Context, sandbox string, t trigger) error {
	content, err := json.Marshal(t)
	if err != nil {
		return err
	}
	sandbox = strings.TrimRight(sandbox, "/")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, sandbox+"/_sandbox/events", bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("--sandbox: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Timeout: time.Minute}).Do(r)
	if err != nil {
		return fmt.Errorf("no sandbox answers at %s (is onramp sandbox or demo running?): %w", sandbox, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", sandbox, err)
	}
	var done triggered
	switch err := json.Unmarshal(body, &done); {
	case err != nil || done.Message == "":
		return fmt.Errorf("%s is no sandbox of onramp: it answered %s", sandbox, response.Status)
	case response.StatusCode >= http.StatusMultipleChoices:
		return errors.New(oneLine(done.Message))
	}
	if c.output == "json" {
		return c.printJSON(done)
	}
	fmt.Fprintln(c.Stdout, oneLine(done.Message))
	return nil
}
