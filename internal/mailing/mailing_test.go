package mailing_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/mailing"
	"onramp/internal/onramp"
)

// post is a mail server of the test: it answers each command as the test says, or well.
type post struct {
	net.Listener
	answers map[string]string // by command; "hang up": none
	offers  []string          // extensions
	cert    *tls.Config
	roots   *x509.CertPool // that trust it

	mu       sync.Mutex
	commands []string
	mails    []string
}

func newPost(t *testing.T, secure bool, answers map[string]string, offers ...string) *post {
	t.Helper()
	certified := httptest.NewUnstartedServer(nil) // for its certificate alone
	certified.StartTLS()
	t.Cleanup(certified.Close)
	p := &post{answers: answers, offers: offers, cert: &tls.Config{Certificates: certified.TLS.Certificates}, roots: x509.NewCertPool()}
	p.roots.AddCert(certified.Certificate())
	var err error
	if p.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if secure {
		p.Listener = tls.NewListener(p.Listener, p.cert)
	}
	t.Cleanup(func() { p.Close() })
	go func() {
		for {
			conn, err := p.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p
}

func (p *post) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 ready")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, _, _ := strings.Cut(line, " ")
		p.mu.Lock()
		p.commands = append(p.commands, line)
		p.mu.Unlock()
		if answer, given := p.answers[verb]; given {
			if answer == "hang up" {
				return
			}
			say(answer)
			continue
		}
		switch verb {
		case "EHLO":
			say("250-hello")
			for _, extension := range p.offers {
				say("250-" + extension)
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			secured := tls.Server(conn, p.cert)
			conn, r = secured, bufio.NewReader(secured)
			say = func(line string) { fmt.Fprintf(secured, "%s\r\n", line) }
		case "AUTH":
			if !strings.HasPrefix(line, "AUTH LOGIN") {
				say("235 welcome")
				continue
			}
			say("334 " + base64.StdEncoding.EncodeToString([]byte("Username:")))
			user, _ := r.ReadString('\n')
			say("334 " + base64.StdEncoding.EncodeToString([]byte("Password:")))
			password, _ := r.ReadString('\n')
			p.mu.Lock()
			p.commands = append(p.commands, strings.TrimSpace(user), strings.TrimSpace(password))
			p.mu.Unlock()
			say("235 welcome")
		case "DATA":
			say("354 go on")
			var mail strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				mail.WriteString(line)
			}
			if answer, given := p.answers["."]; given {
				if answer == "hang up" {
					return
				}
				say(answer)
				continue
			}
			p.mu.Lock()
			p.mails = append(p.mails, mail.String())
			p.mu.Unlock()
			say("250 2.0.0 taken")
		case "QUIT":
			say("221 bye")
		default:
			say("250 2.0.0 ok")
		}
	}
}

// sender sends to the test's server, whatever the address says.
func sender(t *testing.T, p *post, address string, roots *x509.CertPool) *mailing.Sender {
	t.Helper()
	server, err := mailing.ParseServer(onramp.Secret(address))
	if err != nil {
		t.Fatal(err)
	}
	s, err := mailing.New(mailing.Config{
		Server: server, From: "Ünsere News <news@example.com>", Roots: roots,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.Addr().String())
		},
		Compose: func(d *onramp.Delivery) (mailing.Mail, bool) {
			return mailing.Mail{
				ID: d.ID(), To: "ana@example.org", Language: "de", Subject: "Bitte bestätigen: A\r\nBcc: eve@example.org", Text: "Jetzt <b>bestätigen</b>:", Button: "Bestätigen & los",
				Link: "https://signup.example.com/confirm/abc-_", Ignore: "Sonst nichts.", Values: []string{"Vorname: Ana"},
			}, d.Form == "newsletter"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func delivery() onramp.Delivery {
	return onramp.Delivery{RegistrationID: "r", Step: 0, Run: 1, Form: "newsletter"}
}

func send(t *testing.T, s *mailing.Sender) onramp.Outcome {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	return s.Send(ctx, onramp.Call{Destination: mailing.Destination(), Deliveries: []onramp.Delivery{delivery()}})[0]
}

// A mail goes out over a secure connection, authenticated, with headers that nothing in a
// text can add to, and both as text and as HTML.
func TestSend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, address string
		secure        bool
		offers        []string
		want          string // command by which the server is told who we are
	}{
		{"TLS", "smtps://us%40er:p%2Fw@example.com", true, []string{"AUTH LOGIN PLAIN"}, "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00us@er\x00p/w"))},
		{"STARTTLS", "smtp://user:pw@example.com", false, []string{"STARTTLS", "AUTH LOGIN"}, "AUTH LOGIN"},
		{"in clear to this machine", "smtp://127.0.0.1", false, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t, c.secure, nil, c.offers...)
			o := send(t, sender(t, p, c.address, p.roots))
			if o.Verdict != onramp.Delivered {
				t.Fatalf("%+v", o)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if all := strings.Join(p.commands, "\n"); c.want != "" && !strings.Contains(all, c.want) || !strings.Contains(all, "RCPT TO:<ana@example.org>") || !strings.Contains(all, "MAIL FROM:<news@example.com>") {
				t.Error(all)
			}
			checkMail(t, p.mails[0])
		})
	}
}

