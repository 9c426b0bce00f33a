package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	submitWithin = 30 * time.Second
	mostAnswer   = 64 << 10
)

// visitor is the client of the canaries: it goes the way of visitors, by its own
// connections, and follows no redirect, as a POST does not.
func visitor() *http.Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: submitWithin}
	return &http.Client{
		Transport: transport, Timeout: submitWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// submit posts a registration to a form by its public address, and returns its id. With
// the same key it may be repeated. No error holds what was submitted.
func submit(ctx context.Context, base, form, key string, values map[string]any) (id string, err error) {
	body, err := json.Marshal(values)
	if err != nil {
		return "", final(err)
	}
	address := strings.TrimRight(base, "/") + "/v1/forms/" + url.PathEscape(form) + "/registrations"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", final(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("User-Agent", "Onramp canary")
	response, err := visitor().Do(r)
	if err != nil {
		return "", &stepError{"the public address does not answer: " + err.Error(), hintPublic}
	}
	defer response.Body.Close()
	var answer struct{ ID string }
	data, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err == nil {
		err = json.Unmarshal(data, &answer)
	}
	refusal := &stepError{fmt.Sprintf("the public address has answered %d to it", response.StatusCode), hintPublic}
	switch status := response.StatusCode; {
	case status/100 == 2 && err == nil && answer.ID != "":
		return answer.ID, nil
	case status/100 == 2:
		return "", errors.New("what the public address answers is not Onramp's")
	case status == http.StatusUnprocessableEntity || status == http.StatusBadRequest || status == http.StatusForbidden:
		return "", final(refusal)
	}
	return "", refusal
}

const hintPublic = "operator: public.url must lead from this machine to the public listener, as it does for visitors"
