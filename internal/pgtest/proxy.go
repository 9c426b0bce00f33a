package pgtest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Proxy is the network between clients and a server, with faults to order: it
// stops, loses connections so that neither side is told, and cuts them, at any
// time or in the middle of a statement. It is safe for concurrent use.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	upstream *pgconn.Config
	database string
	working  sync.WaitGroup

	mu     sync.Mutex
	moved  *sync.Cond // something below has changed
	held   bool
	closed bool
	links  map[*link]bool
	fault  func(statement string) Fault
	struck chan struct{} // closed at the next fault; may be nil
}

// Fault is what happens to a connection at a statement.
type Fault int

// The moments of a statement at which the network can fail. Hold… is like Hold at
// that moment; Cut… cuts this one connection.
const (
	None       Fault = iota
	HoldBefore       // the server gets nothing of the statement
	HoldInside       // the server gets half of it
	HoldAnswer       // the server has carried it out, the client hears nothing
	CutBefore
	CutAnswer
)

// NewProxy starts a proxy in front of the database that a URL of this package
// names. It ends with the test.
func NewProxy(t testing.TB, database string) *Proxy {
	t.Helper()
	upstream, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, listener: listener, upstream: &upstream.Config, database: upstream.Database, links: map[*link]bool{}}
	p.moved = sync.NewCond(&p.mu)
	p.working.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// URL is that of the database, through the proxy.
func (p *Proxy) URL() string {
	u := url.URL{
		Scheme: "postgres", User: url.User(p.upstream.User), Host: p.listener.Addr().String(), Path: p.database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Hold stops the network: nothing passes, either way, not even the end of a
// connection. New connections wait, too.
func (p *Proxy) Hold() { p.change(func() { p.held = true }) }

// Release lets the network go on as if nothing had been lost.
func (p *Proxy) Release() { p.change(func() { p.held = false }) }

// Lose lets the network go on for new connections. The others are half-open for
// ever: neither side is told anything any more.
func (p *Proxy) Lose() {
	p.change(func() {
		p.held = false
		for l := range p.links {
			l.lost = l.lost || l.begun
		}
	})
}

// Cut breaks all connections, so that both sides notice.
func (p *Proxy) Cut() {
	p.change(func() {
		for l := range p.links {
			l.close()
		}
	})
}

// OnStatement has a function decide what happens at each statement that a client
// sends, by its text. It is called by several goroutines.
func (p *Proxy) OnStatement(fault func(statement string) Fault) {
	p.change(func() { p.fault = fault })
}

// Once has one fault happen, at the next statement that begins with a text. The
// channel is closed when it has happened.
func (p *Proxy) Once(prefix string, fault Fault) (happened <-chan struct{}) {
	var taken atomic.Bool
	struck := make(chan struct{})
	p.change(func() {
		p.struck = struck
		p.fault = func(statement string) Fault {
			if strings.HasPrefix(statement, prefix) && taken.CompareAndSwap(false, true) {
				return fault
			}
			return None
		}
	})
	return struck
}

// strike has a fault happen that was decided for a link.
func (p *Proxy) strike(l *link, fault Fault) {
	p.change(func() {
		switch fault {
		case CutBefore, CutAnswer:
			l.close()
		default:
			p.held = true
		}
		if p.struck != nil {
			close(p.struck)
			p.struck = nil
		}
	})
}

func (p *Proxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.moved.Broadcast()
}

func (p *Proxy) close() {
	p.listener.Close()
	p.change(func() {
		p.closed = true
		for l := range p.links {
			l.close()
		}
	})
	p.working.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		l := &link{proxy: p, client: client, texts: map[string]string{}}
		p.change(func() { p.links[l] = true })
		p.working.Go(l.run)
	}
}

// link is one connection through the proxy.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	texts          map[string]string // of prepared statements

	// under the proxy's lock
	begun  bool // something has passed
	lost   bool // nothing passes any more
	answer Fault
}

func (l *link) close() {
	l.client.Close()
	if l.server != nil {
		l.server.Close()
	}
}

// pass waits until the network works; it says whether it does for this link.
func (l *link) pass() bool {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held && !l.lost && !p.closed {
		p.moved.Wait()
	}
	l.begun = true
	return !l.lost && !p.closed
}

