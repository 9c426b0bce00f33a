package screen_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/screen"
)

// kept keeps what is to be kept, for several nodes.
type kept struct {
	mu    sync.Mutex
	key   []byte
	saves []save
}

type save struct {
	node string
	uses []onramp.Use
}

func (k *kept) LoadScreenKey(context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.key, nil
}

func (k *kept) SaveScreenKey(_ context.Context, key []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key == nil {
		k.key = key
	}
	return k.key, nil
}

func (k *kept) SaveUses(_ context.Context, node string, uses []onramp.Use) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.saves = append(k.saves, save{node, uses})
	return nil
}

func (k *kept) ListUses(_ context.Context, after int64, without string) (uses []onramp.Use, to int64, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.saves[after:] {
		if s.node != without {
			uses = append(uses, s.uses...)
		}
	}
	return uses, int64(len(k.saves)), nil
}

// clock stands still until it is told to go on.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// door is a form's guard, with a clock.
type door struct {
	t testing.TB
	*clock
	kept   *kept
	memory *screen.Memory
	guard  *screen.Guard
	cfg    screen.Config
	form   *onramp.Form
	met    *meter
}

// meter counts decisions.
type meter struct {
	mu sync.Mutex
	n  map[string]int
}

func (m *meter) Screened(form string, decision screen.Decision, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n[form+" "+string(decision)+" "+reason]++
}

func newDoor(t testing.TB, edit func(s *screen.Settings)) *door {
	t.Helper()
	d := &door{t: t, clock: &clock{time.Date(2026, 6, 23, 14, 0, 0, 0, time.UTC)}, kept: &kept{}, met: &meter{n: map[string]int{}}}
	d.form = onramp.NewForm(onramp.Form{Name: "registration", Fields: []onramp.Field{
		{Name: "email", Column: "EmailAddress", Type: onramp.Email, Required: true},
		{Name: "first_name", Column: "FirstName"},
		{Name: "phone", Column: "Phone", Type: onramp.Phone},
	}}, "secret")
	settings := screen.Default()
	edit(&settings)
	d.cfg = screen.Config{
		Forms: map[string]*onramp.Form{"registration": d.form}, Settings: map[string]screen.Settings{"registration": settings},
		Client: func(bool) *http.Client { return http.DefaultClient }, Meter: d.met, Log: slog.New(slog.DiscardHandler),
	}
	d.open()
	return d
}

// open is a start, or a start again.
func (d *door) open() {
	d.t.Helper()
	d.memory = screen.NewMemory(d.kept, slog.New(slog.DiscardHandler), d.now)
	d.cfg.Memory = d.memory
	gate, err := screen.New(d.t.Context(), d.cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	d.guard = gate.Guard("registration")
}

// come is a request from an address; the result is how long it has to wait.
func (d *door) come(ip string, headers ...string) (trusted bool, wait time.Duration) {
	d.t.Helper()
	r := httptest.NewRequest("POST", "/", nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	trusted, err := d.guard.Admit(r, ip)
	if err == nil {
		return trusted, 0
	}
	e, ok := err.(*onramp.Error)
	if !ok || e.Kind != onramp.Limited {
		d.t.Fatal(err)
	}
	return false, e.RetryAfter
}

// submit screens inputs, pairs of a name and a value, and returns what they are suspected of.
func (d *door) submit(inputs ...string) string { return d.submitFrom("192.0.2.1", "", inputs...) }

func (d *door) submitFrom(ip, key string, inputs ...string) string {
	d.t.Helper()
	var all []onramp.Input
	for i := 0; i+1 < len(inputs); i += 2 {
		all = append(all, onramp.Input{Name: inputs[i], Value: onramp.Scalar{Kind: onramp.String, Text: inputs[i+1]}})
	}
	controls, all := d.guard.Take(all)
	r, err := d.form.Accept(onramp.Submission{Inputs: all, ReceivedAt: d.now(), IP: ip})
	if err != nil {
		d.t.Fatal(err)
	}
	err = d.guard.Screen(d.t.Context(), &screen.Submission{Registration: &r, Controls: controls, IP: ip, Key: key, At: d.now()})
	if err != nil {
		return err.Error()
	}
	if (r.Hold.Reason == onramp.HoldSuspicion) != (r.Hold.Detail != "") {
		d.t.Errorf("%+v", r.Hold)
	}
	return r.Hold.Detail
}

// exchange has a memory save and merge once, as at a stop.
func exchange(t *testing.T, m *screen.Memory) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	m.Run(ctx)
}

func perMinute(n int) screen.Rate { return screen.Rate{Count: n, Per: time.Minute} }

// An address may send so many at once, and then evenly. An IPv6 subscriber has a /64, and
// the ten thousand of a /48 have ten times as many together.
func TestAddressLimit(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.Limits.Address = perMinute(3) })
	for range 3 {
		if _, wait := d.come("192.0.2.1"); wait != 0 {
			t.Fatal(wait)
		}
	}
	if _, wait := d.come("192.0.2.1"); wait != 20*time.Second {
		t.Errorf("the fourth has to wait %v", wait)
	}
	if _, wait := d.come("192.0.2.2"); wait != 0 {
		t.Errorf("another address has to wait %v", wait)
	}
	d.at = d.at.Add(19 * time.Second)
	if _, wait := d.come("192.0.2.1"); wait != time.Second {
		t.Errorf("after 19 s it has to wait %v", wait)
	}
	d.at = d.at.Add(time.Second)
	if _, wait := d.come("192.0.2.1"); wait != 0 {
		t.Errorf("after 20 s it has to wait %v", wait)
	}
	if _, wait := d.come("::ffff:192.0.2.1"); wait == 0 {
		t.Error("an IPv4 address has a second limit as IPv6")
	}
	for i := range 3 {
		if _, wait := d.come(fmt.Sprintf("2001:db8:0:1::%x", i)); wait != 0 {
			t.Fatal(wait)
		}
	}
	if _, wait := d.come("2001:db8:0:1:ffff::1"); wait == 0 {
		t.Error("a /64 has no end")
	}
	passed := 3
	for i := range 100 {
		if _, wait := d.come(fmt.Sprintf("2001:db8:0:%x::1", i+2)); wait == 0 {
			passed++
		}
	}
	if passed != 30 {
		t.Errorf("%d of a /48 passed, not 30", passed)
	}
	if got := d.met.n["registration refused address_limit"]; got != 3+1+73 {
		t.Errorf("%d are counted as refused", got)
	}
}

