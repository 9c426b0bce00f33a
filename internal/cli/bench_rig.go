package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"onramp/internal/bench"
	"onramp/internal/onramp"
	"onramp/internal/operator"
)

const (
	gatewayConfig = "onramp.yaml" // in a rig's folder
	pollEvery     = 100 * time.Millisecond
)

// deliverBody is the registration of a person who is another one each time.
const deliverBody = `{"email":"` + bench.Placeholder + `@example.com","first_name":"Jane","last_name":"Doe","opt_in":true}`

// deliverConfig is the configuration of a rig's gateway: database, sandbox, mode.
const deliverConfig = `
database: %q
public: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
marketing_cloud: { auth_url: %q, client_id: sandbox-client, client_secret: sandbox-secret, account_id: "510000001" }
` + formConfig

// formConfig is the form of the specification, so that the rows have its size.
const formConfig = `forms:
  registration:
    subscriber_key: email
    fields:
      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: first_name, column: FirstName, type: text, max: 100 }
      - { name: last_name, column: LastName, type: text, max: 100 }
      - { name: opt_in, column: OptInStatus, type: boolean, default: false }
      - { column: RegistrationTimestamp, from: received_at }
      - { column: Source, from: constant, value: Website Registration }
      - { column: IPAddress, from: ip }
      - { column: UserAgent, from: user_agent, max: 255 }
      - { column: PageURL, from: page_url, max: 500 }
    route:
      - data_extension: { key: Web_Registrations, key_column: SubscriberKey, mode: %s }
`

const journeyStep = `      - journey: { event_definition_key: APIEvent-sandbox-welcome, establish_contact_key: true }
`

// rig is a gateway with the sandbox that it delivers to, each a process of its
// own.
type rig struct {
	settings deliverSettings
	to       bench.Destination
	stderr   io.Writer
	dir      string
	sandbox  *child
	gateway  *child
}

// startRig starts both. The caller must close what it returns.
func (c *command) startRig(ctx context.Context, s deliverSettings, to bench.Destination) (_ *rig, err error) {
	r := &rig{settings: s, to: to, stderr: c.Stderr}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.dir, err = os.MkdirTemp(s.data, "onramp-bench-"); err != nil {
		return nil, err
	}
	if r.sandbox, err = startChild(ctx, c.Stderr, "sandbox"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(r.dir, gatewayConfig), []byte(r.config()), 0o600); err != nil {
		return nil, err
	}
	if r.gateway, err = startChild(ctx, c.Stderr, "gateway", r.dir); err != nil {
		return nil, err
	}
	begin, err := r.read(ctx)
	if err == nil && begin.waiting() > 0 {
		err = fmt.Errorf("%d registrations wait in this database: take one made for the measurement", begin.waiting())
	}
	return r, err
}

func (r *rig) config() string {
	database := r.settings.database
	if database == "" {
		database = filepath.Join(r.dir, "onramp.db")
	}
	text := fmt.Sprintf(deliverConfig, database, r.sandbox.url, r.to.Mode)
	if r.to.Steps > 1 {
		text += journeyStep
	}
	return text
}

// close stops the gateway first: it has calls in flight.
func (r *rig) close() {
	for _, c := range []*child{r.gateway, r.sandbox} {
		if c != nil {
			c.stop()
		}
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir) // what stays is a temporary folder's
	}
}

// fault is one line of PUT /_sandbox/faults.
type fault struct {
	Match     string `json:"match"`
	Status    int    `json:"status,omitempty"`
	Errorcode int    `json:"errorcode,omitempty"`
	DelayMS   int64  `json:"delay_ms,omitempty"`
}

// block has every call but those for a token refused as it is for an account
// that is blocked.
func (r *rig) block(ctx context.Context) error {
	return r.setFaults(ctx, fault{Status: http.StatusTooManyRequests, Errorcode: 50200, DelayMS: r.to.Call.Milliseconds()})
}

// unblock leaves the calls slow, and that is all.
func (r *rig) unblock(ctx context.Context) error {
	return r.setFaults(ctx, fault{DelayMS: r.to.Call.Milliseconds()})
}

