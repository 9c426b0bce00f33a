// Package api is the JSON API for sites, on the public listener: it takes
// registrations and describes the forms.
package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onramp/internal/ignored"
	"onramp/internal/onramp"
	"onramp/internal/quota"
	"onramp/internal/screen"
	"onramp/internal/web"
	"onramp/internal/web/media"
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
	// Waiters counts them. Those that share it, such as this API with another
	// configuration, share MaxWaiters; nil: it has one of its own.
	Waiters *atomic.Int64
	// Screen finds what is under suspicion of abuse; nil: nothing is looked at.
	Screen *screen.Gate
	// Ignored counts the names of inputs that a form has no field for and ignores; nil:
	// nobody counts them.
	Ignored *ignored.Names
	// Quota limits how much strangers make us store; nil: nothing does.
	Quota *quota.Quota

	statusPath string // of the route for a registration's status, up to the id
}

// Routes adds the public routes to a mux.
func (p *Public) Routes(mux *http.ServeMux) error {
	if p.Waiters == nil {
		p.Waiters = new(atomic.Int64)
	}
	p.statusPath = "/v1/registrations/"
	if own, ok := onramp.ParseWebURL(p.BaseURL); ok {
		p.statusPath = strings.TrimSuffix(own.EscapedPath(), "/") + p.statusPath
	}
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
	pages := p.newPages()
	allow := pages.allow
	mux.Handle("POST /v1/forms/{form}/registrations", allow(p.Server.Handle(p.register)))
	mux.Handle("GET /v1/forms/{form}", allow(p.Server.Handle(func(w http.ResponseWriter, r *http.Request) error {
		schema := schemas[r.PathValue("form")]
		if schema == nil {
			return errNoForm
		}
		return schema.serve(w, r)
	})))
	mux.Handle("GET /v1/forms/{form}/challenge", allow(p.Server.Handle(p.challenge)))
	mux.Handle("OPTIONS /v1/forms/", allow(p.Server.Handle(web.NotFound)))
	mux.Handle("GET /v1/registrations/{id}", p.Server.Handle(func(w http.ResponseWriter, r *http.Request) error { return p.status(pages, w, r) }))
	mux.Handle("OPTIONS /v1/registrations/{id}", pages.all.Handler(p.Server.Handle(web.NotFound)))
	mux.Handle("GET /openapi.json", p.Server.Handle(openAPI.serve))
	return nil
}

// answer is what an accepted registration is answered with.
type answer struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	Form       string `json:"form"`
	ReceivedAt string `json:"received_at"` // RFC 3339

	Suggestions []onramp.Suggestion `json:"suggestions,omitempty"`
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

var errNoForm = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such form"}

// register is POST /v1/forms/{form}/registrations.
func (p *Public) register(w http.ResponseWriter, r *http.Request) (err error) {
	form := p.Forms[r.PathValue("form")]
	if form == nil {
		return errNoForm
	}
	web.Annotate(w, web.Note{Form: form.Name})
	body := buffers.Get().(*bytes.Buffer)
	defer func() {
		if err != nil {
			keepTyped(r, body)
		}
		body.Reset()
		buffers.Put(body)
	}()
	s, err := p.read(form, r, body)
	if err != nil {
		return err
	}
	registration, err := form.Accept(onramp.Submission{
		Inputs: s.inputs, ReceivedAt: p.Now().UTC().Truncate(time.Microsecond),
		IP: web.IP(r.Context()), UserAgent: r.UserAgent(), PageURL: r.Referer(), Languages: languages(r),
	})
	if err != nil {
		web.Annotate(w, web.Note{Form: form.Name, Fields: refusedFields(form, err)})
		return err
	}
	if err := s.screen(r, &registration); err != nil {
		return err
	}
	page, wait := web.WantsPage(r), s.wait(form, r)
	if wait > 0 {
		defer p.Waiters.Add(-1)
		if p.Waiters.Add(1) > int64(p.MaxWaiters) && p.MaxWaiters > 0 {
			wait = 0
		}
	}
	accepted, err := p.save(r.Context(), &registration, form.IdempotencyKey(s.key, s.inputs, &registration), wait > 0)
	if err != nil {
		return err
	}
	web.Annotate(w, web.Note{Form: form.Name, Registration: accepted.Registration.ID, Held: onramp.SuspicionOf(registration.Hold.Detail)})
	if page {
		http.Redirect(w, r, successURL(form, r), http.StatusSeeOther)
		return nil
	}
	if form.DoubleOptIn != nil { // nobody is to learn who has confirmed before, or is under suspicion
		accepted.Registration.State, accepted.Registration.Hold = onramp.RegistrationHeld, onramp.Hold{}
	}
	return p.answer(w, r, accepted, wait, form.Suggest(s.inputs))
}

// submission is what a request says, before the form has looked at it.
type submission struct {
	inputs   []onramp.Input
	key      onramp.GivenKey
	guard    *screen.Guard
	controls screen.Controls
	trusted  bool // it is not screened
}

