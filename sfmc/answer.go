package sfmc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody       = 64 << 10 // of an answer, kept in an Error
	maxRetryAfter = 24 * time.Hour
	// defaultLife is taken when a token answer does not say how long the token
	// lives: the documented expires_in.
	defaultLife = 1080 * time.Second
	maxLife     = 24 * time.Hour
)

// answer is an HTTP answer, read but not yet understood.
type answer struct {
	op      string
	status  int
	header  http.Header
	body    []byte // at most maxAnswer + 1 bytes
	readErr error  // why body is not all of it
	hide    Secret
	secrets []Secret // more of them, which errors must not show
}

// rows reads the answer to UpsertRows: an array of rows as Marketing Cloud
// repeats them, one such row, the {"results": […]} of some descriptions, or
// nothing.
func (a *answer) rows() ([]Row, error) {
	v, err := a.success()
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		if row, ok := rowOf(v); ok {
			return []Row{row}, nil
		}
		return nil, nil
	case []any:
		rows := make([]Row, 0, len(v))
		for _, el := range v {
			m, ok := el.(map[string]any)
			if !ok {
				return nil, a.unfit("an element is not a row")
			}
			row, _ := rowOf(m)
			rows = append(rows, row)
		}
		return rows, nil
	}
	return nil, a.unfit("neither rows nor results")
}

// stored reads the answer to StoreRows. It fails as rows does.
func (a *answer) stored() error {
	if a.isGood() && a.readErr == nil && len(a.body) <= maxAnswer && isEcho(a.trimmed()) {
		return nil
	}
	_, err := a.rows()
	return err
}

// isEcho reports whether b is the usual answer to rows that were stored: valid JSON,
// an array of objects with no members but "keys" and "values". Of such an answer
// rows cannot make an error. It says no to what means the same but is spelled
// otherwise.
func isEcho(b []byte) bool {
	if !json.Valid(b) {
		return false
	}
	depth, name := 0, false // name: the next string is the name of a row's member
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '{', '[':
			if depth == 0 && c == '{' || depth == 1 && c == '[' {
				return false
			}
			depth++
			name = depth == 2
		case '}', ']':
			depth--
		case ',':
			name = depth == 2
		case ' ', '\t', '\r', '\n', ':':
		case '"':
			begin := i + 1
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth < 2 || name && string(b[begin:i]) != "keys" && string(b[begin:i]) != "values" {
				return false
			}
			name = false
		default: // of a number, true, false or null
			if depth < 2 {
				return false
			}
		}
	}
	return true
}

// rowOf reads {"keys": {…}, "values": {…}}; ok reports whether m has any of it.
func rowOf(m map[string]any) (row Row, ok bool) {
	keys, hasKeys := member(m, "keys").(map[string]any)
	values, hasValues := member(m, "values").(map[string]any)
	row.Keys = keys
	if hasValues {
		row.Values = values
	}
	return row, hasKeys || hasValues
}

// named reads an answer that is an object with one member that matters; "" when
// the answer is empty, or the member is missing.
func (a *answer) named(name string) (string, error) {
	v, err := a.success()
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case nil:
		return "", nil
	case map[string]any:
		return text(v, name), nil
	}
	return "", a.unfit("not an object")
}

// batch is the answer to several things that were sent together.
type batch struct {
	body     map[string]any
	elements []map[string]any // one for each that was sent, in order
	errs     []*Error         // one for each; nil: accepted
}

// batch reads the answer to n things that were sent together: an object whose
// list of the given name has an element for each. It is an *Error if the answer
// says nothing of the single ones, or not of all.
func (a *answer) batch(name string, n int) (batch, error) {
	v, err := a.decode()
	f := readFault(v)
	m, _ := v.(map[string]any)
	els := list(m, name)
	// A 400 for a batch of which nothing was accepted may tell why for each.
	if !a.isGood() && (a.status != http.StatusBadRequest || len(els) != n) {
		return batch{}, a.failure(f, nil)
	}
	switch {
	case err != nil:
		return batch{}, a.failure(fault{}, err)
	case len(els) == 0 && f.found:
		return batch{}, a.failure(f, nil)
	case len(els) != n:
		return batch{}, a.unfit(fmt.Sprintf("%d %s for %d sent", len(els), name, n))
	}
	b := batch{body: m, elements: make([]map[string]any, n), errs: make([]*Error, n)}
	failed := false
	for i, el := range els {
		obj, ok := el.(map[string]any)
		if !ok {
			return batch{}, a.unfit("an element of " + name + " is not an object")
		}
		b.elements[i] = obj
		if isFaulty(obj) {
			b.errs[i], failed = a.part(obj), true
		}
	}
	if !failed && (f.found || !a.isGood()) {
		return batch{}, a.failure(f, nil) // not of one, then of all
	}
	for i := range b.errs {
		if !a.isGood() && b.errs[i] == nil {
			b.errs[i] = a.part(m)
		}
	}
	return b, nil
}

// part makes the error of one element of an answer, with the secret cut out.
func (a *answer) part(m map[string]any) *Error {
	d := detail(m)
	e := &Error{Op: a.op, Status: a.status, Code: d.Code, CodeText: d.CodeText, Message: d.Message, Documentation: d.Documentation}
	e.hide(a.hide)
	return e
}

