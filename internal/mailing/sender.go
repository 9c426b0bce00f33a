package mailing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"regexp"
	"time"

	"onramp/internal/onramp"
)

// Compose makes the mail of a delivery; false when there is nobody to send it to.
type Compose func(d *onramp.Delivery) (Mail, bool)

// Config says where mails go.
type Config struct {
	Server  Server
	From    string // an address, perhaps with a name
	Compose Compose
	Timeout time.Duration  // of one mail; default 30 s
	Roots   *x509.CertPool // default: those of the system
	// Dial connects to an address; default: by the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Sender sends mails. It is safe for concurrent use.
type Sender struct {
	cfg  Config
	from *mail.Address
}

// New makes a sender. It connects to nobody.
func New(cfg Config) (*Sender, error) {
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("smtp.from: %w", err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	return &Sender{cfg, from}, nil
}

// Send sends a mail for each delivery of a call.
func (s *Sender) Send(ctx context.Context, c onramp.Call) []onramp.Outcome {
	outcomes := make([]onramp.Outcome, len(c.Deliveries))
	for i := range c.Deliveries {
		outcomes[i] = s.sendOne(ctx, &c.Deliveries[i])
	}
	return outcomes
}

func (s *Sender) sendOne(ctx context.Context, d *onramp.Delivery) onramp.Outcome {
	m, ok := s.cfg.Compose(d)
	if !ok {
		return onramp.Outcome{
			Verdict: onramp.Withheld, Detail: "the form of this confirmation has no double opt-in any more",
			Hint: "add it again and reload the configuration, or discard the delivery",
		}
	}
	message, err := m.encode(s.from, time.Now())
	if err != nil {
		return onramp.Outcome{Verdict: onramp.Rejected, NotSent: true, Detail: "the mail could not be written"}
	}
	ctx, end := context.WithTimeout(ctx, s.cfg.Timeout)
	defer end()
	client, err := s.connect(ctx)
	if err == nil {
		defer client.Close()
		err = s.transfer(client, m.To, message)
	}
	if err != nil {
		o := outcomeOf(err)
		o.Request = "MAIL FROM, RCPT TO, DATA\nMessage-ID: " + m.messageID(s.from)
		return o
	}
	_ = client.Quit() // the mail is taken; how the server says goodbye changes nothing
	return onramp.Outcome{Verdict: onramp.Delivered, Status: 250, Detail: "mail accepted, Message-ID " + m.messageID(s.from)}
}

// Check connects to the server and authenticates, and sends nothing. Its error says what
// an operator can do.
func (s *Sender) Check(ctx context.Context) error {
	ctx, end := context.WithTimeout(ctx, s.cfg.Timeout)
	defer end()
	client, err := s.connect(ctx)
	if err != nil {
		o := outcomeOf(err)
		return errors.New(o.Reason())
	}
	return client.Quit()
}

// stage is where a mail got to before it failed.
type stage int

const (
	atConnect stage = iota
	atTLS
	atLogin
	atSender
	atRecipient
	atData
	atEnd // all of it is sent, and no answer says that it was taken
)

var stages = [...]string{"connect", "TLS", "AUTH", "MAIL FROM", "RCPT TO", "DATA", "end of DATA"}

// stageError is why a mail was not sent.
type stageError struct {
	stage stage
	err   error
}

func (e *stageError) Error() string { return stages[e.stage] + ": " + e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

var (
	errNoTLS  = errors.New("the server offers no STARTTLS")
	errNoAuth = errors.New("the server offers neither AUTH PLAIN nor AUTH LOGIN")
)

// connect connects, secures the connection and authenticates.
func (s *Sender) connect(ctx context.Context) (client *smtp.Client, err error) {
	server := s.cfg.Server
	config := &tls.Config{ServerName: server.Host, RootCAs: s.cfg.Roots, MinVersion: tls.VersionTLS12}
	conn, err := s.cfg.Dial(ctx, "tcp", server.address())
	if err != nil {
		return nil, &stageError{atConnect, err}
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	if server.TLS && err == nil {
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(&stageError{atTLS, err}, conn.Close())
		}
		conn = secured
	}
	if err == nil {
		client, err = smtp.NewClient(conn, server.Host)
	}
	if err != nil {
		return nil, errors.Join(&stageError{atConnect, err}, conn.Close())
	}
	if err := s.begin(client, config); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// begin secures a connection that is not secure yet, and authenticates. Nothing is sent in
// clear to another machine.
func (s *Sender) begin(client *smtp.Client, config *tls.Config) error {
	server := s.cfg.Server
	if err := client.Hello(s.helloName()); err != nil {
		return &stageError{atConnect, err}
	}
	if offered, _ := client.Extension("STARTTLS"); !server.TLS && offered {
		if err := client.StartTLS(config); err != nil {
			return &stageError{atTLS, err}
		}
	} else if !server.TLS && !server.isHere() {
		return &stageError{atTLS, errNoTLS}
	}
	if server.User == "" {
		return nil
	}
	auth, err := s.auth(client)
	if err == nil {
		err = client.Auth(auth)
	}
	if err != nil {
		return &stageError{atLogin, err}
	}
	return nil
}

// helloName is by which name we greet: the domain of the sender.
func (s *Sender) helloName() string {
	for i := len(s.from.Address) - 1; i >= 0; i-- {
		if s.from.Address[i] == '@' {
			return s.from.Address[i+1:]
		}
	}
	return "localhost"
}

// transfer sends a mail to the end.
func (s *Sender) transfer(client *smtp.Client, to string, message []byte) error {
	if err := client.Mail(s.from.Address); err != nil {
		return &stageError{atSender, err}
	}
	if err := client.Rcpt(to); err != nil {
		return &stageError{atRecipient, err}
	}
	w, err := client.Data()
	if err == nil {
		_, err = w.Write(message)
	}
	if err != nil {
		return &stageError{atData, err}
	}
	if err := w.Close(); err != nil {
		return &stageError{atEnd, err}
	}
	return nil
}

// enhanced are the status codes of RFC 3463 at the beginning of an answer.
var enhanced = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}\b`)

// outcomeOf says what an error means for the delivery (RFC 5321, 4.2). The server's words are
// for the attempt alone: they often repeat the address.
func outcomeOf(err error) onramp.Outcome {
	at := atConnect
	if e, ok := errors.AsType[*stageError](err); ok {
		at = e.stage
	}
	o := onramp.Outcome{Verdict: onramp.Retry, NotSent: at < atEnd, MayHaveArrived: at == atEnd, Detail: "the mail server could not be reached, or the connection was lost, at " + stages[at]}
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		o = answered(at, answer)
	}
	if concernsAll(err) {
		o.Verdict, o.Detail, o.Hint = onramp.Blocked, "nothing is sent to the mail server: "+reasonOf(err), "check smtp.url, and the certificate of the mail server"
	}
	return o
}

// answered judges an answer that is a refusal.
func answered(at stage, answer *textproto.Error) onramp.Outcome {
	o := onramp.Outcome{Verdict: onramp.Retry, Status: answer.Code, NotSent: true, Answer: fmt.Sprintf("%d %s", answer.Code, answer.Msg)}
	o.Detail = fmt.Sprintf("the mail server has answered %d %s to %s", answer.Code, enhanced.FindString(answer.Msg), stages[at])
	switch {
	case answer.Code == 421:
		o.Verdict, o.Hint = onramp.Throttled, "the mail server takes no more for now"
	case answer.Code < 500:
	case at == atLogin, answer.Code == 530, answer.Code == 534, answer.Code == 535:
		o.Verdict, o.Hint = onramp.Blocked, "the mail server refuses the user or password of smtp.url: correct them and reload the configuration"
	case at < atRecipient:
		o.Verdict, o.Hint = onramp.Blocked, "the mail server refuses the sender: correct smtp.from, or allow it there"
	default:
		o.Verdict, o.Hint = onramp.Rejected, "the address does not exist, or its server takes no mail for it"
	}
	return o
}

// concernsAll says of an error that no mail at all can be sent until somebody acts.
func concernsAll(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted || errors.Is(err, errNoTLS) || errors.Is(err, errNoAuth)
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, errNoTLS):
		return errNoTLS.Error()
	case errors.Is(err, errNoAuth):
		return errNoAuth.Error()
	}
	return "its certificate is not valid"
}
