package screen

import (
	"slices"
	"strings"

	"onramp/internal/onramp"
)

// Controls are the inputs by which a submission is screened, and that are no fields.
type Controls struct {
	time, proof, captcha string
	trapped              bool // a honeypot was filled in
}

// Take takes the controls out of the inputs of a submission.
func (g *Guard) Take(inputs []onramp.Input) (c Controls, rest []onramp.Input) {
	if g == nil || !slices.ContainsFunc(inputs, func(in onramp.Input) bool { return g.isControl(in.Name) }) {
		return c, inputs
	}
	rest = make([]onramp.Input, 0, len(inputs))
	for _, in := range inputs {
		switch {
		case !g.isControl(in.Name):
			rest = append(rest, in)
		case in.Name == TimeInput:
			c.time = in.Value.Text
		case in.Name == ProofInput:
			c.proof = in.Value.Text
		case slices.Contains(g.settings.Honeypots, in.Name):
			c.trapped = c.trapped || isFilled(in.Value)
		case c.captcha == "" || in.Name == g.captcha[0]:
			c.captcha = in.Value.Text
		}
	}
	return c, rest
}

// isControl says whether an input is for the screening. One that an embedded form of a
// moment ago sends, and that is no longer asked for, is not refused for it.
func (g *Guard) isControl(name string) bool {
	known := name == TimeInput || name == ProofInput || slices.Contains(g.settings.Honeypots, name) || slices.Contains(g.captcha, name)
	return known && !g.form.HasField(name)
}

// captchaInputs are the inputs in which a captcha service may have the visitor's token: its
// own first. hCaptcha sends it in reCAPTCHA's, too.
func captchaInputs(p Provider) []string {
	switch p {
	case "":
		return nil
	case HCaptcha:
		return []string{services(p).input, services(ReCaptcha).input}
	}
	return []string{services(p).input}
}

func isFilled(v onramp.Scalar) bool {
	switch v.Kind {
	case onramp.Null, onramp.False:
		return false
	case onramp.String, onramp.Posted:
		return strings.TrimSpace(v.Text) != ""
	}
	return true
}

// What follows is what a page needs for its form.

// Honeypots are the inputs that no visitor must see.
func (g *Guard) Honeypots() []string {
	if g == nil {
		return nil
	}
	return g.settings.Honeypots
}

// AsksTime says whether a page has to say when it was loaded.
func (g *Guard) AsksTime() bool { return g != nil && g.settings.MinFillTime > 0 }

// Brings says whether a page has to bring anything beside the form's fields.
func (g *Guard) Brings() bool {
	return len(g.Honeypots()) > 0 || g.AsksTime() || g.MayAskProof() || g.Widget() != nil
}

// Stamp is what the page sends back for that, in TimeInput.
func (g *Guard) Stamp() string { return g.memory.stamp(g.form.Name, g.memory.now()) }

// MayAskProof says whether the page has to look for a challenge before it sends the form.
func (g *Guard) MayAskProof() bool { return g != nil && g.settings.ProofOfWork != ProofOff }

// Widget is the captcha that the page shows; nil: none.
func (g *Guard) Widget() *Widget {
	if g == nil || g.settings.Captcha.Provider == "" {
		return nil
	}
	s := services(g.settings.Captcha.Provider)
	return &Widget{s.script, s.class, g.settings.Captcha.SiteKey, g.settings.Captcha.Action, s.sources}
}

// Challenge makes a challenge for a visitor, with the stamp of now. It is harder the more
// comes to the form. The error is that of the machine's random numbers.
func (g *Guard) Challenge() (Challenge, error) {
	now := g.memory.now()
	c, err := g.memory.challenge(g.form.Name, g.meter.level(now), now)
	c.Required, c.Time = g.asksProof(), g.Stamp()
	return c, err
}

// HasChallenges says whether the form gives challenges or times to those who ask.
func (g *Guard) HasChallenges() bool { return g.AsksTime() || g.MayAskProof() }