func checkMail(t *testing.T, text string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "Bitte bestätigen: A  Bcc: eve@example.org" || m.Header.Get("Bcc") != "" || m.Header.Get("To") != "<ana@example.org>" ||
		m.Header.Get("Message-ID") != "<r.0.1@example.com>" || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Content-Language") != "de" {
		t.Error(subject, m.Header, err)
	}
	if from, err := m.Header.AddressList("From"); err != nil || from[0].Name != "Ünsere News" || from[0].Address != "news@example.com" {
		t.Error(from, err)
	}
	_, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, parameters["boundary"])
	var bodies []string
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, part.Header.Get("Content-Type")+"\n"+strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	if len(bodies) != 2 {
		t.Fatal(bodies)
	}
	want := "text/plain; charset=utf-8\nVorname: Ana\n\nJetzt <b>bestätigen</b>:\n\nhttps://signup.example.com/confirm/abc-_\n\nSonst nichts.\n"
	if diff := cmp.Diff(want, bodies[0]); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(bodies[1], `<a href="https://signup.example.com/confirm/abc-_">Bestätigen &amp; los</a>`) || !strings.Contains(bodies[1], "Jetzt &lt;b&gt;bestätigen") {
		t.Error(bodies[1])
	}
}

// Each answer of a mail server has its outcome (RFC 5321, 4.2), and none repeats the address.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answers map[string]string
		offers  []string
		want    onramp.Verdict
		late    bool // it may have arrived
	}{
		{"the address does not exist", map[string]string{"RCPT": "550 5.1.1 <ana@example.org> unknown"}, []string{"AUTH PLAIN"}, onramp.Rejected, false},
		{"the address is over quota", map[string]string{"RCPT": "452 4.2.2 <ana@example.org> full"}, []string{"AUTH PLAIN"}, onramp.Retry, false},
		{"greylisted", map[string]string{"RCPT": "451 4.7.1 later"}, []string{"AUTH PLAIN"}, onramp.Retry, false},
		{"too many", map[string]string{"MAIL": "421 4.7.0 slow down"}, []string{"AUTH PLAIN"}, onramp.Throttled, false},
		{"the sender is refused", map[string]string{"MAIL": "550 5.7.1 not you"}, []string{"AUTH PLAIN"}, onramp.Blocked, false},
		{"the password is wrong", map[string]string{"AUTH": "535 5.7.8 bad credentials"}, []string{"AUTH PLAIN"}, onramp.Blocked, false},
		{"the server asks for a password", map[string]string{"RCPT": "530 5.7.0 authenticate first"}, []string{"AUTH PLAIN"}, onramp.Blocked, false},
		{"no mechanism", nil, nil, onramp.Blocked, false},
		{"not taken for now", map[string]string{".": "451 4.3.0 later"}, []string{"AUTH PLAIN"}, onramp.Retry, false},
		{"refused for its content", map[string]string{".": "554 5.7.1 spam"}, []string{"AUTH PLAIN"}, onramp.Rejected, false},
		{"the answer is lost", map[string]string{".": "hang up"}, []string{"AUTH PLAIN"}, onramp.Retry, true},
		{"the connection is lost before", map[string]string{"RCPT": "hang up"}, []string{"AUTH PLAIN"}, onramp.Retry, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t, false, c.answers, c.offers...)
			o := send(t, sender(t, p, "smtp://user:pw@127.0.0.1", p.roots))
			if o.Verdict != c.want || o.MayHaveArrived != c.late || o.NotSent == c.late || strings.Contains(o.Detail+o.Hint, "ana@") || o.Detail == "" {
				t.Errorf("%+v, want %s", o, c.want)
			}
		})
	}
}

// Nothing is sent in clear to another machine, nor to one whose certificate is not valid.
func TestInsecure(t *testing.T) {
	t.Parallel()
	clear, secure := newPost(t, false, nil, "AUTH PLAIN"), newPost(t, true, nil, "AUTH PLAIN")
	for _, c := range []struct {
		to      *post
		address string
		roots   *x509.CertPool
		detail  string
	}{
		{clear, "smtp://user:pw@example.com", clear.roots, "no STARTTLS"},
		{secure, "smtps://user:pw@127.0.0.1", x509.NewCertPool(), "certificate"},
		{secure, "smtps://user:pw@other.example", secure.roots, "certificate"},
	} {
		s := sender(t, c.to, c.address, c.roots)
		if o := send(t, s); o.Verdict != onramp.Blocked || !strings.Contains(o.Detail, c.detail) {
			t.Errorf("%+v", o)
		}
		if err := s.Check(t.Context()); err == nil {
			t.Error("the check passes")
		}
		c.to.mu.Lock()
		if all := strings.Join(c.to.commands, " "); strings.Contains(all, "AUTH") || len(c.to.mails) > 0 {
			t.Error(all)
		}
		c.to.mu.Unlock()
	}
	if err := sender(t, secure, "smtps://user:pw@127.0.0.1", secure.roots).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestParseServer(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]mailing.Server{
		"smtps://user:p%40ss@mail.example.com:4650": {Host: "mail.example.com", Port: "4650", TLS: true, User: "user", Password: "p@ss"},
		"smtps://mail.example.com":                  {Host: "mail.example.com", Port: "465", TLS: true},
		"smtp://user:pass@mail.example.com/":        {Host: "mail.example.com", Port: "587", User: "user", Password: "pass"},
	} {
		if got, err := mailing.ParseServer(onramp.Secret(address)); err != nil || got != want {
			t.Error(address, got, err)
		}
	}
	for _, address := range []string{"", "mail.example.com", "https://mail.example.com", "smtp://", "smtps://user@mail.example.com", "smtps://u:p@mail.example.com/x", "smtps://u:p@mail.example.com?x", "smtp://u:%zz@x"} {
		if _, err := mailing.ParseServer(onramp.Secret(address)); err == nil || strings.Contains(err.Error(), "zz") {
			t.Error(address, err)
		}
	}
}
