package web

import (
	"net/http"
	"strings"
)

// Unmatched adds what answers requests that no other route of the mux takes:
// problem documents with 404, or 405 when the address exists for other methods.
func (s *Server) Unmatched(mux *http.ServeMux) {
	mux.Handle("/", s.Handle(func(w http.ResponseWriter, r *http.Request) error {
		allowed := methodsOf(mux, r)
		if len(allowed) == 0 {
			return NotFound(w, r)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeProblem(w, http.StatusMethodNotAllowed, "this address accepts "+strings.Join(allowed, ", "), nil)
		return nil
	}))
}

// methodsOf lists the methods for which the mux has a route to the address.
func methodsOf(mux *http.ServeMux, r *http.Request) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// Harden sets the headers that every answer should have.
func Harden(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Content-Type-Options"] = []string{"nosniff"}
		h.ServeHTTP(w, r)
	})
}

// StrictTransport has browsers come by https only, for a year (HSTS, RFC 6797). Whoever
// uses it must be sure that all visitors come by https.
func StrictTransport(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Strict-Transport-Security"] = []string{"max-age=31536000"}
		h.ServeHTTP(w, r)
	})
}
