package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/certificate/certtest"
	"onramp/internal/sandbox"
	"onramp/internal/tooltest"
	"onramp/internal/web/webtest"
)

// proxy is a program in front of a gateway, run by its example in docs/examples.
type proxy struct {
	name    string
	args    func(file, folder string) []string
	replace func(p *proxied) *strings.Replacer // addresses and paths of the example
}

// proxied is a gateway with such a program in front of it.
type proxied struct {
	*world
	https, http string // the program's addresses
	cert, key   string
	folder      string
	trust       *x509.CertPool
	database    string
}

func nginx() proxy {
	return proxy{
		"nginx", func(file, folder string) []string {
			return []string{"-p", folder, "-c", file, "-e", filepath.Join(folder, "error.log"), "-g", "daemon off;"}
		}, func(p *proxied) *strings.Replacer {
			return strings.NewReplacer(
				"server 127.0.0.1:8080 ", "server "+p.listen+" ", "listen 443 ", "listen "+p.https+" ", "listen 80;", "listen "+p.http+";",
				"\t\tlisten [::]:443 ssl http2;\n", "", "\t\tlisten [::]:443 ssl http2 default_server;\n", "", "\t\tlisten [::]:80;\n", "",
				"/etc/letsencrypt/live/signup.example.com/fullchain.pem", p.cert, "/etc/letsencrypt/live/signup.example.com/privkey.pem", p.key,
				"/run/nginx.pid", p.folder+"/pid", "/var/log/nginx/error.log", p.folder+"/error.log",
				"http {\n", "http {\nclient_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n",
			)
		},
	}
}

func caddy() proxy {
	return proxy{
		"caddy", func(file, _ string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} },
		func(p *proxied) *strings.Replacer {
			_, httpPort, _ := net.SplitHostPort(p.http)
			_, httpsPort, _ := net.SplitHostPort(p.https)
			return strings.NewReplacer(
				"signup.example.com {\n", "{\nadmin off\nhttp_port "+httpPort+"\nhttps_port "+httpsPort+"\nstorage file_system "+p.folder+"\ndefault_bind 127.0.0.1\n}\nsignup.example.com {\n",
				"127.0.0.1:8080 {", p.listen+" {", "# tls /etc/onramp/fullchain.pem /etc/onramp/privkey.pem", "tls "+p.cert+" "+p.key,
			)
		},
	}
}

// start runs the program until the test ends.
func (p proxy) start(t *testing.T) *proxied {
	t.Helper()
	path, err := exec.LookPath(p.name)
	if err != nil {
		tooltest.Missing(t, p.name, err)
	}
	example, err := os.ReadFile("../../docs/examples/" + map[string]string{"nginx": "nginx.conf", "caddy": "Caddyfile"}[p.name])
	if err != nil {
		t.Fatal(err)
	}
	authority := certtest.New(t)
	of := &proxied{world: newSandboxed(t), https: webtest.FreeAddress(t), http: webtest.FreeAddress(t), folder: t.TempDir(), trust: authority.Pool()}
	of.listen, of.elsewhere, of.database = webtest.FreeAddress(t), "https://"+signup, filepath.Join(t.TempDir(), "onramp.db")
	of.cert, of.key = authority.Issue(90*certtest.Day, signup).Write(t, of.folder)
	of.run()
	file := filepath.Join(of.folder, "configuration")
	if err := os.WriteFile(file, []byte(p.replace(of).Replace(string(example))), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(path, p.args(file, of.folder)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = &said, &said, append(os.Environ(), "HOME="+of.folder, "XDG_CONFIG_HOME="+of.folder, "XDG_DATA_HOME="+of.folder)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for begun := time.Now(); ; <-time.After(20 * time.Millisecond) {
		c, err := net.Dial("tcp", of.https)
		if err == nil {
			_ = c.Close()
			return of
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", p.name, err, said.String())
		default:
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("%s does not listen: %v", p.name, err)
		}
	}
}

// run starts the gateway as the examples say.
func (p *proxied) run() {
	p.t.Helper()
	p.start(func(cfg string) string {
		return strings.Replace(cfg, demoPublic, `public: { url: "https://signup.example.com", trusted_proxies: [127.0.0.1] }`, 1)
	}, p.database)
}

// visitor is who comes from a loopback address, by a version of HTTP.
func (p *proxied) visitor(from string, version func(*http.Protocols, bool)) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: p.trust}, Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			to := p.https
			if strings.HasSuffix(address, ":80") {
				to = p.http
			}
			return d.DialContext(ctx, network, to)
		},
	}
	version(transport.Protocols, true)
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 40 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is what came back.
type reply struct {
	Status                           int
	Type, RetryAfter, Location, HSTS string
	Body                             string // "" for a registration
}

