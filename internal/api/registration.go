// Package api is the JSON API for sites, on the public listener: it takes
// registrations and describes the forms.
package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// Registrar stores registrations.
type Registrar interface {
	// SaveRegistration returns once the registration is on disk.
	SaveRegistration(ctx context.Context, r *onramp.Registration, key onramp.IdempotencyKey, watch bool) (onramp.Accepted, error)
	// Forget ends the watch of a registration.
	Forget(id string, outcome <-chan onramp.RegistrationState)
	// FindRegistration returns a registration with its state.
	FindRegistration(ctx context.Context, id string) (onramp.Registration, error)
}

// Public is the API for sites.
type Public struct {
	Forms  map[string]*onramp.Form
	Store  Registrar
	Server *web.Server
	Now    func() time.Time
	// BaseURL is how sites reach the public listener, for the OpenAPI document;
	// empty: left out.
	BaseURL string
	// Version stands in the OpenAPI document.
	Version string
	// Ending is closed when the process is about to stop: nobody waits for an
	// outcome any longer.
	Ending <-chan struct{}
	// MaxWaiters is how many requests may wait for an outcome at once; 0: any number.
	// The others are answered as if they had not asked to wait.
	MaxWaiters int

	waiters atomic.Int64
}

// Routes adds the public routes to a mux.
func (p *Public) Routes(mux *http.ServeMux) error {
	openAPI, err := newDocument("application/json", p.openAPI())
	if err != nil {
		return err
	}
	schemas := make(map[string]*document, len(p.Forms))
	for name, form := range p.Forms {
		if schemas[name], err = newDocument("application/schema+json", formSchema(form)); err != nil {
			return err
		}
	}
	allow := p.crossOrigin()
	mux.Handle("POST /v1/forms/{form}/registrations", allow(p.Server.Handle(p.register)))
	mux.Handle("GET /v1/forms/{form}", allow(p.Server.Handle(func(w http.ResponseWriter, r *http.Request) error {
		schema := schemas[r.PathValue("form")]
		if schema == nil {
			return errNoForm
		}
		return schema.serve(w, r)
	})))
	mux.Handle("OPTIONS /v1/forms/", allow(p.Server.Handle(web.NotFound)))
	mux.Handle("GET /openapi.json", p.Server.Handle(openAPI.serve))
	return nil
}

// answer is what an accepted registration is answered with.
type answer struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	Form       string `json:"form"`
	ReceivedAt string `json:"received_at"` // RFC 3339
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

var errNoForm = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such form"}

// register is POST /v1/forms/{form}/registrations.
func (p *Public) register(w http.ResponseWriter, r *http.Request) error {
	form := p.Forms[r.PathValue("form")]
	if form == nil {
		return errNoForm
	}
	if err := p.checkOrigin(form, r); err != nil {
		return err
	}
	body := buffers.Get().(*bytes.Buffer)
	defer func() {
		body.Reset()
		buffers.Put(body)
	}()
	if err := web.ReadBody(r, body, maxBody); err != nil {
		return err
	}
	contentType := r.Header.Get("Content-Type")
	inputs, err := ParseInputs(contentType, body.Bytes())
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r, form.Name, inputs)
	if err != nil {
		return err
	}
	registration, err := form.Accept(onramp.Submission{
		Inputs: inputs, ReceivedAt: p.Now().UTC().Truncate(time.Microsecond),
		IP: web.IP(r.Context()), UserAgent: r.UserAgent(), PageURL: pageURL(r),
	})
	if err != nil {
		return err
	}
	page := wantsPage(r) && isForm(contentType)
	wait := preferredWait(r)
	if page {
		wait = 0 // the answer is the same whatever the outcome
	}
	if wait > 0 {
		defer p.waiters.Add(-1)
		if p.waiters.Add(1) > int64(p.MaxWaiters) && p.MaxWaiters > 0 {
			wait = 0
		}
	}
	// to its end: a client that has closed its half of the connection still reads the answer
	accepted, err := p.Store.SaveRegistration(context.WithoutCancel(r.Context()), &registration, key, wait > 0)
	if err != nil {
		return err
	}
	if page {
		http.Redirect(w, r, successURL(form), http.StatusSeeOther)
		return nil
	}
	return p.answer(w, r, accepted, wait)
}

// answer tells that a registration is stored; after a wait, also how it went.
func (p *Public) answer(w http.ResponseWriter, r *http.Request, a onramp.Accepted, wait time.Duration) error {
	stored := a.Registration
	state := onramp.RegistrationQueued
	if wait > 0 {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
		state = p.await(r.Context(), a, wait)
	}
	status := http.StatusAccepted
	if state == onramp.RegistrationDelivered {
		status = http.StatusCreated
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.WriteJSON(w, status, answer{
		stored.ID, state.String(), stored.Form, stored.ReceivedAt.Format(time.RFC3339Nano),
	})
}

// await waits until a registration settles, or as long as the client wants.
func (p *Public) await(ctx context.Context, a onramp.Accepted, wait time.Duration) onramp.RegistrationState {
	defer p.Store.Forget(a.Registration.ID, a.Outcome)
	if a.Repeated { // it may have settled before the watch began
		if r, err := p.Store.FindRegistration(ctx, a.Registration.ID); err == nil && r.State.Settled() {
			return r.State
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case state := <-a.Outcome:
		return state
	case <-timer.C:
	case <-p.Ending:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxLook)
	defer cancel()
	if r, err := p.Store.FindRegistration(ctx, a.Registration.ID); err == nil {
		return r.State
	}
	return onramp.RegistrationQueued // it is stored: that much is certain
}

// maxKey is the longest Idempotency-Key.
const maxKey = 255

// idempotencyKey reads the header of that name (IETF draft "The Idempotency-Key
// HTTP Header Field").
func idempotencyKey(r *http.Request, form string, inputs []onramp.Input) (onramp.IdempotencyKey, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return onramp.IdempotencyKey{}, nil
	}
	key := strings.TrimSpace(values[0])
	if len(values) > 1 || key == "" || len(key) > maxKey {
		return onramp.IdempotencyKey{}, web.Malformed("send one Idempotency-Key header of 1 to 255 characters")
	}
	return onramp.NewIdempotencyKey(form, key, content(inputs)), nil
}

// content tells one body from another by what it says: a client that repeats a
// multipart/form-data request takes a new boundary each time.
func content(inputs []onramp.Input) []byte {
	b := make([]byte, 0, 512)
	for _, in := range inputs {
		b = append(b, byte(in.Value.Kind))
		for _, text := range []string{in.Name, in.Value.Text} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	}
	return b
}

const (
	// maxWait is the longest time a client may wait for the outcome.
	maxWait = 30 * time.Second
	// maxLook is how long it then takes at most to look how far the registration is.
	maxLook = 2 * time.Second
)

// preferredWait reads "wait" of the Prefer header (RFC 7240, 4.3), in seconds;
// 0 when it is absent or makes no sense.
func preferredWait(r *http.Request) time.Duration {
	for _, header := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
			if err != nil || seconds <= 0 {
				return 0
			}
			return min(time.Duration(min(seconds, 3600))*time.Second, maxWait)
		}
	}
	return 0
}

// pageURL is the page that the form stood on, as far as the browser tells.
func pageURL(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	u.User = nil
	return u.String()
}

// wantsPage tells a browser's plain form post from a call by a program.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// successURL is where a browser goes after a plain form post.
func successURL(f *onramp.Form) string {
	if f.SuccessURL != "" {
		return f.SuccessURL
	}
	return "/f/" + f.Name + "?thanks"
}
