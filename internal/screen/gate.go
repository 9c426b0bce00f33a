// Package screen decides which submissions of a form are under suspicion of abuse. Cheap
// checks come before dear ones: limits, honeypot and fill time, blocked and disposable
// addresses, proof of work or captcha, mail server, identical values, the site's own hook.
// A suspect is held with the reason, and answered like everybody else; only a flood from one
// address is refused.
//
// Use NewMemory once in a process, for what is remembered, and New with each configuration. Then
// a request goes through the Guard of its form: Admit before its body is read, Take once its
// inputs are, Screen when they are a registration. A nil Gate and a nil Guard let everything
// pass.
package screen

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onramp/internal/onramp"
)

// Config is what a Gate is made of.
type Config struct {
	Memory   *Memory
	Forms    map[string]*onramp.Form
	Settings map[string]Settings // by form; those that are not screened have none
	Resolver Resolver            // nil: that of the machine
	// Client makes the requests to captcha services and hooks; private says that addresses
	// that are not public are allowed.
	Client func(private bool) *http.Client
	// Usual tells how many registrations a form has at most in a minute at about this time
	// of the week, if that is known; nil: it never is.
	Usual func(form string) (perMinute int, known bool)
	// IsOwn says whether a registration is one of Onramp's own, by which it watches itself;
	// nil: none is.
	IsOwn func(r *onramp.Registration) bool
	Meter Meter // nil: nobody counts
	Log   *slog.Logger
}

// Meter counts decisions. None of what it is told is what a stranger typed.
type Meter interface {
	// Screened tells of a decision about a submission; the reason is "" when it passed.
	Screened(form string, decision Decision, reason string)
}

// Decision is what becomes of a submission.
type Decision string

// The decisions.
const (
	Passed  Decision = "passed"
	Held    Decision = "held"
	Refused Decision = "refused"
)

// Gate is the screening of all forms, as one configuration has it.
type Gate struct {
	memory *Memory
	guards map[string]*Guard
	files  map[string]*listFile
	log    *slog.Logger
}

// New makes a gate. Its error is that of the store, of a list that can't be read, or of a
// setting that package config would have refused.
func New(ctx context.Context, cfg Config) (*Gate, error) {
	if len(cfg.Settings) > 0 {
		if err := cfg.Memory.open(ctx); err != nil {
			return nil, err
		}
	}
	g := &Gate{memory: cfg.Memory, guards: make(map[string]*Guard, len(cfg.Forms)), files: map[string]*listFile{}, log: cfg.Log}
	for name, form := range cfg.Forms {
		guard, err := g.newGuard(&cfg, form, cfg.Settings[name])
		if err != nil {
			return nil, fmt.Errorf("form %s: screen: %w", name, err)
		}
		g.guards[name] = guard
	}
	return g, nil
}

// Guard gives the guard of a form; nil: there is no such form.
func (g *Gate) Guard(form string) *Guard {
	if g == nil {
		return nil
	}
	return g.guards[form]
}

// filesEvery is how often the files of lists are looked at.
const filesEvery = 5 * time.Second

// Run reads the files of lists again when they change, until ctx ends.
func (g *Gate) Run(ctx context.Context) {
	if g == nil || len(g.files) == 0 {
		return
	}
	tick := time.NewTicker(filesEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for path, f := range g.files {
			changed, err := f.look()
			switch {
			case err != nil && !f.failed:
				g.log.WarnContext(ctx, "a list of blocked or disposable addresses can't be read, and stays as it was", "err", err)
			case changed:
				g.log.InfoContext(ctx, "a list of blocked or disposable addresses was read again", "file", path)
			}
			f.failed = err != nil
		}
	}
}

// Surges are the forms that get far more submissions than usual.
func (g *Gate) Surges() []Surge {
	if g == nil {
		return nil
	}
	var all []Surge
	for _, name := range slices.Sorted(maps.Keys(g.guards)) {
		if s, ok := g.guards[name].meter.surge(g.memory.now()); ok {
			all = append(all, s)
		}
	}
	return all
}

// file is a list in a file that guards share; nil without a path.
func (g *Gate) file(path string) (*listFile, error) {
	if path == "" {
		return nil, nil
	}
	f := g.files[path]
	if f == nil {
		f = &listFile{path: path}
		if _, err := f.look(); err != nil {
			return nil, err
		}
		g.files[path] = f
	}
	return f, nil
}

