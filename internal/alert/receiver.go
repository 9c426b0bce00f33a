package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"onramp/internal/onramp"
)

const (
	queued     = 16 // messages that wait for a receiver; beyond it the oldest is dropped
	maxHanging = 3  // sends that have been given up and still run
	sendFor    = 10 * time.Second
)

// pauses are those before the second try and later ones.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute}
}

// receiver is one who gets the alerts. Each has its own goroutine, so that one that
// fails keeps nobody else waiting.
type receiver struct {
	name    string // such as alerts[0]
	service string
	send    func(message) error // may take as long as it wants; its error is fit for the log
	log     *slog.Logger
	queue   chan message
	hanging chan struct{} // one for every send that runs
}

func newReceiver(i int, secret onramp.Secret, log *slog.Logger) (*receiver, error) {
	t, err := parseTarget(secret)
	name := fmt.Sprintf("alerts[%d]", i)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return makeReceiver(name, t.scheme, t.send, log), nil
}

func makeReceiver(name, service string, send func(message) error, log *slog.Logger) *receiver {
	return &receiver{
		name, service, send, log.With("receiver", name, "service", service),
		make(chan message, queued), make(chan struct{}, maxHanging),
	}
}

// put queues a message, in place of the oldest one if it must: what stands now
// matters more. It never waits; only one goroutine may call it.
func (r *receiver) put(m message) {
	for {
		select {
		case r.queue <- m:
			return
		default:
		}
		select {
		case old := <-r.queue:
			r.log.Warn("alert dropped", "cause", old.Cause)
		default: // it was just taken
		}
	}
}

// run sends what is queued until the queue is closed. After the end of ctx
// nothing is tried more than once, and after that of work nothing at all.
func (r *receiver) run(ctx, work context.Context) {
	for m := range r.queue {
		r.deliver(ctx, work, m)
	}
}

func (r *receiver) deliver(ctx, work context.Context, m message) {
	waits := pauses()
	for try := 0; ; try++ {
		err := r.attempt(work, m)
		if err == nil {
			return
		}
		if try == len(waits) || ctx.Err() != nil {
			r.log.ErrorContext(ctx, "alert not sent", "cause", m.Cause, "tries", try+1, "err", err)
			return
		}
		r.log.WarnContext(ctx, "alert failed, will retry", "cause", m.Cause, "tries", try+1, "err", err)
		pause := time.NewTimer(waits[try])
		select {
		case <-ctx.Done(): // one last time
		case <-pause.C:
		}
		pause.Stop()
	}
}

var (
	errHanging  = errors.New("earlier sends are still hanging")
	errNoTime   = errors.New("no time left")
	errNoAnswer = fmt.Errorf("no answer within %s", span(sendFor))
)

// attempt sends once. A send can't be stopped, since most services of the
// library take no context and have no time-out: it is left behind.
func (r *receiver) attempt(work context.Context, m message) error {
	if work.Err() != nil {
		return errNoTime
	}
	select {
	case r.hanging <- struct{}{}:
	default:
		return errHanging
	}
	sent := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				sent <- errors.New("the service's code failed") // a panic's text could hold anything
			}
			<-r.hanging
		}()
		sent <- r.send(m)
	}()
	patience, stop := context.WithTimeout(work, sendFor)
	defer stop()
	select {
	case err := <-sent:
		return err
	case <-patience.Done():
		if work.Err() != nil {
			return errNoTime
		}
		return errNoAnswer
	}
}

// target is a service by its URL.
type target struct {
	url    *url.URL
	scheme string // without what follows a +
	titled bool   // the service shows a title
}

// titled are the services that are known to show a title. To others it is the
// text's first line.
func titled() []string {
	return []string{"discord", "generic", "gotify", "ntfy", "pushbullet", "pushover", "slack", "smtp", "teams"}
}

