package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

// natsSubject publishes events to a JetStream subject and waits until a stream has
// stored them. The message id is made of the event's, by which a stream drops what comes
// twice within its duplicate window.
//
// All publishes go through one connection, in order, and none is kept while it is
// lost: what was given up can't overtake a later one.
type natsSubject struct {
	subject string
	servers string
	options []nats.Option
	timeout time.Duration
	log     *slog.Logger

	turn     chan struct{} // held while connecting
	mu       sync.Mutex
	link     *natsLink // nil until the first use
	closed   bool
	failed   error // of the last try to connect
	failedAt time.Time
}

// natsLink is one connection, with what the server says by the way.
type natsLink struct {
	conn *nats.Conn
	js   jetstream.JetStream

	mu      sync.Mutex
	denied  map[string]denial // by subject; "": acknowledgements can't be received
	changed chan struct{}     // closed when denied changes
}

// denial is the last time that a subject was denied.
type denial struct {
	err error
	at  time.Time
}

const (
	longestConnect = 5 * time.Second // to one server
	reconnectWait  = time.Second
	mostPending    = 1 << 16 // publishes without an answer; the pump allows fewer
	mostDenied     = 1000    // subjects that are kept; there are as many as types of events
)

func newNATS(cfg Config, s onramp.Sink) (*natsSubject, error) {
	n := s.NATS
	if len(n.URLs) == 0 {
		return nil, errors.New("nats: needs urls")
	}
	if !onramp.ValidSubject(n.Subject) {
		return nil, fmt.Errorf("nats: subject: %q is not one that can be published to", n.Subject)
	}
	t := &natsSubject{
		subject: n.Subject, servers: strings.Join(n.URLs, ","), timeout: cfg.Timeout,
		log: cfg.Log.With("sink", s.Name), turn: make(chan struct{}, 1),
	}
	t.options = []nats.Option{
		nats.Name("onramp"),
		nats.Timeout(min(cfg.Timeout, longestConnect)),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(-1), // nothing is kept for later: the pump tries again
		nats.SetCustomDialer(fencedDialer{cfg.Fence.Dialer(cfg.Guard.DialContext), min(cfg.Timeout, longestConnect)}),
	}
	if n.CAFile != "" {
		config, err := tlsConfig(n.CAFile)
		if err != nil {
			return nil, fmt.Errorf("nats: %w", err)
		}
		t.options = append(t.options, nats.Secure(config))
	}
	switch {
	case n.CredentialsFile != "":
		if _, err := os.Stat(n.CredentialsFile); err != nil {
			return nil, fmt.Errorf("nats: credentials_file: %w", err)
		}
		t.options = append(t.options, nats.UserCredentials(n.CredentialsFile))
	case n.Token != "":
		t.options = append(t.options, nats.Token(n.Token.Reveal()))
	case n.User != "":
		t.options = append(t.options, nats.UserInfo(n.User, n.Password.Reveal()))
	}
	return t, nil
}

// fencedDialer is the network for NATS.
type fencedDialer struct {
	dial    attempt.Dial
	timeout time.Duration
}

// Dial connects to a server.
func (d fencedDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	return d.dial(ctx, network, address)
}

func (n *natsSubject) route(m *message) string {
	return "publish to subject " + fillSubject(n.subject, m.eventType)
}

// deliver publishes all messages, and then waits for their answers.
func (n *natsSubject) deliver(ctx context.Context, messages []message) []onramp.Outcome {
	ctx, end := attempt.WithTimeout(ctx, n.timeout)
	defer end()
	link, err := n.connect(ctx)
	if err != nil {
		return attempt.Alike(len(messages), judgeNATS(err))
	}
	begun := time.Now()
	outcomes := make([]onramp.Outcome, len(messages))
	answers := make([]jetstream.PubAckFuture, len(messages))
	for i := range messages {
		if answers[i], err = link.js.PublishMsgAsync(n.publication(&messages[i]), jetstream.WithMsgID(messages[i].publicationID())); err != nil {
			outcomes[i] = judgeNATS(err)
		}
	}
	for i, answer := range answers {
		if answer != nil {
			outcomes[i] = judgeNATS(link.await(ctx, answer, begun))
		}
	}
	if link.deaf() {
		n.drop(link) // permissions are asked for once in a connection
	}
	return outcomes
}

func (n *natsSubject) publication(m *message) *nats.Msg {
	header := nats.Header{"content-type": []string{envelopeType}}
	if m.resend != "" {
		header["ce-resend"] = []string{m.resend}
	}
	for name, value := range traceHeaders(m.trace) {
		header[name] = []string{value}
	}
	return &nats.Msg{Subject: fillSubject(n.subject, m.eventType), Data: m.body, Header: header}
}