// Guard is the screening of one form.
type Guard struct {
	form     *onramp.Form
	settings Settings
	memory   *Memory
	meter    *meter
	cfg      *Config

	blocked                     []*list
	blockedFile, disposableFile *listFile
	keys                        [][sha256.Size]byte // of the trusted, hashed
	email                       string              // name of the field with the email address; "": there is none
	identical                   []string            // names of the fields that are looked at
	captcha                     []string            // inputs with the token of a captcha
	hook                        *hook
	client                      *http.Client // for the captcha service
	checks                      []check
	pace                        pace
}

// check says why a submission is under suspicion, "": it is not. The error refuses it.
type check func(ctx context.Context, s *Submission) (reason string, err error)

func (g *Gate) newGuard(cfg *Config, form *onramp.Form, s Settings) (guard *Guard, err error) {
	guard = &Guard{form: form, settings: s, memory: cfg.Memory, meter: cfg.Memory.meter(form.Name), cfg: cfg}
	own, err := newList(s.Blocked)
	if err != nil {
		return nil, fmt.Errorf("blocked: %w", err)
	}
	guard.blocked = []*list{own}
	if guard.blockedFile, err = g.file(s.BlockedFile); err != nil {
		return nil, fmt.Errorf("blocked_file: %w", err)
	}
	if guard.disposableFile, err = g.file(s.DisposableFile); err != nil {
		return nil, fmt.Errorf("disposable_file: %w", err)
	}
	for _, key := range s.TrustedKeys {
		guard.keys = append(guard.keys, sha256.Sum256([]byte(key.Reveal())))
	}
	guard.findFields()
	guard.captcha = captchaInputs(s.Captcha.Provider)
	if s.Captcha.Provider != "" {
		guard.client = cfg.Client(true) // the operator has named the service
	}
	if s.Hook.URL != "" {
		if guard.hook, err = newHook(s.Hook, cfg.Client(s.Hook.Private)); err != nil {
			return nil, err
		}
	}
	guard.checks = guard.newChecks()
	return guard, nil
}

// findFields finds the fields that checks look at.
func (g *Guard) findFields() {
	for i := range g.form.Fields {
		f := &g.form.Fields[i]
		if f.From != onramp.Submitted {
			continue
		}
		if f.Type == onramp.Email && g.email == "" {
			g.email = f.Name
		}
		if g.settings.Identical.Fields == nil && (f.Type == onramp.Text || f.Type == onramp.Phone) {
			g.identical = append(g.identical, f.Name)
		}
	}
	if g.settings.Identical.Fields != nil {
		g.identical = g.settings.Identical.Fields
	}
}

// newChecks are those that the settings ask for, the cheapest first.
func (g *Guard) newChecks() []check {
	s := &g.settings
	var checks []check
	add := func(wanted bool, c check) {
		if wanted {
			checks = append(checks, c)
		}
	}
	add(s.Limits.Person.Count > 0, g.checkPerson)
	add(len(s.Honeypots) > 0, g.checkHoneypots)
	add(s.MinFillTime > 0, g.checkFillTime)
	add(len(s.Blocked) > 0 || s.BlockedFile != "", g.checkBlocked)
	add(s.Disposable || s.DisposableFile != "", g.checkDisposable)
	add(s.Captcha.Provider != "", g.checkCaptcha)
	add(s.ProofOfWork != ProofOff, g.checkProof)
	add(s.Limits.Form.Count > 0, g.checkForm)
	add(s.MX, g.checkMX)
	add(s.Identical.Addresses > 0, g.checkIdentical)
	add(g.hook != nil, g.checkHook)
	return checks
}

// Holds says whether the guard may hold a registration under suspicion.
func (g *Guard) Holds() bool { return g != nil && len(g.checks) > 0 }

var errWrongKey = &onramp.Error{Kind: onramp.Denied, Message: "the key in the Authorization header is not one of this form"}

