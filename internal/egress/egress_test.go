package egress_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"onramp/internal/egress"
)

// guarded is the guard under the default transport of this test's process.
var guarded = egress.New(egress.Policy{})

func TestMain(m *testing.M) {
	guarded.Default()
	os.Exit(m.Run())
}

// What may be called depends on the address, and on whether the configuration has the
// address or a name for it.
func TestPolicy(t *testing.T) {
	t.Parallel()
	const (
		metadata, linkLocal, nobody = "that of a cloud's metadata service", "link-local", "no host's"
		own, private                = "this machine's", "private"
	)
	open := egress.Policy{}
	closed := egress.Policy{NoPrivate: true}
	allowing := egress.Policy{NoPrivate: true, Allow: []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("127.0.0.1/32")}}
	for _, row := range []struct {
		policy        egress.Policy
		host, address string
		want          string
	}{
		{open, "hook.example.com", "192.0.2.1", ""},
		{closed, "hook.example.com", "2001:db8::1", ""},

		{open, "hook.example.com", "10.1.2.3", ""},
		{open, "crm", "172.16.0.1", ""},
		{closed, "hook.example.com", "10.1.2.3", private},
		{closed, "crm", "192.168.0.1", private},
		{closed, "crm", "100.64.0.1", private},
		{closed, "crm", "fd12::1", private},
		{closed, "crm", "::ffff:10.1.2.3", private},
		{closed, "10.1.2.3", "10.1.2.3", ""},
		{closed, "fd12::1", "fd12::1", ""},
		{allowing, "crm", "10.1.2.3", ""},
		{allowing, "crm", "10.2.2.3", private},

		{open, "hook.example.com", "127.0.0.1", own},
		{open, "hook.example.com", "127.9.9.9", own},
		{open, "hook.example.com", "::1", own},
		{open, "hook.example.com", "::ffff:127.0.0.1", own},
		{open, "localhost.example.com", "127.0.0.1", own},
		{open, "localhost", "127.0.0.1", ""},
		{open, "LocalHost.", "::1", ""},
		{open, "mail.localhost", "127.0.0.1", ""},
		{open, "127.0.0.1", "127.0.0.1", ""},
		{open, "::1", "::1", ""},
		{allowing, "hook.example.com", "127.0.0.1", ""},

		{open, "hook.example.com", "169.254.169.254", metadata},
		{open, "169.254.169.254", "169.254.169.254", metadata},
		{open, "::ffff:169.254.169.254", "::ffff:169.254.169.254", metadata},
		{open, "64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe", metadata},
		{open, "2002:a9fe:a9fe::", "2002:a9fe:a9fe::", metadata},
		{open, "::a9fe:a9fe", "::a9fe:a9fe", metadata},
		{open, "2852039166", "169.254.169.254", metadata},
		{open, "0xa9fea9fe", "169.254.169.254", metadata},
		{open, "localhost", "169.254.169.254", metadata},
		{open, "fd00:ec2::254", "fd00:ec2::254", metadata},
		{open, "fd20:ce::254", "fd20:ce::254", metadata},
		{open, "metadata", "100.100.100.200", metadata},
		{open, "168.63.129.16", "168.63.129.16", metadata},
		{open, "169.254.1.1", "169.254.1.1", linkLocal},
		{open, "fe80::1%eth0", "fe80::1%eth0", linkLocal},
		{allowing, "169.254.169.254", "169.254.169.254", ""},
		{open, "0.0.0.0", "0.0.0.0", nobody},
		{open, "::", "::", nobody},
		{open, "0.1.2.3", "0.1.2.3", nobody},
		{open, "hook.example.com", "224.0.0.1", nobody},
		{open, "hook.example.com", "255.255.255.255", nobody},
		{closed, "64:ff9b::a01:203", "64:ff9b::a01:203", ""},
		{closed, "hook.example.com", "64:ff9b::a01:203", private},
	} {
		err := row.policy.Check(row.host, row.address)
		got := ""
		if e, ok := errors.AsType[*egress.Error](err); ok {
			got = e.Reason
		}
		if got != row.want || err != nil && !strings.Contains(err.Error(), row.host) {
			t.Errorf("%s at %s: %v, want %q", row.host, row.address, err, row.want)
		}
	}
}