// A stranger with very many addresses drives nobody out who is at the limit.
func TestEviction(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.Limits.Address = screen.Rate{Count: 3, Per: time.Hour} })
	for range 3 {
		d.come("192.0.2.1")
	}
	for i := range 80_000 { // more than twice as many as there is room for
		d.come(fmt.Sprintf("%d.%d.%d.7", 1+i>>16, i>>8&255, i&255))
	}
	if _, wait := d.come("192.0.2.1"); wait == 0 {
		t.Error("it may go on")
	}
}

// A person is limited by mailbox: the case, what is after a +, and the dots of Gmail make no
// difference; those of others do.
func TestPersonLimit(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.Limits.Person = screen.Rate{Count: 2, Per: time.Hour} })
	for _, row := range []struct{ address, want string }{
		{"ana.b@gmail.com", ""},
		{"anab+x@googlemail.com", ""},
		{"A.n.a.b+y@Gmail.com", "person_limit"},
		{"ana.b@example.org", ""},
		{"anab@example.org", ""},
		{"ana.b+1@example.org", ""},
		{"ANA.B+2@example.org", "person_limit"},
		{"anab@example.org", ""},
		{"anab@example.org", "person_limit"},
	} {
		if got := d.submit("email", row.address); got != row.want {
			t.Errorf("%s: %q, not %q", row.address, got, row.want)
		}
	}
}

// 5,512 posts of one mailbox and its plus-addresses: two get through.
func TestOneMailbox(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.Limits.Person = screen.Rate{Count: 2, Per: 24 * time.Hour} })
	passed := 0
	for i := range 5512 {
		d.at = d.at.Add(time.Millisecond)
		if d.submitFrom(fmt.Sprintf("198.51.%d.%d", i>>8&255, i&255), "", "email", fmt.Sprintf("victim+%d@example.org", i)) == "" {
			passed++
		}
	}
	if passed != 2 {
		t.Errorf("%d got through", passed)
	}
}

// Beyond the limit of a form a registration is held.
func TestFormLimit(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.Limits.Form = perMinute(5) })
	held := 0
	for i := range 12 {
		if got := d.submit("email", fmt.Sprintf("a%d@example.org", i)); got == "form_limit" {
			held++
		} else if got != "" {
			t.Error(got)
		}
	}
	if held != 7 {
		t.Errorf("%d are held", held)
	}
}

