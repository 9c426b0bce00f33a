package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"onramp/internal/app"
	"onramp/internal/sandbox"
)

// behindProxy is the demo's configuration with a proxy that is believed, and more at its end.
func behindProxy(more string) func(string) string {
	return func(cfg string) string {
		return strings.Replace(cfg, `public: {`, `public: { trusted_proxies: [127.0.0.1],`, 1) + more
	}
}

// from is the header by which the proxy names a visitor.
func from(address string, more ...string) map[string]string {
	header := map[string]string{"X-Forwarded-For": address}
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	return header
}

// person is the demo's registration of somebody.
func person(i int) string {
	return strings.Replace(app.DemoRegistration, "user@", fmt.Sprintf("user%d@", i), 1)
}

// raw posts to a path of the public listener.
func (w *world) raw(path, body string, header map[string]string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.gateway.PublicURL()+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { response.Body.Close() })
	return response
}

// takes says whether a registration is taken.
func (w *world) takes(body string, header map[string]string) bool {
	header["Content-Type"] = "application/json"
	response := w.raw(app.DemoPath, body, header)
	_, err := io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == http.StatusAccepted
}

// One stranger can't fill the disk: its address is refused after a minute's worth, other
// visitors are not, nor is a repeat, nor what Marketing Cloud sends with its token.
func TestStrangersStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, behindProxy("storage: { per_address: 100kB, exempt: [198.51.100.0/24] }\n"))
	stranger, taken := from("192.0.2.1"), 0
	again := from("192.0.2.1", "Idempotency-Key", "the first")
	if a := w.post(person(-1), again); a.Code != http.StatusAccepted {
		t.Fatalf("the first is answered with %d", a.Code)
	}
	for range 200 { // which would be more than is left
		if a := w.post(person(-1), again); a.Code != http.StatusAccepted {
			t.Fatalf("a repeat is answered with %d", a.Code)
		}
	}
	for taken < 300 && w.takes(person(taken), stranger) {
		taken++
	}
	if taken < 50 || taken > 200 {
		t.Errorf("%d registrations are taken of 100 kB", taken)
	}
	refused := w.raw(app.DemoPath, person(0), from("192.0.2.1", "Content-Type", "application/json"))
	body, _ := io.ReadAll(refused.Body)
	wait, _ := strconv.Atoi(refused.Header.Get("Retry-After"))
	if refused.StatusCode != http.StatusTooManyRequests || wait < 1 || wait > 60 || !strings.Contains(string(body), "your address has sent too much") {
		t.Errorf("refused with %s, Retry-After %d: %s", refused.Status, wait, body)
	}
	page := w.raw(app.DemoPath, url.Values{"email": {"ana@example.org"}}.Encode(),
		from("192.0.2.1", "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html"))
	if body, _ := io.ReadAll(page.Body); page.StatusCode != http.StatusTooManyRequests || !strings.Contains(string(body), "ana@example.org") || !strings.Contains(string(body), "send them again in a moment") {
		t.Errorf("a browser gets %s: %s", page.Status, body)
	}
	for _, other := range []string{"192.0.2.2", "198.51.100.1", "2001:db8::1"} {
		if a := w.post(person(1000), from(other)); a.Code != http.StatusAccepted {
			t.Errorf("%s is answered with %d", other, a.Code)
		}
	}
	grant := w.raw("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"demo-ens"}, "client_secret": {"demo-ens-secret"}}.Encode(),
		from("192.0.2.1", "Content-Type", "application/x-www-form-urlencoded"))
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(grant.Body).Decode(&token); err != nil || token.AccessToken == "" {
		t.Fatalf("no token: %s %v", grant.Status, err)
	}
	events := w.raw("/ens/events", `[{"eventCategoryType":"TransactionalSendEvents.EmailSent","compositeId":"a"}]`,
		from("192.0.2.1", "Content-Type", "application/json", "Authorization", "Bearer "+token.AccessToken))
	if events.StatusCode != http.StatusOK {
		t.Errorf("events with a token are answered with %s", events.Status)
	}
}

// While the disk has less free space than the reserve, registrations are refused, and what
// was accepted before is still delivered: operators and deliveries have the rest.
func TestDiskReserve(t *testing.T) {
	t.Parallel()
	w := newSandboxed(t)
	if err := w.sandbox.SetFaults([]sandbox.Fault{{Match: "/hub/v1/", Status: 503}}); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(t.TempDir(), "onramp.db")
	w.start(nil, database)
	id := w.post(app.DemoRegistration, nil).ID
	w.end()
	if err := w.sandbox.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	w.start(func(cfg string) string { return cfg + "storage: { disk_reserve: 1000000TB }\n" }, database)
	refused := w.raw(app.DemoPath, person(1), map[string]string{"Content-Type": "application/json"})
	if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") != "60" {
		t.Errorf("answered with %s, Retry-After %q", refused.Status, refused.Header.Get("Retry-After"))
	}
	if health, err := http.Get(w.gateway.PublicURL() + "/healthz"); err != nil || health.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("healthz: %v %v", health, err)
	}
	ready, err := http.Get(w.gateway.AdminURL() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Body.Close()
	if body, _ := io.ReadAll(ready.Body); !strings.Contains(string(body), "less free space than storage.disk_reserve") {
		t.Errorf("readyz: %s", body)
	}
	w.until("the one from before is delivered", func() bool {
		var r struct{ Status string }
		w.getJSON(w.gateway.PublicURL()+"/v1/registrations/"+id, &r)
		return r.Status == "delivered"
	})
}

// What is counted for a registration is what it takes on the disk, or somewhat more.
func TestCountedBytes(t *testing.T) {
	t.Parallel()
	const limit, address = 100_000, "192.0.2.1"
	w := newSandboxed(t)
	database := filepath.Join(t.TempDir(), "onramp.db")
	w.start(nil, database)
	w.end()
	empty := sizeOf(t, database)
	w.start(behindProxy("storage: { per_address: 100kB }\n"), database)
	taken := 0
	for taken < 1000 && w.takes(person(taken), from(address, "User-Agent", strings.Repeat("u", 250), "Referer", "https://www.example.com/")) {
		taken++
	}
	w.until("all are delivered", func() bool { return w.status().Registrations["delivered"] == int64(taken) })
	w.end()
	grown := sizeOf(t, database) - empty
	t.Logf("%d registrations, %d bytes each on disk, %d counted", taken, grown/int64(taken), limit/taken)
	if grown > 5*limit/4 || grown < limit/3 {
		t.Errorf("the database has grown by %d bytes, of %d that were counted", grown, limit)
	}
}

func sizeOf(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