func (r *rig) setFaults(ctx context.Context, f fault) error {
	faults := []fault{}
	for _, prefix := range []string{"/hub/", "/data/", "/interaction/"} {
		if f.Match = prefix; f.Status != 0 || f.DelayMS != 0 {
			faults = append(faults, f)
		}
	}
	var set struct{ Faults []fault }
	if err := exchange(ctx, http.MethodPut, r.sandbox.url+"/_sandbox/faults", "", faults, &set); err != nil {
		return fmt.Errorf("set the sandbox's faults: %w", err)
	}
	return nil
}

// exchange sends JSON and reads JSON.
func exchange(ctx context.Context, method, address, token string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// rows asks the sandbox, as any client of Marketing Cloud may, how many rows the
// data extension has.
func (r *rig) rows(ctx context.Context) (int64, error) {
	var token struct {
		AccessToken string `json:"access_token"`
	}
	err := exchange(ctx, http.MethodPost, r.sandbox.url+"/v2/token", "", map[string]string{
		"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "sandbox-secret", "account_id": "510000001",
	}, &token)
	if err != nil {
		return 0, fmt.Errorf("token to count rows: %w", err)
	}
	var page struct{ Count int64 }
	address := r.sandbox.url + "/data/v1/customobjectdata/key/Web_Registrations/rowset?$page=1&$pagesize=1"
	if err := exchange(ctx, http.MethodGet, address, token.AccessToken, nil, &page); err != nil {
		return 0, fmt.Errorf("count rows: %w", err)
	}
	return page.Count, nil
}

// load is what the measurements have in common: every request another person.
func (r *rig) load() (bench.LoadConfig, error) {
	u, err := url.Parse(r.gateway.url)
	if err != nil {
		return bench.LoadConfig{}, err
	}
	return bench.LoadConfig{
		Addr: u.Host, Path: registrationsPath, Body: []byte(deliverBody), Header: browserHeader(), Connections: r.settings.connections,
	}, nil
}

// reading is what the gateway counts at one moment.
type reading struct {
	at time.Time
	operator.Status
	memory bench.Memory
	cpu    time.Duration
}

func (s reading) delivered() int64 {
	return s.Registrations[onramp.RegistrationDelivered.String()]
}

func (s reading) failed() int64 { return s.Registrations[onramp.RegistrationFailed.String()] }

func (s reading) waiting() int64 { return s.Accepted - s.delivered() - s.failed() }

// oldest is the age of the registration that has waited longest.
func (s reading) oldest() time.Duration {
	var age time.Duration
	for _, d := range s.Destinations {
		if d.Oldest != nil {
			age = max(age, s.at.Sub(*d.Oldest))
		}
	}
	return age
}

// halted says that a destination is left alone for now.
func (s reading) halted() bool {
	for _, d := range s.Destinations {
		if d.State != "running" {
			return true
		}
	}
	return false
}

func (r *rig) read(ctx context.Context) (s reading, err error) {
	asked := time.Now()
	if err := r.gateway.adminClient().get(ctx, "/api/status", nil, &s.Status); err != nil {
		return s, err
	}
	s.at = asked.Add(time.Since(asked) / 2) // a busy gateway takes a while to answer
	// where there is no /proc these stay zero, which means not measured
	s.memory, _ = bench.MemoryOf(r.gateway.process.Pid)
	s.cpu, _ = bench.CPUOf(r.gateway.process.Pid)
	return s, nil
}

func (r *rig) readAt(ctx context.Context, at time.Time) (reading, error) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return r.read(ctx)
	case <-ctx.Done():
		return reading{}, context.Cause(ctx)
	}
}

// poll reads until a reading is the one that is waited for, or the limit is
// reached; then ok is false.
func (r *rig) poll(ctx context.Context, limit time.Duration, awaited func(reading) bool) (s reading, ok bool, err error) {
	end := time.Now().Add(limit)
	for s, err = r.read(ctx); err == nil; s, err = r.readAt(ctx, s.at.Add(pollEvery)) {
		if ok = awaited(s); ok || s.at.After(end) {
			break
		}
	}
	return s, ok, err
}

// idle says that nothing waits for its delivery.
func idle(s reading) bool { return s.waiting() == 0 }