// What was used is used after a restart, and on another node; and it runs out there, too.
func TestLimitsShared(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) {
		s.Limits = screen.Limits{Address: perMinute(2), Person: screen.Rate{Count: 2, Per: time.Hour}, Form: perMinute(2)}
	})
	other := *d
	other.open()
	for range 2 {
		d.come("192.0.2.1")
		d.submit("email", "ana@example.org")
	}
	exchange(t, d.memory)
	exchange(t, other.memory)
	exchange(t, other.memory)
	check := func(what string, on *door) {
		t.Helper()
		if _, wait := on.come("192.0.2.1"); wait != 30*time.Second {
			t.Errorf("%s: the address has to wait %v", what, wait)
		}
		if got := on.submit("email", "ana@example.org"); got != "person_limit" {
			t.Errorf("%s: the person is suspected of %q", what, got)
		}
		if got := on.submit("email", "bob@example.org"); got != "form_limit" {
			t.Errorf("%s: another person is suspected of %q", what, got)
		}
	}
	check("on the other node", &other)
	d.open()
	check("after a restart", d)
	d.at = d.at.Add(30 * time.Second)
	d.open()
	if _, wait := d.come("192.0.2.1"); wait != 0 {
		t.Errorf("half a minute later the address has to wait %v", wait)
	}
}

// Whoever brings the key is not screened, and a wrong key is told so.
func TestTrustedKey(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef01234567"
	d := newDoor(t, func(s *screen.Settings) {
		s.Limits.Address, s.TrustedKeys = perMinute(1), []onramp.Secret{"another-key-of-24-letters", key}
	})
	for range 5 {
		if trusted, wait := d.come("192.0.2.1", "Authorization", "Bearer "+key); !trusted || wait != 0 {
			t.Fatal(trusted, wait)
		}
	}
	if trusted, _ := d.come("192.0.2.1", "Authorization", "Basic "+key); trusted {
		t.Error("a user's password is a key")
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Authorization", "Bearer "+key+"x")
	trusted, err := d.guard.Admit(r, "192.0.2.9")
	if e, ok := err.(*onramp.Error); trusted || !ok || e.Kind != onramp.Denied {
		t.Error(trusted, err)
	}
}

// A surge is noticed against what is usual, or against the limit when that isn't known; it is
// over after ten minutes without.
func TestSurge(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.Limits.Form = perMinute(100) })
	usual, known := 0, false
	d.cfg.Usual = func(string) (int, bool) { return usual, known }
	d.open()
	gate, err := screen.New(t.Context(), d.cfg)
	if err != nil {
		t.Fatal(err)
	}
	come := func(n int) []screen.Surge {
		for range n {
			d.come("192.0.2.1")
		}
		return gate.Surges()
	}
	if s := come(100); s != nil {
		t.Error(s)
	}
	if s := come(1); len(s) != 1 || s[0].Form != "registration" || s[0].Usual != nil || s[0].Peak != 101 {
		t.Error(s)
	}
	d.at = d.at.Add(9 * time.Minute)
	if s := come(0); len(s) != 1 {
		t.Error(s)
	}
	d.at = d.at.Add(2 * time.Minute)
	if s := come(0); s != nil {
		t.Error(s)
	}
	usual, known = 20, true
	d.at = d.at.Add(time.Minute)
	if s := come(100); s != nil {
		t.Error(s)
	}
	if s := come(1); len(s) != 1 || s[0].Usual == nil || *s[0].Usual != 20 {
		t.Error(s)
	}
}

func BenchmarkScreen(b *testing.B) {
	form := onramp.NewForm(onramp.Form{Name: "registration", Fields: []onramp.Field{{Name: "email", Column: "EmailAddress", Type: onramp.Email, Required: true}}}, "secret")
	for name, edit := range map[string]func(*screen.Settings){
		"off": nil,
		"limits": func(s *screen.Settings) {
			s.Limits = screen.Limits{Address: perMinute(1_000_000), Form: perMinute(1_000_000), Person: perMinute(1_000_000)}
		},
	} {
		b.Run(name, func(b *testing.B) {
			cfg := screen.Config{
				Memory: screen.NewMemory(&kept{}, slog.New(slog.DiscardHandler), time.Now), Forms: map[string]*onramp.Form{"registration": form},
				Log: slog.New(slog.DiscardHandler),
			}
			if edit != nil {
				s := screen.Default()
				edit(&s)
				cfg.Settings = map[string]screen.Settings{"registration": s}
			}
			gate, err := screen.New(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			guard := gate.Guard("registration")
			inputs := []onramp.Input{{Name: "email", Value: onramp.Scalar{Kind: onramp.String, Text: "user@example.com"}}}
			r, err := form.Accept(onramp.Submission{Inputs: inputs, ReceivedAt: time.Now()})
			if err != nil {
				b.Fatal(err)
			}
			request := httptest.NewRequest("POST", "/", nil)
			for b.Loop() {
				if _, err := guard.Admit(request, "2001:db8::1"); err != nil {
					b.Fatal(err)
				}
				controls, _ := guard.Take(inputs)
				if guard.Holds() {
					if err := guard.Screen(b.Context(), &screen.Submission{Registration: &r, Controls: controls, IP: "2001:db8::1", At: r.ReceivedAt}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
