package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"onramp/internal/web"
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

// trigger asks a sandbox for events and prints its answer.
func (c *command) trigger(ctx context.Context, sandbox string, t trigger) error {
	client := web.Client{Base: strings.TrimRight(sandbox, "/"), HTTP: &http.Client{Timeout: time.Minute}}
	var done triggered
	err := client.Call(ctx, http.MethodPost, "/_sandbox/events", t, &done)
	refused, answered := errors.AsType[*web.AnswerError](err)
	if answered && refused.Err == nil {
		_ = json.Unmarshal(refused.Body, &done) // it may come from any server
	}
	switch {
	case answered && done.Message == "":
		return fmt.Errorf("%s is not an Onramp sandbox: it answered %s", client.Base, refused.Status)
	case answered:
		return errors.New(oneLine(done.Message))
	case err != nil:
		return fmt.Errorf("no sandbox answers at %s (is onramp sandbox or demo running?): %w", client.Base, err)
	case done.Message == "":
		return fmt.Errorf("%s is not an Onramp sandbox: its answer has no message", client.Base)
	}
	if c.output == "json" {
		return c.printJSON(done)
	}
	fmt.Fprintln(c.Stdout, oneLine(done.Message))
	return nil
}
