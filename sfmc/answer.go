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

// What success looks like. Any 2xx status will do, since the pages and what is seen
// of Marketing Cloud differ in it; the body decides:
//
//	POST /v2/token                          an object with access_token (page "Access Token Request Parameters")
//	POST …/dataevents/key:K/rowset          the rows again, one for each (page "Upsert a Data Extension Rowset by
//	                                        Key"), or results whose rows add up (Onramp's specification, 4.3)
//	PUT, POST …/async/dataextensions/…/rows an object with requestId, no error in resultMessages (page "Data
//	                                        Extensions Asynchronous API")
//	GET …/async/ID/status                   status; none is "not found yet": so it is answered under load (pull
//	                                        request 4028 of segmentio/action-destinations)
//	GET …/async/ID/results                  items, one for each row; none is "not found yet"
//	POST /interaction/v1/events             an object with eventInstanceId (page "Fire Entry Event")
//	POST /interaction/v1/async/events       members, one for each, with eventInstanceId or an error (page "Enter
//	                                        Contacts into a Journey in Batches")
//	POST …/email/messages[/KEY]             responses, one for each, with its messageKey or an error (pages "Send
//	                                        Message to Single Recipient" and "… to Multiple Recipients")
//	POST, PUT /platform/v1/ens-…            the object with its id, in an array or not; an update also 304
//	GET /platform/v1/ens-…                  the same; a list is an array, or 404 for none
//	DELETE /platform/v1/ens-…, ens-verify   200, of which the pages show no body: an empty one, too
//
// Everything else is an Error with ErrAnswer.

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

// rows reads the answer to UpsertRows with n rows: an array of the rows as Marketing
// Cloud repeats them, the only row, or the {"results": […]} of some descriptions,
// which repeats none.
func (a *answer) rows(n int) ([]Row, error) {
	v, err := a.success()
	if err != nil {
		return nil, err
	}
	stored, rows := 0, []Row(nil)
	switch v := v.(type) {
	case map[string]any:
		if row, ok := rowOf(v); ok {
			stored, rows = 1, []Row{row}
		} else {
			stored = storedRows(list(v, "results"))
		}
	case []any:
		for _, el := range v {
			m, _ := el.(map[string]any)
			row, ok := rowOf(m)
			if !ok {
				return nil, a.unfit("an element is not a row")
			}
			rows = append(rows, row)
		}
		stored = len(rows)
	}
	if stored != n {
		return nil, a.unfit(fmt.Sprintf("%d rows stored of %d sent", stored, n))
	}
	return rows, nil
}

// storedRows is how many rows the elements of "results" say were stored.
func storedRows(results []any) (n int) {
	for _, el := range results {
		if m, ok := el.(map[string]any); ok && strings.EqualFold(text(m, "status"), "OK") {
			n += whole(m, "rows")
		}
	}
	return n
}

// stored reads the answer to StoreRows with n rows. It fails as rows does.
func (a *answer) stored(n int) error {
	if a.isGood() && a.readErr == nil && len(a.body) <= maxAnswer {
		if rows, ok := echoedRows(a.trimmed()); ok && rows == n {
			return nil
		}
	}
	_, err := a.rows(n)
	return err
}

// echoedRows counts the rows in the usual answer to rows that were stored: valid
// JSON, an array of objects that have "keys" and "values", which are objects, and
// no other members. Of such an answer rows cannot make an error. It is not ok with
// what means the same but is spelled otherwise.
func echoedRows(b []byte) (n int, ok bool) {
	if !json.Valid(b) || b[0] != '[' {
		return 0, false
	}
	for i := 1; ; n++ {
		if i = skip(b, i, " \t\r\n,"); b[i] == ']' {
			return n, true
		}
		if i, ok = endOfRow(b, i); !ok {
			return 0, false
		}
	}
}

// endOfRow finds what follows the row that begins at i, in valid JSON.
func endOfRow(b []byte, i int) (end int, ok bool) {
	if b[i] != '{' {
		return 0, false
	}
	for i, members := i+1, 0; ; members++ {
		if i = skip(b, i, " \t\r\n,"); b[i] == '}' {
			return i + 1, members == 2
		}
		nameEnd := endOfString(b, i)
		if name := string(b[i+1 : nameEnd]); name != "keys" && name != "values" {
			return 0, false
		}
		if i = skip(b, nameEnd+1, " \t\r\n:"); b[i] != '{' {
			return 0, false
		}
		i = endOfObject(b, i)
	}
}

// endOfObject finds what follows the object that begins at i, in valid JSON.
func endOfObject(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			i = endOfString(b, i)
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// skip finds the first byte from i on that is none of those.
func skip(b []byte, i int, those string) int {
	for strings.IndexByte(those, b[i]) >= 0 {
		i++
	}
	return i
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

// named reads an answer that is an object with one member that matters.
func (a *answer) named(name string) (string, error) {
	v, err := a.success()
	if err != nil {
		return "", err
	}
	m, _ := v.(map[string]any)
	if value := text(m, name); value != "" {
		return value, nil
	}
	return "", a.unfit("no " + name)
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

// success gives the JSON value of an answer that reports success; any other answer is
// an *Error, an empty one too.
func (a *answer) success() (any, error) {
	v, err := a.verdict(a.decode())
	if v == nil && err == nil {
		return nil, a.unfit("empty")
	}
	return v, err
}

// verdict gives what success does, of an answer that was decoded; nil if it is empty.
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
	if err := a.incomplete(); err != nil {
		return nil, err
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

// incomplete says why the body is not all of the answer; nil if it is.
func (a *answer) incomplete() error {
	switch {
	case a.readErr != nil:
		return fmt.Errorf("read answer: %w", a.readErr)
	case len(a.body) > maxAnswer:
		return fmt.Errorf("%w: more than %d MiB", ErrAnswer, maxAnswer>>20)
	}
	return nil
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