// Admit decides about a request before its body is read: it counts it, and refuses it when
// its address has sent too many. trusted says that it brings a key, and is not screened.
func (g *Guard) Admit(r *http.Request, ip string) (trusted bool, err error) {
	if g == nil {
		return false, nil
	}
	now := g.memory.now()
	key, hasKey := bearer(r)
	if hasKey = hasKey && len(g.keys) > 0; hasKey && g.isTrusted(key) {
		return true, nil
	}
	if g.cfg.Usual != nil || g.settings.Limits.Form.Count > 0 {
		g.meter.note(now, g.settings.Limits.Form, g.cfg.Usual)
	}
	if wait := g.takeAddress(ip, now); wait > 0 {
		g.count(Refused, "address_limit")
		refusal := *errLimited
		refusal.RetryAfter = wait
		return false, &refusal
	}
	if hasKey {
		return false, errWrongKey
	}
	return false, nil
}

func bearer(r *http.Request) (key string, ok bool) {
	const scheme = "Bearer "
	text := r.Header.Get("Authorization")
	if len(text) <= len(scheme) || text[:len(scheme)] != scheme {
		return "", false
	}
	return text[len(scheme):], true
}

func (g *Guard) isTrusted(key string) bool {
	sum, found := sha256.Sum256([]byte(key)), 0
	for i := range g.keys {
		found |= subtle.ConstantTimeCompare(sum[:], g.keys[i][:])
	}
	return found == 1
}

// networkShare is how many times the limit of an address a /48 has: a site's, or many
// customers' of a provider.
const networkShare = 10

// takeAddress takes a token of an address, and one of its /48.
func (g *Guard) takeAddress(ip string, now time.Time) (wait time.Duration) {
	rate := g.settings.Limits.Address
	if rate.Count == 0 || ip == "" {
		return 0
	}
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return 0
	}
	m := g.memory
	if address = address.Unmap().WithZone(""); address.Is4() {
		own := address.As4()
		return m.addresses.take(m.hash(hashAddress, g.form.Name, string(own[:])), rate, now)
	}
	own := address.As16()
	if wait := m.addresses.take(m.hash(hashAddress, g.form.Name, string(own[:8])), rate, now); wait > 0 {
		return wait
	}
	rate.Count *= networkShare
	return m.addresses.take(m.hash(hashNetwork, g.form.Name, string(own[:6])), rate, now)
}

func (g *Guard) count(d Decision, reason string) {
	if g.cfg.Meter != nil {
		g.cfg.Meter.Screened(g.form.Name, d, reason)
	}
}

// Submission is what is screened.
type Submission struct {
	Registration  *onramp.Registration // gets the Hold of a suspect
	Controls      Controls
	IP, UserAgent string
	Key           string // by which a repeat of the submission is known; "": by none
	At            time.Time

	proved bool // it has brought a proof of work, or passed a captcha
}

var errRefused = &onramp.Error{Kind: onramp.Invalid, Message: "the site does not accept this registration"}

// Screen holds a registration that is under suspicion, for what is found first. The error
// refuses it: only the site's own hook does that.
func (g *Guard) Screen(ctx context.Context, s *Submission) error {
	if !g.Holds() || g.cfg.IsOwn != nil && g.cfg.IsOwn(s.Registration) {
		return nil
	}
	begin := g.memory.now()
	for _, check := range g.checks {
		reason, err := check(ctx, s)
		if err != nil {
			g.count(Refused, reasonHook)
			return err
		}
		if reason != "" {
			s.Registration.Hold = onramp.Hold{Reason: onramp.HoldSuspicion, Detail: reason}
			g.count(Held, onramp.SuspicionOf(reason))
			g.pace.keep(ctx, g.memory.now().Sub(begin))
			return nil
		}
	}
	g.count(Passed, "")
	g.pace.note(g.memory.now().Sub(begin))
	return nil
}

// pace has suspects wait about as long as those who pass all checks: from the time that
// the answer takes, nobody shall learn that the dear ones were left out.
type pace struct {
	mu   sync.Mutex
	last [16]time.Duration
	n    int
}

// shortPace is not worth a wait: it is lost in that for the commit.
const (
	shortPace = time.Millisecond
	longPace  = 3 * time.Second
)

func (p *pace) note(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[p.n%len(p.last)] = took
	p.n++
}

func (p *pace) keep(ctx context.Context, took time.Duration) {
	p.mu.Lock()
	var wanted time.Duration
	if p.n > 0 {
		wanted = p.last[rand.IntN(min(p.n, len(p.last)))]
	}
	p.mu.Unlock()
	wait := min(wanted, longPace) - took
	if wait < shortPace {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