// publicationID is another one when the event is sent again: a stream would drop it in
// silence otherwise, though an operator wants it there.
func (m *message) publicationID() string {
	if m.resend == "" {
		return m.id
	}
	return m.id + "." + m.resend
}

// reach connects. Whether a stream takes the subject is known only for one without the
// event's type in it.
func (n *natsSubject) reach(ctx context.Context) onramp.Outcome {
	ctx, end := attempt.WithTimeout(ctx, n.timeout)
	defer end()
	link, err := n.connect(ctx)
	if err != nil {
		return judgeNATS(err)
	}
	if strings.Contains(n.subject, onramp.TypeInSubject) {
		return onramp.Outcome{Verdict: onramp.Delivered, Detail: "the server answers"}
	}
	stream, err := link.js.StreamNameBySubject(ctx, n.subject)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return judgeNATS(jetstream.ErrNoStreamResponse)
	}
	if err != nil { // such as that it may not be asked for
		return onramp.Outcome{Verdict: onramp.Delivered, Detail: "the server answers"}
	}
	return onramp.Outcome{Verdict: onramp.Delivered, Detail: "the server answers, and the stream " + stream + " takes the subject " + n.subject}
}

// connect gives the connection; several calls that need one at once share the try
// to make it.
func (n *natsSubject) connect(ctx context.Context) (*natsLink, error) {
	begun := time.Now()
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	n.mu.Lock()
	link, closed := n.link, n.closed
	n.mu.Unlock()
	switch {
	case closed:
		return nil, errStopped
	case link != nil && link.conn.IsConnected():
		return link, nil
	case link != nil && !link.conn.IsClosed():
		return nil, link.lost()
	case n.failedAt.After(begun):
		return nil, n.failed
	}
	link, err := n.open()
	if err != nil {
		n.failed, n.failedAt = err, time.Now()
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		link.conn.Close()
		return nil, errStopped
	}
	n.link = link
	return link, nil
}

func (n *natsSubject) open() (*natsLink, error) {
	link := &natsLink{denied: map[string]denial{}, changed: make(chan struct{})}
	options := append([]nats.Option{}, n.options...)
	options = append(options,
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			n.log.Warn("nats reported an error", "err", err)
			link.note(err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { n.log.Warn("connection to nats lost", "err", err) }),
		nats.ReconnectHandler(func(*nats.Conn) { n.log.Info("reconnected to nats") }),
	)
	conn, err := nats.Connect(n.servers, options...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	link.conn = conn
	link.js, err = jetstream.New(conn, jetstream.WithPublishAsyncTimeout(n.timeout), jetstream.WithPublishAsyncMaxPending(mostPending))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return link, nil
}

func (n *natsSubject) drop(link *natsLink) {
	n.mu.Lock()
	if n.link == link {
		n.link = nil
	}
	n.mu.Unlock()
	link.conn.Close()
}

func (n *natsSubject) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	if n.link != nil {
		n.link.conn.Close()
	}
	return nil
}

// lost says that the connection is being made again.
func (l *natsLink) lost() error {
	if err := l.conn.LastError(); err != nil {
		return fmt.Errorf("connection lost: %w", err)
	}
	return nats.ErrDisconnected
}

// note keeps what the server denies. It says so on the side, and to the publish
// nothing.
func (l *natsLink) note(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	subject := deniedSubject(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.denied) >= mostDenied {
		clear(l.denied)
	}
	l.denied[subject] = denial{err, time.Now()}
	close(l.changed)
	l.changed = make(chan struct{})
}

// deaf says that no acknowledgement can come.
func (l *natsLink) deaf() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.denied[""].err != nil
}

// deniedSince gives why the server has denied a subject since, if it has, and a
// channel that the next change closes.
func (l *natsLink) deniedSince(subject string, since time.Time) (changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.denied[""]; d.err != nil {
		return nil, d.err
	}
	if d := l.denied[subject]; !d.at.Before(since) {
		return nil, d.err
	}
	return l.changed, nil
}

// await waits for one answer.
func (l *natsLink) await(ctx context.Context, answer jetstream.PubAckFuture, begun time.Time) error {
	for {
		changed, err := l.deniedSince(answer.Msg().Subject, begun)
		if err != nil {
			return err
		}
		select {
		case <-answer.Ok():
			return nil
		case err := <-answer.Err():
			return err
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
