package screen

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"onramp/internal/onramp"
)

func (g *Guard) emailOf(s *Submission) string {
	if g.form.SubscriberKey.From == onramp.KeyEmail {
		return s.Registration.SubscriberKey
	}
	if g.email == "" {
		return ""
	}
	return g.form.TextOf(s.Registration, g.email)
}

// domainOf is the domain of the email address, in ASCII and lower case; "" without one.
func (g *Guard) domainOf(s *Submission) string {
	address := strings.ToLower(g.emailOf(s))
	return address[lastAt(address)+1:]
}

// checkPerson is the limit of a person: of their mailbox, or of another key that they are
// known by.
func (g *Guard) checkPerson(_ context.Context, s *Submission) (reason string, err error) {
	person := mailbox(g.emailOf(s))
	if person == "" && g.form.SubscriberKey.From == onramp.KeyField {
		person = s.Registration.SubscriberKey
	}
	if person == "" {
		return "", nil
	}
	m := g.memory
	if m.persons.take(m.hash(hashPerson, g.form.Name, person), g.settings.Limits.Person, s.At) > 0 {
		return reasonPerson, nil
	}
	return "", nil
}

func (g *Guard) checkHoneypots(_ context.Context, s *Submission) (reason string, err error) {
	if s.Controls.trapped {
		return reasonHoneypot, nil
	}
	return "", nil
}

func (g *Guard) checkFillTime(_ context.Context, s *Submission) (reason string, err error) {
	if s.Controls.time == "" && g.settings.OptionalTime {
		return "", nil
	}
	loaded, ok := g.memory.readStamp(g.form.Name, s.Controls.time, s.At)
	switch {
	case !ok:
		return reasonNoTime, nil
	case s.At.Sub(loaded) < g.settings.MinFillTime:
		return reasonTooFast, nil
	}
	return "", nil
}

func (g *Guard) checkBlocked(_ context.Context, s *Submission) (reason string, err error) {
	address, _ := netip.ParseAddr(s.IP)
	domain := g.domainOf(s)
	lists := g.blocked
	if g.blockedFile != nil {
		lists = append(lists[:len(lists):len(lists)], g.blockedFile.list.Load())
	}
	for _, l := range lists {
		switch {
		case address.IsValid() && l.hasAddress(address):
			return reasonAddress, nil
		case l.hasDomain(domain):
			return reasonDomain, nil
		}
	}
	return "", nil
}

func (g *Guard) checkDisposable(_ context.Context, s *Submission) (reason string, err error) {
	domain := g.domainOf(s)
	if g.settings.Disposable && builtIn().hasDomain(domain) || g.disposableFile != nil && g.disposableFile.list.Load().hasDomain(domain) {
		return reasonDisposable, nil
	}
	return "", nil
}

// checkCaptcha asks the captcha service, which knows each token once. A repeat of the same
// submission passes without it.
func (g *Guard) checkCaptcha(ctx context.Context, s *Submission) (reason string, err error) {
	m, token := g.memory, s.Controls.captcha
	spent, owner := m.hash(hashSpent, g.form.Name, token), g.owner(s)
	if token != "" && m.spent.has(spent, owner, s.At) {
		s.proved = true
		return "", nil
	}
	passed, err := g.settings.Captcha.verify(ctx, g.client, token, s.IP)
	switch {
	case err != nil:
		g.cfg.Log.WarnContext(ctx, "a captcha could not be verified", "form", g.form.Name, "err", err)
		if g.settings.Captcha.OnError == FailClosed {
			return reasonCaptcha, nil
		}
		return "", nil
	case !passed:
		return reasonCaptcha, nil
	}
	m.spent.use(spent, owner, s.At.Add(captchaLife), s.At)
	s.proved = true
	return "", nil
}

// owner is who may bring the same proof again: who repeats the submission.
func (g *Guard) owner(s *Submission) uint64 {
	if s.Key == "" {
		return 0
	}
	return g.memory.hash(hashOwner, g.form.Name, s.Key)
}

// checkProof wants a proof of work, always or while there is a surge. One that isn't wanted
// counts all the same: it gets a registration past the form's limit.
func (g *Guard) checkProof(_ context.Context, s *Submission) (reason string, err error) {
	m := g.memory
	if s.Controls.proof != "" {
		challenge, expires, err := m.readSolution(g.form.Name, s.Controls.proof, s.At)
		s.proved = s.proved || err == nil && m.spent.use(m.hash(hashSpent, challenge), g.owner(s), expires, s.At)
	}
	if !s.proved && g.asksProof() {
		return reasonProof, nil
	}
	return "", nil
}

// asksProof says whether a proof of work is wanted now.
func (g *Guard) asksProof() bool {
	switch g.settings.ProofOfWork {
	case ProofAlways:
		return true
	case ProofAuto:
		return g.meter.level(g.memory.now()) > 0
	}
	return false
}

// checkForm is the limit of the form, for those who have not shown that they are people.
func (g *Guard) checkForm(_ context.Context, s *Submission) (reason string, err error) {
	if s.proved {
		return "", nil
	}
	m := g.memory
	if m.forms.take(m.hash(hashForm, g.form.Name), g.settings.Limits.Form, s.At) > 0 {
		return reasonForm, nil
	}
	return "", nil
}

func (g *Guard) checkMX(ctx context.Context, s *Submission) (reason string, err error) {
	domain := g.domainOf(s)
	resolver := g.cfg.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	if domain != "" && !g.memory.domains.takesMail(ctx, resolver, domain, s.At) {
		return reasonMX, nil
	}
	return "", nil
}

// checkIdentical looks for a value that came with many different people.
func (g *Guard) checkIdentical(_ context.Context, s *Submission) (reason string, err error) {
	person := mailbox(g.emailOf(s))
	if person == "" {
		return "", nil
	}
	m := g.memory
	who := m.hash(hashPerson, person)
	for _, name := range g.identical {
		value := strings.ToLower(strings.Join(strings.Fields(g.form.TextOf(s.Registration, name)), " "))
		if !isLong(value) {
			continue
		}
		if m.identical.note(m.hash(hashValue, g.form.Name, name, value), who, s.At) > g.settings.Identical.Addresses {
			return reasonIdentical, nil
		}
	}
	return "", nil
}

func (g *Guard) checkHook(ctx context.Context, s *Submission) (reason string, err error) {
	answer, err := g.hook.ask(ctx, s)
	if err != nil {
		g.cfg.Log.WarnContext(ctx, "the hook could not be asked", "form", g.form.Name, "err", err)
		if g.settings.Hook.OnError == FailClosed {
			return reasonHook, nil
		}
		return "", nil
	}
	switch answer.Verdict {
	case hookRefuse:
		return "", errRefused
	case hookHold:
		if answer.Reason != "" {
			return reasonHook + onramp.SuspicionMore + answer.Reason, nil
		}
		return reasonHook, nil
	}
	return "", nil
}
