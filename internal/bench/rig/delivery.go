package rig

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"onramp/internal/app"
	"onramp/internal/bench"
	"onramp/internal/onramp"
	"onramp/internal/sandbox"
	"onramp/internal/web"
)

const pollEvery = 100 * time.Millisecond

// deliveryRig is a gateway with the sandbox that it delivers to.
type deliveryRig struct {
	*gateway
	settings DeliverSettings
	to       bench.Destination
	sandbox  *server
}

// startDeliveryRig starts both. The caller must close what it returns.
func (r *Rig) startDeliveryRig(ctx context.Context, s DeliverSettings, to bench.Destination) (_ *deliveryRig, err error) {
	d := &deliveryRig{settings: s, to: to}
	d.gateway, err = r.newGateway(s.Data, gatewaySettings{Database: s.Database, Mode: to.Mode, Steps: to.Steps, NoRules: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.sandbox, err = r.startServer(ctx, partSandbox, nil); err != nil {
		return nil, err
	}
	d.gateway.settings.Account = d.sandbox.url
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	begin, err := d.read(ctx)
	if err == nil && begin.waiting() > 0 {
		err = fmt.Errorf("%d registrations are waiting in this database: use one made for the measurement", begin.waiting())
	}
	return d, err
}

// close stops the gateway first: it has calls in flight.
func (d *deliveryRig) close() {
	d.gateway.close()
	if d.sandbox != nil {
		d.sandbox.stop()
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
func (d *deliveryRig) block(ctx context.Context) error {
	return d.setFaults(ctx, fault{Status: http.StatusTooManyRequests, Errorcode: 50200, DelayMS: d.to.Call.Milliseconds()})
}

// unblock leaves the calls slow, and that is all.
func (d *deliveryRig) unblock(ctx context.Context) error {
	return d.setFaults(ctx, fault{DelayMS: d.to.Call.Milliseconds()})
}

func (d *deliveryRig) setFaults(ctx context.Context, f fault) error {
	faults := []fault{}
	for _, prefix := range []string{"/hub/", "/data/", "/interaction/"} {
		if f.Match = prefix; f.Status != 0 || f.DelayMS != 0 {
			faults = append(faults, f)
		}
	}
	client := web.Client{Base: d.sandbox.url}
	if err := client.Call(ctx, http.MethodPut, "/_sandbox/faults", faults, nil); err != nil {
		return fmt.Errorf("set the sandbox's faults: %w", err)
	}
	return nil
}

// rows asks the sandbox, as any client of Marketing Cloud may, how many rows the
// data extension has.
func (d *deliveryRig) rows(ctx context.Context) (int64, error) {
	client := web.Client{Base: d.sandbox.url}
	credentials := map[string]string{
		"grant_type": "client_credentials", "client_id": sandbox.ClientID, "client_secret": sandbox.ClientSecret, "account_id": sandbox.AccountID,
	}
	var token struct {
		AccessToken onramp.Secret `json:"access_token"`
	}
	if err := client.Call(ctx, http.MethodPost, "/v2/token", credentials, &token); err != nil {
		return 0, fmt.Errorf("fetch token to count rows: %w", err)
	}
	client.Token = token.AccessToken
	var page struct{ Count int64 }
	path := "/data/v1/customobjectdata/key/" + sandbox.RegistrationsKey + "/rowset?$page=1&$pagesize=1"
	if err := client.Call(ctx, http.MethodGet, path, nil, &page); err != nil {
		return 0, fmt.Errorf("count rows: %w", err)
	}
	return page.Count, nil
}

// load is what the measurements have in common: each request from a different person.
func (d *deliveryRig) load() (load bench.LoadConfig, err error) {
	load = registrations(strings.Replace(app.DemoRegistration, "user@", bench.Placeholder+"@", 1))
	load.Connections = d.settings.Connections
	load.Addr, err = d.address()
	return load, err
}

// reading is what the gateway counts at one moment.
type reading struct {
	at time.Time
	status
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

func (d *deliveryRig) read(ctx context.Context) (s reading, err error) {
	asked := time.Now()
	if s.status, err = d.status(ctx); err != nil {
		return s, err
	}
	s.at = asked.Add(time.Since(asked) / 2) // a busy gateway takes a while to answer
	s.memory, s.cpu = d.memory(), d.cpu()
	return s, nil
}

func (d *deliveryRig) readAt(ctx context.Context, at time.Time) (reading, error) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return d.read(ctx)
	case <-ctx.Done():
		return reading{}, context.Cause(ctx)
	}
}

// poll reads until a reading is the one that is waited for, or the limit is
// reached; then ok is false.
func (d *deliveryRig) poll(ctx context.Context, limit time.Duration, awaited func(reading) bool) (s reading, ok bool, err error) {
	end := time.Now().Add(limit)
	for s, err = d.read(ctx); err == nil; s, err = d.readAt(ctx, s.at.Add(pollEvery)) {
		if ok = awaited(s); ok || s.at.After(end) {
			break
		}
	}
	return s, ok, err
}

// idle says that nothing waits for its delivery.
func idle(s reading) bool { return s.waiting() == 0 }
