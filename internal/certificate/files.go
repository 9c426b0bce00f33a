package certificate

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"onramp/internal/certificate/pemfile"
	"onramp/internal/health"
)

// lookEvery is how often the files are read. They are a few kilobytes, and may be
// replaced by a rename, by writing into them, or by a link to another folder: their
// content tells for all of these.
const lookEvery = 2 * time.Second

const hintFiles = "operator: put a certificate with its chain, and the key that belongs to it, into the files; they are loaded when they change"

// Files shows a certificate from two PEM files.
type Files struct {
	listener, cert, key string
	log                 *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	seen    pemfile.Pair // what was found last
	refused string       // why that is not in use; "": it is
	told    bool         // the log says so
}

// OpenFiles loads the certificate of a listener, whose name is for status and log. Its
// error names the file that can't be read, or says that the two don't belong together.
func OpenFiles(listener, cert, key string, log *slog.Logger) (*Files, error) {
	f := &Files{listener: listener, cert: cert, key: key, log: log, seen: pemfile.Read(cert, key)}
	current, certErr, keyErr := f.seen.Parse()
	if err := cmp.Or(certErr, keyErr); err != nil {
		return nil, err
	}
	f.use(current)
	return f, nil
}

// Config shows the certificate whatever host is asked for: there is no other.
func (f *Files) Config() *tls.Config {
	return newConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.current, nil
	})
}

// Run looks at the files every two seconds until ctx ends.
func (f *Files) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.Look()
		case <-ctx.Done():
			return
		}
	}
}

// Look loads the files if they have changed. What can't be used changes nothing, and is
// told of only when it is still there at the next look: a pair that is being written is
// incomplete for a moment.
func (f *Files) Look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := pemfile.Read(f.cert, f.key)
	if found.Equal(f.seen) {
		f.tell()
		return
	}
	f.seen, f.told = found, false
	current, certErr, keyErr := found.Parse()
	if err := cmp.Or(certErr, keyErr); err != nil {
		f.refused = err.Error()
		return
	}
	f.refused = ""
	f.use(current)
}

// use shows a certificate from now on. It needs mu, once others know f.
func (f *Files) use(c *tls.Certificate) {
	same := f.current != nil && f.current.Leaf.Equal(c.Leaf)
	f.current = c
	if same {
		return
	}
	status := health.NewCertificate(f.listener, c.Leaf, time.Now())
	level, message := slog.LevelInfo, "certificate loaded"
	switch {
	case status.Failed():
		level, message = slog.LevelError, "certificate loaded, but it has expired or is not valid yet"
	case status.Expiring():
		level, message = slog.LevelWarn, "certificate loaded, but it expires soon"
	}
	f.log.Log(context.Background(), level, message, "listener", f.listener, "hosts", status.Hosts, "expires_at", status.ExpiresAt)
}

// tell has the log say why the files are not in use, once. It needs mu.
func (f *Files) tell() {
	if f.refused == "" || f.told {
		return
	}
	f.told = true
	f.log.Error("certificate not loaded, the previous one stays in use", "listener", f.listener, "err", f.refused, "hint", hintFiles)
}

// Status is how it stands with the certificate that is in use, and why the files have
// another one.
func (f *Files) Status() []health.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := health.NewCertificate(f.listener, f.current.Leaf, time.Now())
	if f.told {
		c.Reason, c.Hint = f.refused, hintFiles
	} else if c.Failed() || c.Expiring() {
		c.Hint = hintFiles
	}
	return []health.Certificate{c}
}