// parseTarget checks a URL. Its error shows the scheme at most.
func parseTarget(secret onramp.Secret) (t target, err error) {
	t.url, err = url.Parse(secret.Reveal())
	if err != nil || t.url.Scheme == "" {
		return target{}, errors.New("is not a URL")
	}
	t.scheme, _, _ = strings.Cut(t.url.Scheme, "+")
	t.titled = slices.Contains(titled(), t.scheme)
	if t.scheme == "generic" {
		t.useJSON()
	}
	if _, err := new(router.ServiceRouter).NewService(t.scheme); err != nil {
		return target{}, errors.New("unknown service, see https://shoutrrr.nickfedor.com")
	}
	if t.scheme == "matrix" {
		return t, nil // it would log in
	}
	if _, err := t.open(); err != nil {
		return target{}, fmt.Errorf("%s: %s", t.scheme, t.redact(err))
	}
	return t, nil
}

// useJSON makes a webhook get title and text as JSON, unless its URL has
// another wish: without a template it would get the text alone.
func (t *target) useJSON() {
	query := t.url.Query()
	if query.Has("template") {
		t.titled = strings.EqualFold(query.Get("template"), "json")
		return
	}
	query.Set("template", "json")
	t.url.RawQuery = query.Encode()
}

// open makes the service for every send: some keep what they sent in
// their settings.
func (t target) open() (s types.Service, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the URL does not have the form this service needs")
		}
	}()
	s, err = new(router.ServiceRouter).NewService(t.scheme)
	if err != nil {
		return nil, err
	}
	u := t.url
	if u.Scheme != t.scheme { // such as generic+https
		custom, ok := s.(types.CustomURLService)
		if !ok {
			return nil, errors.New("this service does not support URLs with a +")
		}
		if u, err = custom.GetConfigURLFromCustom(u); err != nil {
			return nil, err
		}
	}
	return s, s.Initialize(u, nil) // nil: what it would log may hold the URL
}

func (t target) send(m message) error {
	s, err := t.open()
	if err != nil {
		return errors.New(t.redact(err))
	}
	text, params := m.text(), types.Params{}
	switch {
	case t.scheme == "smtp":
		params.SetTitle(mime.QEncoding.Encode("utf-8", m.title()))
		params["usehtml"] = "No" // an alert is plain text, whatever the URL says
	case t.titled:
		params.SetTitle(m.title())
	default:
		text = m.title() + "\n" + text
	}
	if t.scheme == "telegram" {
		params["parsemode"] = "None" // as with mail; a name with one _ would not get through
	}
	if t.scheme == "pagerduty" { // one incident from the beginning to the end
		params["dedup_key"], params["action"] = "onramp:"+m.Cause, "trigger"
		if m.stage == over {
			params["action"] = "resolve"
		}
	}
	if err := s.Send(text, &params); err != nil {
		return errors.New(remote(t.redact(err)))
	}
	return nil
}

// minRedacted is the length of the shortest part of a URL that is looked for: a
// shorter one would be found everywhere.
const minRedacted = 3

// redact gives an error's text without anything that stands in the URL. Some
// services put the whole of it into their errors, or what the other side said.
func (t target) redact(err error) string {
	words := strings.FieldsFunc(t.url.String(), func(r rune) bool { return strings.ContainsRune(":/@?#&=,;+-", r) })
	password, _ := t.url.User.Password()
	words = append(words, t.url.Host, t.url.Path, t.url.User.Username(), password)
	for key, values := range t.url.Query() {
		words = append(append(words, key), values...)
	}
	for _, w := range slices.Clone(words) {
		plain, _ := url.QueryUnescape(w)
		words = append(words, plain, url.QueryEscape(w), url.PathEscape(w))
	}
	// the longest first, since it may hold another one
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	text := err.Error()
	for _, w := range words {
		if len(w) >= minRedacted && !strings.EqualFold(w, t.scheme) {
			text = strings.ReplaceAll(text, w, "…")
		}
	}
	return oneLine(text)
}
