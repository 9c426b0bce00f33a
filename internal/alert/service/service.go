// Package service knows the services that alerts are sent to, which the library
// shoutrrr provides, and the URLs that name them, such as slack://….
//
// Use Parse first: it says what is wrong with a URL without showing it. The package
// sends nothing, and knows nothing of alerts.
package service

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"onramp/internal/onramp"
	"onramp/internal/spelling"
)

// Target is a service by its URL.
type Target struct {
	url    *url.URL
	Scheme string // without what follows a +
	Titled bool   // the service shows a title
}

// titled are the services that are known to show a title. To others it is the
// text's first line.
func titled() []string {
	return []string{"discord", "generic", "gotify", "ntfy", "pushbullet", "pushover", "slack", "smtp", "teams"}
}

var scheme = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,19}(\+https?)?$`)

// Parse checks a URL. Its error says what to write instead, and shows the name of
// a service at most.
func Parse(secret onramp.Secret) (t Target, err error) {
	name, rest, _ := strings.Cut(secret.Reveal(), "://")
	if !scheme.MatchString(name) || rest == "" {
		return Target{}, errors.New("must be the URL of a service, such as slack://…, smtp://…, teams://…, pagerduty://… or generic+https://…")
	}
	t.Scheme, _, _ = strings.Cut(name, "+")
	if _, err := new(router.ServiceRouter).NewService(t.Scheme); err != nil {
		return Target{}, errors.New(unknown(name))
	}
	if t.url, err = url.Parse(secret.Reveal()); err != nil {
		return Target{}, fmt.Errorf("the %s URL is not valid: percent-encode special characters in names and passwords, such as %%40 for @", t.Scheme)
	}
	t.Titled = slices.Contains(titled(), t.Scheme)
	if t.Scheme == "generic" {
		t.useJSON()
	}
	if t.Scheme == "matrix" {
		return t, nil // it would log in
	}
	if _, err := t.Open(); err != nil {
		return Target{}, fmt.Errorf("%s: %s", t.Scheme, strings.Join(strings.Fields(t.Redact(err)), " "))
	}
	return t, nil
}

// unknown says what the name of a service may have been meant to be. It doesn't
// repeat it: what stands before :// may be a secret, too.
func unknown(name string) string {
	name, suffix, _ := strings.Cut(name, "+")
	if suffix != "" {
		suffix = "+" + suffix
	}
	if meant := nearMiss(name); meant != "" {
		return "names an unknown service; did you mean " + meant + suffix + "://?"
	}
	if name == "http" || name == "https" {
		return "names an unknown service; for a webhook write generic+" + name + "://…"
	}
	return "names an unknown service; https://shoutrrr.nickfedor.com lists them"
}

func nearMiss(name string) string {
	known := new(router.ServiceRouter).ListServices()
	slices.Sort(known) // of two that are equally close it is always the same
	return spelling.Closest(name, known)
}

// useJSON makes a webhook get title and text as JSON, unless its URL has
// another wish: without a template it would get the text alone.
func (t *Target) useJSON() {
	query := t.url.Query()
	if query.Has("template") {
		t.Titled = strings.EqualFold(query.Get("template"), "json")
		return
	}
	query.Set("template", "json")
	t.url.RawQuery = query.Encode()
}

// Open makes the service for every send: some keep what they sent in
// their settings.
func (t Target) Open() (s types.Service, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the URL does not have the form this service needs")
		}
	}()
	s, err = new(router.ServiceRouter).NewService(t.Scheme)
	if err != nil {
		return nil, err
	}
	u := t.url
	if u.Scheme != t.Scheme { // such as generic+https
		custom, ok := s.(types.CustomURLService)
		if !ok {
			return nil, errors.New("this service does not support URLs with a +")
		}
		if u, err = custom.GetConfigURLFromCustom(u); err != nil {
			return nil, err
		}
	}
	if err := s.Initialize(u, nil); err != nil { // nil: what it would log may hold the URL
		return nil, err
	}
	useNetwork(s)
	return s, nil
}

// useNetwork has a service that comes with a transport of its own make its connections as
// all others do: by the default one, which the program may have put a guard under.
func useNetwork(s types.Service) {
	network := http.DefaultTransport.(*http.Transport)
	switch s := s.(type) {
	case *ntfy.Service:
		own := network.Clone()
		own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.Config.DisableTLSVerification} //nolint:gosec // the operator's own setting
		s.SetHTTPClient(&http.Client{Timeout: ntfy.HTTPTimeout * time.Second, Transport: own})
	case interface{ GetHTTPClient() *http.Client }: // gotify, mattermost
		if client := s.GetHTTPClient(); client != nil {
			if own, ok := client.Transport.(*http.Transport); ok {
				own.DialContext, own.Proxy = network.DialContext, network.Proxy
			}
		}
	}
}

// minRedacted is the length of the shortest part of a URL that is looked for: a
// shorter one would be found everywhere.
const minRedacted = 3

// Redact gives an error's text without anything that stands in the URL. Some
// services put the whole of it into their errors, or what the other side said.
func (t Target) Redact(err error) string {
	words := strings.FieldsFunc(t.url.String(), func(r rune) bool { return strings.ContainsRune(":/@?#&=,;+-", r) })
	password, _ := t.url.User.Password()
	words = append(words, t.url.Host, t.url.Path, t.url.User.Username(), password)
	for key, values := range t.url.Query() {
		words = append(append(words, key), values...)
	}
	for _, w := range slices.Clone(words) {
		plain, _ := url.QueryUnescape(w)
		words = append(words, plain, url.QueryEscape(w), url.PathEscape(w))
	}
	// the longest first, since it may hold another one
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	text := err.Error()
	for _, w := range words {
		if len(w) >= minRedacted && !strings.EqualFold(w, t.Scheme) {
			text = strings.ReplaceAll(text, w, "…")
		}
	}
	return text
}