// read reads a request, if it is admitted.
func (p *Public) read(form *onramp.Form, r *http.Request, body *bytes.Buffer) (s submission, err error) {
	s.guard = p.Screen.Guard(form.Name)
	if s.trusted, err = s.guard.Admit(r, web.IP(r.Context())); err != nil {
		if web.WantsPage(r) {
			_ = web.ReadBody(r, body, maxBody) // so that the page has what was typed; the error is that of Admit
		}
		return s, err
	}
	if err := p.checkOrigin(form, r); err != nil {
		return s, err
	}
	if err := web.ReadBody(r, body, maxBody); err != nil {
		return s, err
	}
	declared := media.ParseType(r.Header.Get("Content-Type"))
	meant := meantType(declared, body.Bytes())
	if meant != declared {
		r.Header.Set("Content-Type", meant.Media) // whoever answers goes by it, too
	}
	inputs, err := readInputs(meant, body.Bytes())
	if err != nil {
		return s, err
	}
	s.controls, inputs = s.guard.Take(withoutCharset(form, inputs))
	if s.key, inputs, err = takeKey(r, form, inputs); err != nil {
		return s, err
	}
	var dropped []string
	s.inputs, dropped = form.DropUnknown(inputs, meant.IsForm())
	p.Ignored.Count(form.Name, dropped)
	return s, nil
}

// screen has a registration held that is under suspicion. The error refuses it.
func (s *submission) screen(r *http.Request, registration *onramp.Registration) error {
	if s.trusted || !s.guard.Holds() {
		return nil
	}
	return s.guard.Screen(r.Context(), &screen.Submission{
		Registration: registration, Controls: s.controls, IP: web.IP(r.Context()), UserAgent: r.UserAgent(), Key: s.key.Text, At: registration.ReceivedAt,
	})
}

// wait is how long the client may wait for the outcome: not at all for a page, whose answer
// is always the same, nor where the outcome waits for a person, or would tell somebody that
// they are under suspicion.
func (s *submission) wait(form *onramp.Form, r *http.Request) time.Duration {
	if web.WantsPage(r) || form.DoubleOptIn != nil || s.guard.Holds() && !s.trusted {
		return 0
	}
	return preferredWait(r)
}

// publicState is the state of a registration as strangers learn it: one that is held under
// suspicion looks like one that is on its way.
func publicState(state onramp.RegistrationState, hold onramp.Hold) onramp.RegistrationState {
	if state == onramp.RegistrationHeld && hold.Reason == onramp.HoldSuspicion {
		return onramp.RegistrationQueued
	}
	return state
}

// save stores a registration, unless its sender, or all of them, have stored too much. What
// is stored already, and what can't be stored, costs the sender nothing.
func (p *Public) save(ctx context.Context, r *onramp.Registration, key onramp.IdempotencyKey, watch bool) (onramp.Accepted, error) {
	from, _ := netip.ParseAddr(web.IP(ctx)) // those without one are counted together
	size := quota.SizeOf(r)
	if err := p.Quota.Take(from, size); err != nil {
		return onramp.Accepted{}, err
	}
	// to its end: a client that has closed its half of the connection still reads the answer
	accepted, err := p.Store.SaveRegistration(context.WithoutCancel(ctx), r, key, watch)
	if err != nil || accepted.Repeated {
		p.Quota.Return(from, size)
	}
	return accepted, err
}

// languages are those that a visitor prefers: the one that was chosen in the hosted form,
// before those of the browser.
func languages(r *http.Request) string {
	accepted := r.Header.Get("Accept-Language")
	if chosen := r.URL.Query().Get("lang"); chosen != "" && !strings.ContainsAny(chosen, ",;") {
		return strings.TrimSuffix(chosen+","+accepted, ",")
	}
	return accepted
}

// withoutCharset takes out the field by which the body has told its charset, unless
// the form has a field of that name.
func withoutCharset(form *onramp.Form, inputs []onramp.Input) []onramp.Input {
	isCharset := func(in onramp.Input) bool { return in.Name == media.CharsetField }
	if !slices.ContainsFunc(inputs, isCharset) || slices.ContainsFunc(form.Fields, func(f onramp.Field) bool { return f.Name == media.CharsetField }) {
		return inputs
	}
	return slices.DeleteFunc(inputs, isCharset)
}

// refusedFields names the fields that were refused, for the log: "unknown" for those
// that the form does not have, since a name may be anything that a stranger typed.
func refusedFields(form *onramp.Form, err error) string {
	e, ok := errors.AsType[*onramp.Error](err)
	if !ok {
		return ""
	}
	var names []string
	for _, refused := range e.Fields {
		name := refused.Field
		if !slices.ContainsFunc(form.Fields, func(f onramp.Field) bool { return f.Name == name }) {
			name = "unknown"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// answer tells that a registration is stored, and what may have been meant instead; after
// a wait, also how it went.
func (p *Public) answer(w http.ResponseWriter, r *http.Request, a onramp.Accepted, wait time.Duration, meant []onramp.Suggestion) error {
	stored := a.Registration
	state := publicState(cmp.Or(stored.State, onramp.RegistrationQueued), stored.Hold)
	if wait > 0 {
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
		state = p.await(r.Context(), a, wait)
	}
	status := http.StatusAccepted
	if state == onramp.RegistrationDelivered {
		status = http.StatusCreated
	}
	w.Header()["Cache-Control"] = noStore
	w.Header()["Location"] = []string{p.statusPath + stored.ID}
	return web.WriteJSON(w, status, answer{
		stored.ID, state.String(), stored.Form, stored.ReceivedAt.Format(time.RFC3339Nano), meant,
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
		return publicState(r.State, r.Hold)
	}
	return onramp.RegistrationQueued // it is stored: that much is certain
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

// successURL is where a browser goes after a plain form post. The hosted form goes on in
// the language that the visitor has chosen there.
func successURL(f *onramp.Form, r *http.Request) string {
	if f.SuccessURL != "" {
		return f.SuccessURL
	}
	thanks := "/f/" + f.Name + "?thanks"
	if language := r.URL.Query().Get("lang"); language != "" {
		thanks += "&lang=" + url.QueryEscape(language)
	}
	return thanks
}
