package certificate

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

// maxSaid is how much of an authority's answer is kept in memory, to look into it.
const maxSaid = 1 << 20

// transport notes why an authority could not verify a host. The manager drops that, and
// only says that no kind of proof was left to try.
type transport struct {
	mu   sync.Mutex
	whys map[string]string // by host: of the last authorization
}

// about is why a host could not be verified at the last try; "": it is not known.
func (t *transport) about(host string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.whys[host]
}

// forget begins another try.
func (t *transport) forget(host string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.whys, host)
}

// RoundTrip makes the call.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
		return answer, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxSaid))
	answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	t.note(body)
	return answer, err
}

// note takes an authorization (RFC 8555, 7.1.4), if it is one.
func (t *transport) note(body []byte) {
	var authorization struct {
		Identifier struct{ Value string }
		Challenges []struct {
			Error struct{ Detail string }
		}
	}
	if json.Unmarshal(body, &authorization) != nil || authorization.Identifier.Value == "" {
		return
	}
	var whys []string
	for _, c := range authorization.Challenges {
		if c.Error.Detail != "" {
			whys = append(whys, c.Error.Detail)
		}
	}
	if len(whys) == 0 && len(authorization.Challenges) > 0 {
		return // it is still being verified, perhaps in another way
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.whys == nil {
		t.whys = map[string]string{}
	}
	t.whys[authorization.Identifier.Value] = strings.Join(whys, "; ")
}