// token reads the answer to a token request that was begun at the given time.
// Its life is counted from there: the vendor's clock started no earlier.
func (a *answer) token(begun time.Time) (*Token, error) {
	v, err := a.success()
	if err != nil {
		return nil, err
	}
	m, _ := v.(map[string]any)
	access := word(m, "access_token")
	if access == "" {
		return nil, a.unfit("no access token")
	}
	life := seconds(member(m, "expires_in"), maxLife)
	if life <= 0 {
		life = defaultLife
	}
	return &Token{
		AccessToken:     Secret(access),
		TokenType:       word(m, "token_type"),
		Scope:           word(m, "scope"),
		RESTInstanceURL: word(m, "rest_instance_url"),
		SOAPInstanceURL: word(m, "soap_instance_url"),
		// Round takes off the monotonic clock, which stops while a machine
		// sleeps and cannot be stored.
		ExpiresAt: begun.Add(life).Round(0),
	}, nil
}

// success gives the JSON value of an answer that reports success, nil if it is
// empty; any other answer is an *Error.
func (a *answer) success() (any, error) { return a.verdict(a.decode()) }

// verdict gives what success does, of an answer that was decoded.
func (a *answer) verdict(v any, err error) (any, error) {
	if !a.isGood() {
		// The status alone is a verdict: what could not be read is left out.
		return nil, a.failure(readFault(v), nil)
	}
	if err != nil {
		return nil, a.failure(fault{}, err)
	}
	if f := readFault(v); f.found {
		return nil, a.failure(f, nil)
	}
	if s, ok := v.(string); ok && s == "" {
		return nil, nil // a body of two quotes, as some routes send for "nothing"
	}
	return v, nil
}

// isGood reports whether the status is one of success.
func (a *answer) isGood() bool { return a.status >= 200 && a.status <= 299 }

// decode reads the body as one JSON value, numbers as json.Number; nil if it is
// blank.
func (a *answer) decode() (any, error) {
	if a.readErr != nil {
		return nil, fmt.Errorf("read answer: %w", a.readErr)
	}
	if len(a.body) > maxAnswer {
		return nil, fmt.Errorf("%w: more than %d MiB", ErrAnswer, maxAnswer>>20)
	}
	body := a.trimmed()
	if len(body) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		// One value, and nothing after it.
		if _, more := d.Token(); errors.Is(more, io.EOF) {
			return v, nil
		}
	}
	switch {
	case a.isHTML():
		return nil, fmt.Errorf("%w: an HTML page", ErrAnswer)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: JSON that is cut off", ErrAnswer)
	}
	return nil, fmt.Errorf("%w: not JSON", ErrAnswer)
}

func (a *answer) trimmed() []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(a.body, []byte("\ufeff")))
}

func (a *answer) isHTML() bool {
	return bytes.HasPrefix(a.trimmed(), []byte("<")) || strings.Contains(strings.ToLower(a.header.Get("Content-Type")), "html")
}

// unfit is the error for JSON which is not what the operation answers.
func (a *answer) unfit(why string) *Error {
	return a.failure(fault{}, fmt.Errorf("%w: %s", ErrAnswer, why))
}

// failure makes the error of this answer, with the secret cut out.
func (a *answer) failure(f fault, cause error) *Error {
	e := &Error{
		Op:            a.op,
		Status:        a.status,
		Code:          f.Code,
		CodeText:      f.CodeText,
		Message:       f.Message,
		Documentation: f.Documentation,
		Additional:    f.additional,
		RetryAfter:    retryAfter(a.header.Get("Retry-After"), f.retryAfter, time.Now()),
		Err:           cause,
	}
	if e.Message == "" {
		e.Message = a.plainMessage()
	}
	if !a.isGood() || !holdsSecret(a.op) {
		e.Body = a.body
	} else if cause != nil {
		e.Message = "" // a piece of the body, like Body
	}
	e.hide(a.hide)
	for _, secret := range a.secrets {
		e.hide(secret)
	}
	if len(e.Body) > maxBody {
		// Cut after the secret is gone, or half of it might stay; and into
		// new memory, so that the rest of the answer can be freed.
		e.Body = bytes.Clone(e.Body[:maxBody])
	}
	return e
}

// holdsSecret reports whether an operation is answered with a secret, which cannot
// be cut out of an answer that was not understood.
func holdsSecret(op string) bool {
	return op == OpToken || op == OpCreateCallback || op == OpRegenerateSignatureKey
}

// plainMessage is what to say when the body has no message: where a
// redirect leads, or the beginning of a plain text ("Too Many Requests").
func (a *answer) plainMessage() string {
	if location := a.header.Get("Location"); location != "" && a.status/100 == 3 {
		if u, err := url.Parse(location); err == nil && u.Host != "" {
			return "redirects are not followed, this one leads to " + clip(u.Host)
		}
		return "redirects are not followed"
	}
	body := a.trimmed()
	if len(body) == 0 || a.isHTML() || bytes.ContainsAny(body[:1], `{["`) {
		return ""
	}
	line, _, _ := bytes.Cut(body[:min(len(body), maxText)], []byte("\n"))
	return clip(string(bytes.TrimSpace(line)))
}

// cut cuts the secret out of a text of this answer.
func (a *answer) cut(s string) string { return a.hide.cut(s) }

// retryAfter reads the header (seconds or an HTTP date, RFC 9110, 10.2.3), or
// else takes what the body said.
func retryAfter(header string, body time.Duration, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if _, err := strconv.ParseFloat(header, 64); err == nil {
		return seconds(json.Number(header), maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return body
}

// seconds reads a JSON number, or a string that is one, as seconds: 0 if it is
// neither or not positive, most at most.
func seconds(v any, most time.Duration) time.Duration {
	n, err := strconv.ParseFloat(scalar(v), 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), !(n > 0):
		return 0
	case n >= most.Seconds():
		return most
	}
	return time.Duration(n * float64(time.Second))
}
