package bench

import (
	"io"
	"net/http"
)

// bareAnswer has the members and the length of the product's own answer, so
// that both servers write the same number of bytes.
const bareAnswer = `{"id":"019a4c1e-7b52-7d03-9c41-5f2a8be06d17","status":"accepted","form":"newsletter","received_at":"2026-01-01T00:00:00.000000Z"}` + "\n"

// Bare returns the handler that the product is compared with: it reads the
// whole body, looks at nothing and keeps nothing, and answers 202 with a fixed
// JSON object. No handler on net/http that answers in the same form can do
// less.
func Bare() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "body not readable", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		// A client that has gone needs no answer, and nobody waits for the error.
		_, _ = io.WriteString(w, bareAnswer)
	})
}
