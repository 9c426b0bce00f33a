package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// answer is a response that is ready to be written. It is made first and
// written last, so that no lock is held while the network is slow.
type answer struct {
	status      int
	contentType string
	retryAfter  string // the header's value, or ""
	noStore     bool
	body        []byte
}

const (
	jsonType  = "application/json; charset=utf-8"
	htmlType  = "text/html; charset=utf-8"
	plainType = "text/plain; charset=utf-8"
)

// jsonAnswer encodes v as the body. Every v is built here from values that
// encode, so an error is a mistake in this package and shows as a bare 500.
func jsonAnswer(status int, v any) answer {
	body, err := encode(v)
	if err != nil {
		return answer{status: http.StatusInternalServerError, contentType: plainType, body: []byte(err.Error())}
	}
	return answer{status: status, contentType: jsonType, body: body}
}

// encode writes JSON without Go's HTML escapes: an echoed "<" comes back as it
// was sent.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// write sends the answer. A write error means that the caller has gone, and
// nothing is left to do about it.
func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	if a.contentType != "" {
		h.Set("Content-Type", a.contentType)
	}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
	if a.noStore {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}