const registrations = "https://signup.example.com/v1/forms/registration/registrations"

// ask sends a request.
func (p *proxied) ask(client *http.Client, method, url, contentType string, body io.Reader, headers ...string) reply {
	p.t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, url, err)
	}
	if contentType := answer.Header.Get("Content-Type"); contentType == "application/json" || contentType == "text/html; charset=utf-8" || answer.StatusCode/100 == 3 {
		text = nil
	}
	h := answer.Header
	return reply{answer.StatusCode, h.Get("Content-Type"), h.Get("Retry-After"), h.Get("Location"), strings.Join(h.Values("Strict-Transport-Security"), " and "), string(text)}
}

const hsts = "max-age=31536000"

// problem is an error that the gateway answers.
func problem(status int, detail string) reply {
	body := fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"detail":%q}`+"\n", http.StatusText(status), status, detail)
	return reply{Status: status, Type: "application/problem+json", HSTS: hsts, Body: body}
}

// nginx and Caddy, run by the examples, pass on all that the gateway relies on.
func TestProxies(t *testing.T) {
	t.Parallel()
	for _, program := range []proxy{nginx(), caddy()} {
		t.Run(program.name, func(t *testing.T) {
			t.Parallel()
			p := program.start(t)
			for version, set := range map[string]func(*http.Protocols, bool){"HTTP/1.1": (*http.Protocols).SetHTTP1, "HTTP/2": (*http.Protocols).SetHTTP2} {
				p.passesBodies(version, p.visitor("127.0.0.1", set))
			}
			p.passesAddresses()
			p.passesWaits()
			p.passesNoMore()
			p.outlivesRestart()
			p.passesTrouble()
		})
	}
}

// passesBodies checks that bodies up to the limit arrive, and that what is larger gets the
// gateway's own answer.
func (p *proxied) passesBodies(version string, visitor *http.Client) {
	p.t.Helper()
	sized := func(size int) io.Reader {
		const begin, end = `{"email":"large@example.com"`, `}`
		return strings.NewReader(begin + strings.Repeat(" ", size-len(begin)-len(end)) + end)
	}
	var upload bytes.Buffer
	form := multipart.NewWriter(&upload)
	_ = form.WriteField("email", "upload@example.com")
	_ = form.WriteField("first_name", strings.Repeat("é", 100))
	_ = form.Close()
	for name, row := range map[string]struct {
		path, contentType string
		body              io.Reader
		want              reply
	}{
		"largest":           {registrations, "application/json", sized(256 << 10), reply{Status: 202, Type: "application/json", HSTS: hsts}},
		"in pieces":         {registrations, "application/json", io.MultiReader(sized(100 << 10)), reply{Status: 202, Type: "application/json", HSTS: hsts}},
		"too large":         {registrations, "application/json", sized(256<<10 + 1), problem(413, "the body is larger than 256 KiB")},
		"far too large":     {registrations, "application/json", sized(16 << 20), problem(413, "the body is larger than 256 KiB")},
		"upload":            {registrations, form.FormDataContentType(), &upload, reply{Status: 202, Type: "application/json", HSTS: hsts}},
		"a batch of events": {"https://signup.example.com/ens/events", "application/json", sized(16 << 20), problem(401, "an access token is missing")},
		"the token endpoint": {"https://signup.example.com/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader("grant_type=none"), reply{
			Status: 401, Type: "application/json;charset=UTF-8", HSTS: hsts, Body: `{"error":"invalid_client","error_description":"the client did not authenticate"}` + "\n",
		}},
	} {
		got := p.ask(visitor, "POST", row.path, row.contentType, row.body)
		if got.Location = ""; !cmp.Equal(row.want, got) {
			p.t.Errorf("%s: %s (-want +got):\n%s", version, name, cmp.Diff(row.want, got))
		}
	}
}

// passesAddresses checks that the visitor's own address arrives, whatever the visitor says.
func (p *proxied) passesAddresses() {
	p.t.Helper()
	for i, from := range []string{"127.0.0.7", "127.0.0.8"} {
		email := from + "@example.com"
		version := []func(*http.Protocols, bool){(*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2}[i]
		got := p.ask(p.visitor(from, version), "POST", registrations, "application/json", strings.NewReader(`{"email":"`+email+`"}`),
			"Prefer", wait, "X-Forwarded-For", "203.0.113.9, 127.0.0.1", "Forwarded", "for=203.0.113.9", "X-Real-IP", "203.0.113.9")
		if got.Status != 201 {
			p.t.Fatalf("answered %+v", got)
		}
		row := p.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows
		var address any
		for _, r := range row {
			if r["EmailAddress"] == email {
				address = r["IPAddress"]
			}
		}
		if address != from {
			p.t.Errorf("who comes from %s has the address %v", from, address)
		}
	}
}

// passesWaits checks that an answer that takes its time arrives.
func (p *proxied) passesWaits() {
	p.t.Helper()
	if err := p.sandbox.SetFaults([]sandbox.Fault{{Match: "/hub/", DelayMS: 2500, Count: 1}}); err != nil {
		p.t.Fatal(err)
	}
	begun := time.Now()
	got := p.ask(p.visitor("127.0.0.1", (*http.Protocols).SetHTTP2), "POST", registrations, "application/json", strings.NewReader(`{"email":"patient@example.com"}`), "Prefer", wait)
	if took := time.Since(begun); got.Status != 201 || took < 2*time.Second {
		p.t.Errorf("after %s answered %+v", took, got)
	}
}

// passesNoMore checks what must not be reached from outside.
func (p *proxied) passesNoMore() {
	p.t.Helper()
	visitor := p.visitor("127.0.0.1", (*http.Protocols).SetHTTP1)
	for _, path := range []string{"/api/status", "/readyz", "/metrics"} {
		if got, want := p.ask(visitor, "GET", "https://signup.example.com"+path, "", nil), problem(404, "there is nothing at this address"); got != want {
			p.t.Errorf("%s: %s", path, cmp.Diff(want, got))
		}
	}
	got := p.ask(visitor, "GET", "http://signup.example.com/f/registration?x=1", "", nil)
	if got.Status/100 != 3 || got.Location != "https://signup.example.com/f/registration?x=1" || got.HSTS != "" {
		p.t.Errorf("http: %+v", got)
	}
	if host, err := shake(p.https, "other.example.com", p.trust); err == nil {
		p.t.Errorf("another host is shown the certificate of %s", host)
	}
}

// outlivesRestart checks that a restart of the gateway costs nobody more than a moment:
// who comes meanwhile is told to come again, if the program does not wait.
func (p *proxied) outlivesRestart() {
	p.t.Helper()
	visitor := p.visitor("127.0.0.1", (*http.Protocols).SetHTTP2)
	post := func() reply {
		got := p.ask(visitor, "POST", registrations, "application/json", strings.NewReader(`{"email":"restart@example.com"}`))
		got.Body, got.Location = strings.TrimSpace(got.Body), ""
		return got
	}
	p.end()
	answered := make(chan reply, 1)
	go func() { answered <- post() }()
	p.run()
	away := reply{Status: 503, Type: "application/problem+json", RetryAfter: "5", Body: `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the server can't be reached; please try again"}`}
	taken := reply{Status: 202, Type: "application/json", HSTS: hsts}
	if got := <-answered; got != away && got != taken {
		p.t.Errorf("meanwhile: %+v", got)
	}
	if diff := cmp.Diff(taken, post()); diff != "" {
		p.t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

// passesTrouble checks that a 503 of the gateway's own arrives as it is.
func (p *proxied) passesTrouble() {
	p.t.Helper()
	if err := os.Remove(p.database); err != nil {
		p.t.Fatal(err)
	}
	var got reply
	for end := time.Now().Add(20 * time.Second); got.Status != 503 && time.Now().Before(end); {
		got = p.ask(p.visitor("127.0.0.1", (*http.Protocols).SetHTTP2), "POST", registrations, "application/json", strings.NewReader(`{"email":"late@example.com"}`))
	}
	want := problem(503, "the registration could not be stored; please try again")
	want.RetryAfter = "5"
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("without a database (-want +got):\n%s", diff)
	}
}