// end closes both sides, unless the network keeps the end from them.
func (l *link) end() {
	if l.pass() {
		l.proxy.change(func() {
			l.close()
			delete(l.proxy.links, l)
		})
	}
}

func (l *link) run() {
	if !l.pass() {
		return
	}
	network, address := pgconn.NetworkAddress(l.proxy.upstream.Host, l.proxy.upstream.Port)
	server, err := net.Dial(network, address)
	if err != nil {
		l.end()
		return
	}
	stopped := false
	l.proxy.change(func() { l.server, stopped = server, l.proxy.closed })
	if stopped {
		server.Close()
		return
	}
	l.proxy.working.Go(func() {
		l.backward()
		l.end()
	})
	l.forward()
	l.end()
}

// forward hands the client's requests over, each of them as a whole.
func (l *link) forward() {
	from := bufio.NewReader(l.client)
	first, err := readMessage(from, 0)
	if err != nil || !l.send(l.server, first) {
		return
	}
	for {
		request, statement, err := l.readRequest(from)
		if err != nil {
			return
		}
		fault := None
		if statement != "" {
			fault = l.decide(statement)
		}
		switch fault {
		case HoldBefore, CutBefore:
			l.proxy.strike(l, fault)
		case HoldInside:
			if !l.send(l.server, request[:len(request)/2]) {
				return
			}
			request = request[len(request)/2:]
			l.proxy.strike(l, fault)
		}
		if !l.send(l.server, request) {
			return
		}
	}
}

func (l *link) decide(statement string) (fault Fault) {
	var decide func(string) Fault
	l.proxy.change(func() { decide = l.proxy.fault })
	if decide != nil {
		fault = decide(statement)
	}
	if fault == HoldAnswer || fault == CutAnswer {
		l.proxy.change(func() { l.answer = fault })
	}
	return fault
}

func (l *link) send(to net.Conn, data []byte) bool {
	if !l.pass() {
		return false
	}
	_, err := to.Write(data)
	return err == nil
}

// backward hands the server's messages over.
func (l *link) backward() {
	from := bufio.NewReader(l.server)
	var kept []byte // of an answer that will not arrive, or not now
	for {
		message, err := readMessage(from, 1)
		if err != nil {
			return
		}
		var fault Fault
		l.proxy.change(func() { fault = l.answer })
		if fault != None {
			if kept = append(kept, message...); message[0] != 'Z' { // ready for query: the answer is complete
				continue
			}
			l.proxy.change(func() { l.answer = None })
			l.proxy.strike(l, fault)
			message, kept = kept, nil
		}
		if !l.send(l.client, message) {
			return
		}
	}
}

// readRequest reads what the client sends up to where it waits for the answer, and
// finds the statement that is to be carried out; "" when there is none.
func (l *link) readRequest(from *bufio.Reader) (request []byte, statement string, err error) {
	for {
		message, err := readMessage(from, 1)
		if err != nil {
			return nil, "", err
		}
		request = append(request, message...)
		switch body := message[5:]; message[0] {
		case 'Q': // simple query
			statement, _ = cutText(body)
			return request, statement, nil
		case 'P': // parse
			name, rest := cutText(body)
			l.texts[name], _ = cutText(rest)
		case 'B': // bind
			_, rest := cutText(body)
			name, _ := cutText(rest)
			statement = l.texts[name]
		case 'D', 'E', 'C': // describe, execute, close: a sync follows
		default: // sync, and what is none of these
			return request, statement, nil
		}
	}
}

func cutText(b []byte) (text string, rest []byte) {
	text, after, _ := strings.Cut(string(b), "\x00")
	return text, []byte(after)
}

// readMessage reads one message of the protocol: a type of so many bytes, a length
// that counts itself, and the rest.
func readMessage(from io.Reader, typed int) ([]byte, error) {
	head := make([]byte, typed+4)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(head[typed:]))
	if length < 4 || length > 1<<30 {
		return nil, errors.New("not a message of PostgreSQL's protocol")
	}
	message := append(head, make([]byte, length-4)...)
	_, err := io.ReadFull(from, message[typed+4:])
	return message, err
}
