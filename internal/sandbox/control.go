package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"onramp/internal/sandbox/wire"
)

// maxControlBody is the largest body under /_sandbox/, in bytes.
const maxControlBody = 1 << 20

// controlError is a refusal under /_sandbox/. Its shape is the sandbox's own.
type controlError struct {
	Status  int    `json:"-"`
	Message string `json:"message"`
}

func (e *controlError) Error() string       { return e.Message }
func (e *controlError) answer() wire.Answer { return wire.JSON(e.Status, e) }

// control serves /_sandbox/. Nothing there is counted, delayed or faulted.
func (s *Sandbox) control(w http.ResponseWriter, r *http.Request) {
	a, err := s.controlAnswer(r)
	if err != nil {
		e := &controlError{http.StatusInternalServerError, "internal error"}
		if known, ok := errors.AsType[*controlError](err); ok {
			e = known
		} else {
			s.log.ErrorContext(r.Context(), "sandbox page failed", "err", err)
		}
		a = e.answer()
	}
	if a.ContentType == wire.HTMLType {
		// The page has no script and loads nothing; rows hold strangers' text.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	a.NoStore = true
	a.Write(w)
}

func (s *Sandbox) controlAnswer(r *http.Request) (wire.Answer, error) {
	type operation struct {
		method string
		run    func(*http.Request) (wire.Answer, error)
	}
	known := map[string]operation{
		"/_sandbox":         {"GET", s.page},
		"/_sandbox/":        {"GET", s.page},
		"/_sandbox/state":   {"GET", s.controlState},
		"/_sandbox/reset":   {"POST", s.controlReset},
		"/_sandbox/account": {"PUT", s.controlAccount},
		"/_sandbox/faults":  {"PUT", s.controlFaults},
		"/_sandbox/clock":   {"POST", s.controlClock},
		"/_sandbox/ens":     {"PUT", s.controlSending},
		"/_sandbox/events":  {"POST", s.controlEvents},
	}
	op, ok := known[r.URL.Path]
	if !ok {
		return wire.Answer{}, &controlError{http.StatusNotFound, "no such page; see /_sandbox/"}
	}
	if r.Method != op.method {
		return wire.Answer{}, &controlError{http.StatusMethodNotAllowed, "the method here is " + op.method}
	}
	return op.run(r)
}

// controlState answers GET /_sandbox/state?limit=N with everything, or with the
// newest N of each kind.
func (s *Sandbox) controlState(r *http.Request) (wire.Answer, error) {
	limit := -1
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 0 {
			return wire.Answer{}, &controlError{http.StatusBadRequest, fmt.Sprintf("limit %q is not a number from 0 up", text)}
		}
	}
	return wire.JSON(http.StatusOK, s.state(limit)), nil
}

// controlReset answers POST /_sandbox/reset with the clock.
func (s *Sandbox) controlReset(*http.Request) (wire.Answer, error) {
	s.Reset()
	return s.clockAnswer(), nil
}

// controlFaults answers PUT /_sandbox/faults with the faults now set.
func (s *Sandbox) controlFaults(r *http.Request) (wire.Answer, error) {
	var faults []Fault
	if err := decodeControl(r, &faults); err != nil {
		return wire.Answer{}, err
	}
	if faults == nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, "want a list of faults; [] clears them"}
	}
	if err := s.SetFaults(faults); err != nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire.JSON(http.StatusOK, map[string]any{"faults": s.world.faultList(s.now())}), nil
}

// controlClock answers POST /_sandbox/clock {"advance":"21m"} with the clock.
func (s *Sandbox) controlClock(r *http.Request) (wire.Answer, error) {
	var sent *struct {
		Advance *string `json:"advance"`
	}
	if err := decodeControl(r, &sent); err != nil {
		return wire.Answer{}, err
	}
	if sent == nil || sent.Advance == nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, `want {"advance":"21m"}`}
	}
	d, err := time.ParseDuration(*sent.Advance)
	if err == nil {
		err = s.Advance(d)
	}
	if err != nil {
		return wire.Answer{}, &controlError{http.StatusBadRequest, err.Error()}
	}
	return s.clockAnswer(), nil
}

func (s *Sandbox) clockAnswer() wire.Answer {
	return wire.JSON(http.StatusOK, map[string]time.Time{"clock": s.Now()})
}

// decodeControl reads one JSON value of exactly v's shape.
func decodeControl(r *http.Request, v any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxControlBody+1))
	if err != nil {
		return &controlError{http.StatusBadRequest, "the body could not be read"}
	}
	if len(body) > maxControlBody {
		return &controlError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxControlBody)}
	}
	return decodeStrictly(body, v)
}

// decodeStrictly reads one JSON value of exactly v's shape.
func decodeStrictly(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &controlError{http.StatusBadRequest, "the body does not fit: " + err.Error()}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &controlError{http.StatusBadRequest, "something follows the JSON value"}
	}
	return nil
}
