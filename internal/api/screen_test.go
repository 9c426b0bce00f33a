package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/screen"
	"onramp/internal/store"
	"onramp/internal/store/storetest"
	"onramp/internal/web"
	"onramp/internal/web/webtest"
)

// screened is a gateway that screens the form "registration", with a clock of its own. The
// address is that of X-Forwarded-For.
type screened struct {
	http.Handler
	store *store.Store
	gate  *screen.Gate
	quiet *screen.Guard // with the same key, and nobody comes to it: its challenges are easy
	at    atomic.Int64  // since receivedAt
}

// oneKey keeps the key in memory, for several gates: the store of a test encrypts nothing.
type oneKey struct {
	*store.Store
	key []byte
}

func (k *oneKey) LoadScreenKey(context.Context) ([]byte, error) { return k.key, nil }

func (k *oneKey) SaveScreenKey(_ context.Context, key []byte) ([]byte, error) {
	k.key = key
	return key, nil
}

func (s *screened) now() time.Time { return receivedAt.Add(time.Duration(s.at.Load())) }

func (s *screened) advance(d time.Duration) { s.at.Add(int64(d)) }

func newScreened(t *testing.T, edit func(s *screen.Settings)) *screened {
	t.Helper()
	s := &screened{}
	kept, byName := storetest.Open(t, forms())
	s.store = kept
	settings := screen.Default()
	edit(&settings)
	log := slog.New(slog.DiscardHandler)
	key := &oneKey{Store: kept}
	gate := func() *screen.Gate {
		g, err := screen.New(t.Context(), screen.Config{
			Memory: screen.NewMemory(key, log, s.now), Forms: byName, Settings: map[string]screen.Settings{"registration": settings},
			Client: func(bool) *http.Client { return http.DefaultClient }, Log: log,
		})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	s.gate, s.quiet = gate(), gate().Guard("registration")
	p := &api.Public{Forms: byName, Store: kept, Server: &web.Server{Log: log, Part: "public"}, Now: s.now, Screen: s.gate}
	mux := http.NewServeMux()
	if err := p.Routes(mux); err != nil {
		t.Fatal(err)
	}
	s.Handler = web.Harden(web.ClientIP([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "")(mux))
	return s
}

func (s *screened) post(ip, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", registrations, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if strings.Contains(body, "=") && !strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("X-Forwarded-For", ip)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// held lists the email addresses of the registrations that are held, with what they are
// suspected of.
func (s *screened) held(t *testing.T) map[string]string {
	t.Helper()
	found, _, _, err := s.store.ListRegistrations(t.Context(), onramp.Filter{State: "held", Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, r := range found {
		whole, err := s.store.FindRegistration(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		all[r.SubscriberKey] = whole.Hold.Detail
	}
	return all
}

// A suspect is held, and learns nothing of it: the answer is that of anybody else, as JSON
// and as a page, at once and on every later question, with an Idempotency-Key and without.
func TestSuspectIsAnsweredLikeOthers(t *testing.T) {
	t.Parallel()
	s := newScreened(t, func(s *screen.Settings) { s.Honeypots = []string{"website"} })
	const browser = "text/html,application/xhtml+xml"
	for _, row := range []struct {
		name, body, accept string
		headers            []string
	}{
		{"json", `{"email":"%s@example.com"%s}`, "", nil},
		{"json that wants to wait", `{"email":"%s@example.com"%s}`, "", []string{"Prefer", "wait=30"}},
		{"json with a key", `{"email":"%s@example.com"%s}`, "", []string{"Idempotency-Key", "k"}},
		{"page", `email=%s%%40example.com%s`, browser, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			filled := `,"website":"https://spam.example"`
			if row.accept != "" {
				filled = "&website=spam"
			}
			ask := func(person, more string) (*httptest.ResponseRecorder, string) {
				headers := append([]string{"Accept", row.accept}, row.headers...)
				for i := range headers {
					if headers[i] == "k" {
						headers[i] = person + row.name
					}
				}
				person += strings.ReplaceAll(row.name, " ", "")
				w := s.post("198.51.100.1", fmt.Sprintf(row.body, person, more), headers...)
				again := s.post("198.51.100.1", fmt.Sprintf(row.body, person, more), headers...)
				location := w.Header().Get("Location")
				id := strings.TrimPrefix(location, "/v1/registrations/")
				hide := func(r *httptest.ResponseRecorder) string {
					own := strings.TrimPrefix(r.Header().Get("Location"), "/v1/registrations/")
					text := fmt.Sprint(r.Code, r.Header(), r.Body)
					return strings.ReplaceAll(text, own, "ID")
				}
				status := do(s, "GET", "/v1/registrations/"+id, "")
				return w, fmt.Sprint(hide(w), hide(again), status.Status, status.Body)
			}
			_, good := ask("good", "")
			_, bad := ask("bad", filled)
			if strings.ReplaceAll(good, "good", "") != strings.ReplaceAll(bad, "bad", "") {
				t.Errorf("a suspect is answered\n%s\nothers\n%s", bad, good)
			}
			if strings.Contains(bad, "held") {
				t.Error(bad)
			}
		})
	}
	for person, of := range s.held(t) {
		if of != "honeypot" || !strings.HasPrefix(person, "bad") {
			t.Error(person, of)
		}
	}
	if n := len(s.held(t)); n != 4 {
		t.Errorf("%d are held", n)
	}
}

// A flood from an address is answered with 429 and when to come again, on both doors.
func TestFloodIsRefused(t *testing.T) {
	t.Parallel()
	s := newScreened(t, func(s *screen.Settings) {
		s.Limits.Address = screen.Rate{Count: 2, Per: time.Minute}
		s.TrustedKeys = []onramp.Secret{"0123456789abcdef01234567"}
	})
	for range 2 {
		if w := s.post("198.51.100.1", `{"email":"user@example.com"}`); w.Code != 202 {
			t.Fatal(w.Code, w.Body)
		}
	}
	w := s.post("198.51.100.1", `{"email":"user@example.com"}`)
	webtest.Check(t, webtest.Problem(429, "too many requests from this address: try again later", "", "Retry-After: 30", vary), answerTo(w))
	if w := s.post("198.51.100.1", `email=user%40example.com`, "Accept", "text/html"); w.Code != 429 {
		t.Error(w.Code)
	}
	if w := s.post("198.51.100.2", `{"email":"user@example.com"}`); w.Code != 202 {
		t.Error("another address:", w.Code)
	}
	if w := s.post("198.51.100.1", `{"email":"user@example.com"}`, "Authorization", "Bearer 0123456789abcdef01234567"); w.Code != 202 {
		t.Error("with a key:", w.Code, w.Body)
	}
	if w := s.post("198.51.100.2", `{"email":"user@example.com"}`, "Authorization", "Bearer 0123456789abcdef01234568"); w.Code != 401 {
		t.Error("with a wrong key:", w.Code, w.Body)
	}
	s.advance(30 * time.Second)
	if w := s.post("198.51.100.1", `{"email":"user@example.com"}`); w.Code != 202 {
		t.Error("after half a minute:", w.Code)
	}
}

func answerTo(w *httptest.ResponseRecorder) answer { return webtest.AnswerOf(w.Result()) }

// List bombing: 10,000 posts with data as people have it, from 500 addresses within some
// minutes. What gets through is bounded by the limits, most is refused or held; the people
// who register in between with a browser get through; and there is one surge to tell of.
func TestListBombing(t *testing.T) {
	t.Parallel()
	const bots, posts, formLimit, addressLimit = 500, 20, 100, 5
	s := newScreened(t, func(s *screen.Settings) {
		s.ProofOfWork = screen.ProofAuto
		s.Limits = screen.Limits{Address: screen.Rate{Count: addressLimit, Per: time.Hour}, Form: screen.Rate{Count: formLimit, Per: time.Hour}}
	})
	names := []string{"Ana", "Bob", "Cem", "Dan", "Eva", "Fay", "Gus"}
	var refused, taken atomic.Int64
	person := func(i int) {
		w := s.post(fmt.Sprintf("203.0.113.%d", i), fmt.Sprintf(`{"email":"person%d@example.com","first_name":"Ida","altcha":%q}`, i, s.solve(t)))
		if w.Code != 202 {
			t.Errorf("person %d is answered with %d", i, w.Code)
		}
	}
	for round := range posts {
		var all sync.WaitGroup
		for part := range 10 {
			all.Go(func() {
				for bot := part; bot < bots; bot += 10 {
					body := fmt.Sprintf(`{"email":"%s.%d.%d@example.org","first_name":%q}`, names[bot%7], bot, round, names[(bot+round)%7])
					switch w := s.post(fmt.Sprintf("198.51.%d.%d", bot/250, bot%250), body); w.Code {
					case 202:
						taken.Add(1)
					case 429:
						refused.Add(1)
					default:
						t.Errorf("answered %d", w.Code)
					}
				}
			})
		}
		all.Wait()
		person(round)
		s.advance(10 * time.Second)
	}
	if taken.Load() != bots*addressLimit || refused.Load() != bots*(posts-addressLimit) {
		t.Errorf("%d are taken, %d refused", taken.Load(), refused.Load())
	}
	counts := s.store.Count().Registrations
	if through := counts[onramp.RegistrationQueued] - posts; through < 0 || through > formLimit {
		t.Errorf("%d of the attack got through: %v", through, counts)
	}
	for i := range posts {
		found, _, _, err := s.store.ListRegistrations(t.Context(), onramp.Filter{Query: fmt.Sprintf("person%d@example.com", i)})
		if err != nil || len(found) != 1 || found[0].State != onramp.RegistrationQueued {
			t.Errorf("person %d: %+v, %v", i, found, err)
		}
	}
	if surges := s.gate.Surges(); len(surges) != 1 || surges[0].Form != "registration" {
		t.Errorf("%+v", surges)
	}
}

// solve solves a challenge that is as easy as in quiet times: a surge's would take a test
// too long.
func (s *screened) solve(t *testing.T) string {
	t.Helper()
	c, err := s.quiet.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	for number := range c.MaxNumber + 1 {
		if sum := sha256.Sum256(fmt.Appendf(nil, "%s%d", c.Salt, number)); hex.EncodeToString(sum[:]) == c.Challenge {
			text, err := json.Marshal(map[string]any{"algorithm": c.Algorithm, "challenge": c.Challenge, "number": number, "salt": c.Salt, "signature": c.Signature})
			if err != nil {
				t.Fatal(err)
			}
			return base64.StdEncoding.EncodeToString(text)
		}
	}
	t.Fatal("there is no solution")
	return ""
}
