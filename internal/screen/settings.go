package screen

import (
	"time"

	"onramp/internal/onramp"
)

// Settings say how the submissions of one form are screened. Begin with Default.
type Settings struct {
	Limits         Limits
	Honeypots      []string      // inputs that no visitor sees: whoever fills one in is under suspicion
	MinFillTime    time.Duration // between the page and its submission; 0: any
	OptionalTime   bool          // a submission that doesn't say when its page was loaded passes
	Blocked        []string      // IP addresses, prefixes, and domains of email addresses
	BlockedFile    string        // more of them, one a line; "": none
	Disposable     bool          // domains of the built-in list of disposable addresses are under suspicion
	DisposableFile string        // more of them, one a line; "": none
	ProofOfWork    Proof
	Captcha        Captcha
	MX             bool // domains that take no mail are under suspicion
	Identical      Identical
	Hook           Hook
	TrustedKeys    []onramp.Secret // whoever sends one is not screened
}

// Limits are how many submissions are taken. Beyond that of an address a request is
// answered with 429, beyond the others a registration is held. The zero value of each: no limit.
type Limits struct {
	Address Rate // of an IPv4 address or an IPv6 /64; a /48 has ten times as many
	Form    Rate // without a proof of work or a captcha
	Person  Rate // of a mailbox, whatever is written after a + in its address
}

// Rate is a number of submissions within a time: so many at once, and from then on evenly.
type Rate struct {
	Count int
	Per   time.Duration
}

// interval is the time in which one more is allowed.
func (r Rate) interval() time.Duration { return r.Per / time.Duration(max(r.Count, 1)) }

// perMinute is how many may come within a minute, the first of them at once.
func (r Rate) perMinute() int {
	if r.Count == 0 || r.Per >= time.Minute {
		return r.Count
	}
	return int(float64(r.Count) * float64(time.Minute) / float64(r.Per))
}

// Proof says when a submission must bring a proof of work.
type Proof string

// When it must.
const (
	ProofOff    Proof = ""
	ProofAuto   Proof = "auto"   // while the form gets far more submissions than usual
	ProofAlways Proof = "always" // each one
)

// Captcha is a service that tells people from programs.
type Captcha struct {
	Provider  Provider
	SiteKey   string
	Secret    onramp.Secret
	VerifyURL string   // "": that of the provider
	Hostnames []string // on which the visitor may have solved it; nil: any
	Action    string   // that the answer must name; "": any
	MinScore  float64  // of reCAPTCHA v3; 0: any
	OnError   OnError  // while the service can't be asked
	Timeout   time.Duration
}

// Provider is a captcha service.
type Provider string

// The services. The zero value: none.
const (
	Turnstile Provider = "turnstile"
	HCaptcha  Provider = "hcaptcha"
	ReCaptcha Provider = "recaptcha"
)

// OnError is what becomes of a submission while a service can't be asked about it.
type OnError string

// What becomes of it: it passes, or is held.
const (
	FailOpen   OnError = "open"
	FailClosed OnError = "closed"
)

// Identical finds one value that comes with many different email addresses.
type Identical struct {
	Addresses int      // that a value may come with in an hour; 0: any number
	Fields    []string // that are looked at; nil: those of type text and phone
}

// Hook asks the site's own service about each registration.
type Hook struct {
	URL     string // "": there is none
	Secret  onramp.Secret
	Timeout time.Duration
	OnError OnError
	Private bool // the URL may lead to an address that is not public
}

// Default are the settings that screen nothing.
func Default() Settings {
	return Settings{
		Captcha: Captcha{OnError: FailOpen, Timeout: 3 * time.Second},
		Hook:    Hook{OnError: FailOpen, Timeout: 2 * time.Second},
	}
}

// The reasons why a registration is held, as operators see and filter them.
const (
	reasonPerson     = "person_limit"
	reasonForm       = "form_limit"
	reasonHoneypot   = "honeypot"
	reasonTooFast    = "too_fast"
	reasonNoTime     = "no_fill_time"
	reasonAddress    = "blocked_address"
	reasonDomain     = "blocked_domain"
	reasonDisposable = "disposable_domain"
	reasonProof      = "proof_of_work"
	reasonCaptcha    = "captcha"
	reasonMX         = "no_mail_server"
	reasonIdentical  = "identical_value"
	reasonHook       = "hook"
)

// Reasons lists all of them.
func Reasons() []string {
	return []string{
		reasonPerson, reasonForm, reasonHoneypot, reasonTooFast, reasonNoTime, reasonAddress, reasonDomain, reasonDisposable,
		reasonProof, reasonCaptcha, reasonMX, reasonIdentical, reasonHook,
	}
}
