package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"onramp/internal/onramp"
)

const (
	// linesPerSecond of each kind are written of what strangers can cause at will.
	// The rest of a second is counted, and has one line.
	linesPerSecond = 10
	second         = time.Second
)

// refusalKind is what refusals are counted by. There are few: neither part of it
// is made of what was sent.
type refusalKind struct {
	status int
	reason string
}

// ration lets a few lines of each kind pass in each second, and counts the rest.
// The zero value can be used.
type ration struct {
	mu    sync.Mutex
	kinds map[refusalKind]*int // lines of the current second
}

// allow says whether one more line may be written. If not, it is counted: total is
// called with the count when the second is over.
func (r *ration) allow(kind refusalKind, total func(more int)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kinds == nil {
		r.kinds = map[refusalKind]*int{}
	}
	lines := r.kinds[kind]
	if lines == nil {
		lines = new(int)
		r.kinds[kind] = lines
		time.AfterFunc(second, func() {
			r.mu.Lock()
			more := *lines - linesPerSecond
			delete(r.kinds, kind)
			r.mu.Unlock()
			if more > 0 {
				total(more)
			}
		})
	}
	*lines++
	return *lines <= linesPerSecond
}

// refusalLog writes what a listener refuses before a handler sees it.
type refusalLog struct {
	log    *slog.Logger
	part   string
	meter  Meter
	ration ration
}

// refused counts a refusal, and writes one line. A reason that is "" is that of the status; a status
// that is 0 was not sent.
func (l *refusalLog) refused(status int, reason string) { l.write(slog.LevelWarn, status, reason) }

// write is refused, at a level.
func (l *refusalLog) write(level slog.Level, status int, reason string) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	if reason == "" {
		reason = statusReason(status)
	}
	l.meter.Refused(l.part, reason)
	attributes := []slog.Attr{slog.String("part", l.part), slog.String("reason", reason)}
	if status != 0 {
		attributes = append(attributes, slog.Int("status", status))
	}
	more := func(count int) {
		l.log.LogAttrs(context.Background(), level, "more of the same", append(attributes, slog.Int("count", count))...)
	}
	if l.ration.allow(refusalKind{status, reason}, more) {
		l.log.LogAttrs(context.Background(), level, "refused", attributes...)
	}
}

// statusReason makes a word of a status, such as too_many_requests.
func statusReason(status int) string {
	text := strings.ToLower(http.StatusText(status))
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-':
			return '_'
		case r == '\'':
			return -1
		}
		return r
	}, text)
}

// reasonOf names why a request was not answered with what it asked for.
func reasonOf(status int, err error) string {
	if err != nil && PublicError(err).Kind == onramp.Unavailable {
		return "unavailable"
	}
	if status == statusClientGone {
		return "client_gone"
	}
	return statusReason(status)
}

// methodName is the method for the log. It comes from a list, since a stranger
// can send any text.
func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return method
	}
	return "OTHER"
}

// panicked is the error of a panic. Only the runtime's own texts are known not to
// hold what a stranger has sent; of anything else the type must do.
func panicked(p any, stack []byte) error {
	if err, ok := p.(runtime.Error); ok {
		return fmt.Errorf("panic: %w\n%s", err, stack)
	}
	return fmt.Errorf("panic: a value of type %T\n%s", p, stack)
}

// serverLog takes what net/http logs by itself. There is nothing but its text to
// tell one from another, and that may quote an address or what was sent: so the
// beginnings that are known become a word, and no text is kept.
type serverLog struct{ gate *gate }

func (s serverLog) Write(line []byte) (int, error) {
	reason := "net_http"
	for begin, word := range map[string]string{
		"http: Accept error":                     "accept_error",
		"http: panic serving":                    "panic",
		"http: superfluous response.WriteHeader": "second_status",
		"http: URL query contains semicolon":     "semicolon_in_query",
		"http2: server connection error":         "http2_connection_error",
	} {
		if strings.HasPrefix(string(line), begin) {
			reason = word
		}
	}
	s.gate.log.refused(0, reason)
	return len(line), nil
}
