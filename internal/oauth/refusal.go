package oauth

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"onramp/internal/web"
)

// refusal is an error of the token endpoint (RFC 6749, 5.2).
type refusal struct {
	status      int
	code        string // error
	description string // only what 5.2 allows: printable ASCII without quote and backslash; never what was sent
	retryAfter  time.Duration
	cause       string // for the log; may be empty
}

func (r *refusal) Error() string {
	text := r.code + ": " + r.description
	if r.cause != "" {
		text += " (" + r.cause + ")"
	}
	return text
}

func invalidRequest(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

// invalidClient is always a 401 with a challenge. 5.2 asks for that when the
// client came with an Authorization header, and allows it for the rest.
func invalidClient(description, cause string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: "invalid_client", description: description, cause: cause}
}

func invalidGrant(description, cause string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_grant", description: description, cause: cause}
}

func invalidScope(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_scope", description: description}
}

// tooManyTries has the error code of RFC 8628, 3.5. RFC 6749 has none for it,
// and invalid_client would have to be a 401 and say that the secret was looked at.
func tooManyTries(cause string) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, code: "slow_down", retryAfter: tryEvery,
		description: "too many failed attempts; wait before the next one", cause: cause,
	}
}

// tooLarge keeps the status that says it best; 5.2 has no word for it.
func tooLarge() *refusal {
	r := invalidRequest("the body is larger than 64 KiB")
	r.status = http.StatusRequestEntityTooLarge
	return r
}

// unknownCoding keeps the status that goes with Accept-Encoding (RFC 7694, 3).
func unknownCoding() *refusal {
	r := invalidRequest("the content coding of the body is not known")
	r.status = http.StatusUnsupportedMediaType
	return r
}

// write answers with the refusal.
func (r *refusal) write(w http.ResponseWriter) {
	if r.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="onramp"`)
	}
	if r.status == http.StatusUnsupportedMediaType {
		w.Header().Set("Accept-Encoding", web.Codings)
	}
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(r.retryAfter/time.Second)))
	}
	writeJSON(w, r.status, map[string]string{"error": r.code, "error_description": r.description})
}

// writeJSON answers as RFC 6749, 5.1 and 5.2 want it: in JSON that nobody stores.
func writeJSON(w http.ResponseWriter, status int, value any) {
	body, _ := json.Marshal(value) // of texts and numbers, which it can't refuse
	h := w.Header()
	h["Content-Type"] = []string{"application/json;charset=UTF-8"}
	h["Cache-Control"] = []string{"no-store"}
	h["Pragma"] = []string{"no-cache"}
	h["Content-Length"] = []string{strconv.Itoa(len(body) + 1)}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone away is nobody's error
}
