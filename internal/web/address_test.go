package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"onramp/internal/web"
)

// The visitor's address: what a stranger claims counts for nothing, and there always
// is one.
func TestClientIP(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	const proxy = "10.1.2.3:1234"
	for name, row := range map[string]struct {
		trusted      []netip.Prefix
		header, peer string
		lines        []string
		want         string
	}{
		"peer":                   {nil, "", "192.0.2.1:1234", nil, "192.0.2.1"},
		"peer with IPv6":         {nil, "", "[2001:db8::1]:1234", nil, "2001:db8::1"},
		"peer with a zone":       {nil, "", "[fe80::1%eth0]:1234", nil, "fe80::1"},
		"mapped":                 {nil, "", "[::ffff:192.0.2.1]:1234", nil, "192.0.2.1"},
		"claimed":                {nil, "", "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		"claimed past proxies":   {trusted, "", "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		"the peer is no address": {trusted, "", "@", []string{"198.51.100.7"}, ""},

		"from the proxy":         {trusted, "", proxy, []string{"198.51.100.7"}, "198.51.100.7"},
		"a mapped trusted proxy": {trusted, "", "[::ffff:10.1.2.3]:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		"through two proxies":    {trusted, "", "[2001:db8::1]:1234", []string{"198.51.100.7, 10.0.0.1"}, "198.51.100.7"},
		"in two lines":           {trusted, "", proxy, []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		"over two lines":         {trusted, "", proxy, []string{"203.0.113.9, 198.51.100.7", "10.0.0.1"}, "198.51.100.7"},
		"claimed before a proxy": {trusted, "", proxy, []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		"nothing":                {trusted, "", proxy, nil, "10.1.2.3"},
		"an empty line":          {trusted, "", proxy, []string{"198.51.100.7", "", " , "}, "198.51.100.7"},
		"proxies only":           {trusted, "", proxy, []string{"10.0.0.2, 10.0.0.1"}, "10.0.0.2"},
		"rubbish":                {trusted, "", proxy, []string{"198.51.100.7, <script>"}, "10.1.2.3"},
		"rubbish before a proxy": {trusted, "", proxy, []string{"198.51.100.7, unknown, 10.0.0.1"}, "10.0.0.1"},
		"of another header":      {trusted, "X-Real-IP", proxy, []string{}, "10.1.2.3"},

		"a port":                   {trusted, "", proxy, []string{"198.51.100.7:4711"}, "198.51.100.7"},
		"brackets":                 {trusted, "", proxy, []string{"[2001:db9::7]"}, "2001:db9::7"},
		"brackets and a port":      {trusted, "", proxy, []string{"[2001:DB9:0::7]:4711"}, "2001:db9::7"},
		"no brackets":              {trusted, "", proxy, []string{"2001:db9::7"}, "2001:db9::7"},
		"a zone":                   {trusted, "", proxy, []string{"fe80::1%eth0"}, "fe80::1"},
		"a zone and a port":        {trusted, "", proxy, []string{"[fe80::1%25eth0]:80"}, "fe80::1"},
		"mapped by the proxy":      {trusted, "", proxy, []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"mapped, with a port":      {trusted, "", proxy, []string{"[::ffff:c633:6407]:1"}, "198.51.100.7"},
		"quoted":                   {trusted, "", proxy, []string{`"198.51.100.7"`}, "198.51.100.7"},
		"quoted with a port":       {trusted, "", proxy, []string{`"[2001:db9::7]:80"`}, "2001:db9::7"},
		"blanks":                   {trusted, "", proxy, []string{" \t198.51.100.7 \t,  10.0.0.1:80 "}, "198.51.100.7"},
		"a proxy with a port":      {trusted, "", proxy, []string{"198.51.100.7, [2001:db8::5]:80"}, "198.51.100.7"},
		"a bracket too few":        {trusted, "", proxy, []string{"[2001:db9::7"}, "10.1.2.3"},
		"something after brackets": {trusted, "", proxy, []string{"[2001:db9::7]80"}, "10.1.2.3"},
		"leading zeros":            {trusted, "", proxy, []string{"198.051.100.007"}, "10.1.2.3"},

		"X-Real-IP":               {trusted, "X-Real-IP", proxy, []string{"198.51.100.7"}, "198.51.100.7"},
		"X-Real-IP with a port":   {trusted, "X-Real-IP", proxy, []string{"[2001:db9::7]:80"}, "2001:db9::7"},
		"X-Real-IP twice":         {trusted, "X-Real-IP", proxy, []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		"X-Real-IP of a stranger": {trusted, "X-Real-IP", "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},

		"Forwarded":                         {trusted, "Forwarded", proxy, []string{"for=198.51.100.7"}, "198.51.100.7"},
		"Forwarded in capitals":             {trusted, "Forwarded", proxy, []string{`Proto=https;FOR="198.51.100.7:80";by=10.0.0.1`}, "198.51.100.7"},
		"Forwarded with IPv6":               {trusted, "Forwarded", proxy, []string{`for="[2001:db9::7]:4711";proto=https`}, "2001:db9::7"},
		"Forwarded with an obfuscated port": {trusted, "Forwarded", proxy, []string{`for="[2001:db9::7]:_a1"`}, "2001:db9::7"},
		"Forwarded through two":             {trusted, "Forwarded", proxy, []string{`for=203.0.113.9, for=198.51.100.7;by="a,b;c"`, `for="[2001:db8::5]"`}, "198.51.100.7"},
		"Forwarded unknown":                 {trusted, "Forwarded", proxy, []string{"for=198.51.100.7, for=unknown"}, "10.1.2.3"},
		"Forwarded obfuscated":              {trusted, "Forwarded", proxy, []string{"for=_hidden, for=10.0.0.5"}, "10.0.0.5"},
		"Forwarded without for":             {trusted, "Forwarded", proxy, []string{"for=198.51.100.7, proto=https"}, "10.1.2.3"},
		"Forwarded with two":                {trusted, "Forwarded", proxy, []string{"for=198.51.100.7;for=203.0.113.9"}, "10.1.2.3"},
		"Forwarded with blanks":             {trusted, "Forwarded", proxy, []string{"for=198.51.100.7 ; proto=http , "}, "198.51.100.7"},
		"Forwarded after an open quote":     {trusted, "Forwarded", proxy, []string{`for="203.0.113.9, for=198.51.100.7`}, "198.51.100.7"},
		"Forwarded, swallowing":             {trusted, "Forwarded", proxy, []string{`for=203.0.113.9;x=", for="[2001:db9::7]"`}, "2001:db9::7"},
		"Forwarded with escapes":            {trusted, "Forwarded", proxy, []string{`for=203.0.113.9, host="a\",b\\";for=198.51.100.7`}, "198.51.100.7"},
		"Forwarded of a stranger":           {trusted, "Forwarded", "192.0.2.1:1234", []string{"for=198.51.100.7"}, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := "the handler was not called"
			h := web.ClientIP(row.trusted, row.header)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = web.IP(r.Context()) }))
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			r.RemoteAddr = row.peer
			for _, other := range []string{web.XForwardedFor, web.Forwarded, web.XRealIP} {
				r.Header.Set(other, "203.0.113.66")
			}
			header := row.header
			if header == "" {
				header = web.XForwardedFor
			}
			r.Header.Del(header)
			for _, line := range row.lines {
				r.Header.Add(header, line)
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// Whatever a stranger sends to a proxy before what that adds, the address is the one
// that the proxy has seen.
func FuzzClientIP(f *testing.F) {
	for _, seed := range []string{"", "203.0.113.9", `for="`, `for=203.0.113.9;x="`, `a\`, `",`, `[::1`, "unknown", ";for=1.1.1.1;"} {
		f.Add(seed)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, claimed string) {
		for header, added := range map[string]string{web.XForwardedFor: "198.51.100.7", web.Forwarded: `for="198.51.100.7:80";proto=http`} {
			for _, lines := range [][]string{{claimed, added}, {claimed + ", " + added}} {
				r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
				r.RemoteAddr, r.Header[header] = "10.0.0.1:80", lines
				web.ClientIP(trusted, header)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if got := web.IP(r.Context()); got != "198.51.100.7" {
						t.Errorf("%s: %q is from %q", header, lines, got)
					}
				})).ServeHTTP(httptest.NewRecorder(), r)
			}
		}
	})
}