// nameServer answers each question about an IPv4 address with the next of a list, and the
// last one from then on.
func nameServer(t *testing.T, answers ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var asked atomic.Int64
	go func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				next := min(asked.Add(1), int64(len(answers))) - 1
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: netip.MustParseAddr(answers[next]).As4()},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// clientOf is an HTTP client whose calls a guard watches over.
func clientOf(t *testing.T, g *egress.Guard) *http.Client {
	t.Helper()
	network := &http.Transport{DialContext: g.DialContext, DisableKeepAlives: true}
	g.Requests(network)
	return &http.Client{Transport: network, Timeout: 10 * time.Second}
}

// A name whose answer changes between two calls leads nowhere that its owner must not go:
// no earlier look counts. 127.0.0.2 stands for a public address.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	inside, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: inside, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) })}}
	server.Start()
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	policy := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}
	client := clientOf(t, egress.NewResolving(policy, nameServer(t, "127.0.0.2", "127.0.0.1", "169.254.169.254", "0.0.0.0")))
	const hook = "hook.example.com"
	for i, want := range []string{"", "this machine's", "that of a cloud's metadata service", "no host's"} {
		response, err := client.Post("http://"+net.JoinHostPort(hook, port)+"/", "text/plain", strings.NewReader("event"))
		if err == nil {
			response.Body.Close()
		}
		got := ""
		if e, ok := errors.AsType[*egress.Error](err); ok {
			got = e.Reason
		}
		if got != want || (err == nil) != (want == "") {
			t.Errorf("call %d: %v, want %q", i, err, want)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls have arrived, want the first alone", n)
	}
}

// A redirect leads to no other host, port or scheme, whatever its status and whoever
// follows it, also by the default client, which libraries use.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var inside atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			status := http.StatusFound
			if r.URL.Query().Has("again") {
				status = http.StatusTemporaryRedirect
			}
			http.Redirect(w, r, to, status)
			return
		}
		_, _ = io.WriteString(w, "here")
	}))
	t.Cleanup(server.Close)
	const elsewhere = "redirects to another host or scheme"
	for to, want := range map[string]string{
		"/here":                                                "",
		server.URL + "/here":                                   "",
		"/?to=" + url.QueryEscape("/here"):                     "",
		other.URL + "/":                                        elsewhere,
		"/?to=" + url.QueryEscape(other.URL):                   elsewhere,
		"http://169.254.169.254/latest/meta-data/":             elsewhere,
		"http://localhost:1/":                                  elsewhere,
		"https" + strings.TrimPrefix(server.URL, "http") + "/": elsewhere,
	} {
		for name, client := range map[string]*http.Client{"a client": clientOf(t, egress.New(egress.Policy{})), "the default client": http.DefaultClient} {
			for _, again := range []string{"", "&again"} {
				response, err := client.Post(server.URL+"/?to="+url.QueryEscape(to)+again, "text/plain", strings.NewReader("event"))
				if err == nil {
					response.Body.Close()
				}
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%s, to %s%s: %v, want %q", name, to, again, err, want)
				}
			}
		}
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("%d calls have arrived inside", n)
	}
}

// What a library calls by net/http's defaults is watched over, too.
func TestDefault(t *testing.T) {
	t.Parallel()
	for _, client := range []*http.Client{http.DefaultClient, {}} {
		response, err := client.Get("http://169.254.169.254/latest/meta-data/")
		if err == nil {
			response.Body.Close()
		}
		if _, ok := errors.AsType[*egress.Error](err); !ok {
			t.Errorf("a call of the metadata service: %v", err)
		}
	}
}

// A proxy gets no request for an address that must not be called, though it would make the
// connection itself.
func TestProxy(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(proxy.Close)
	through, _ := url.Parse(proxy.URL)
	g := egress.New(egress.Policy{})
	network := &http.Transport{DialContext: g.DialContext, Proxy: http.ProxyURL(through)}
	g.Requests(network)
	client := &http.Client{Transport: network}
	for address, want := range map[string]int64{"http://hook.example.com/": 1, "http://169.254.169.254/": 0, "http://[fd00:ec2::254]/": 0, "http://[::ffff:169.254.169.254]/": 0} {
		asked.Store(0)
		response, err := client.Get(address)
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != (want == 1) || asked.Load() != want {
			t.Errorf("%s: the proxy was asked %d times, %v", address, asked.Load(), err)
		}
	}
}

// A change holds for the next connection.
func TestChange(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	g := egress.NewResolving(egress.Policy{}, nameServer(t, "127.0.0.1"))
	for _, policy := range []egress.Policy{{}, {Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, {}} {
		g.Change(policy)
		conn, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort("hook.example.com", port))
		if err == nil {
			conn.Close()
		}
		if (err == nil) != (policy.Allow != nil) {
			t.Errorf("with %v: %v", policy.Allow, err)
		}
	}
}
