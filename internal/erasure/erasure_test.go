package erasure_test

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"onramp/internal/erasure"
	"onramp/internal/onramp"
	"onramp/internal/outbound"
	"onramp/sfmc"
)

// memory is a store with one person in it, of whom three portions are stored.
type memory struct {
	mu       sync.Mutex
	runs     []erasure.Run
	targets  map[string][]byte
	portions int
	late     time.Duration
}

func (m *memory) FindSubject(_ context.Context, _ erasure.Subject, _ func(*onramp.Registration) bool, each func(onramp.Delivery) error) (erasure.Found, error) {
	found := erasure.Found{Registrations: 2, Deliveries: 3, Events: 1, SubscriberKeys: []string{"u-1"}, Addresses: []string{"ana@example.org"}, Sends: []string{"1.2.3"}}
	for range 2 { // the same row
		if err := each(onramp.Delivery{Form: "f", Destination: "data_extension:x", SubscriberKey: "u-1"}); err != nil {
			return found, err
		}
	}
	return found, each(onramp.Delivery{Form: "gone", Destination: "data_extension:gone", SubscriberKey: "u-1"})
}

func (m *memory) BeginErasure(_ context.Context, r *erasure.Run, _ *erasure.Found, targets []byte) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	late := r.BeganAt.Add(m.late)
	r.Late = late
	m.runs, m.targets[r.ID] = append(m.runs, clone(*r)), targets
	return late, nil
}

func (m *memory) ErasePortion(context.Context, string) (erasure.Removed, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.portions--
	return erasure.Removed{Registrations: 1}, m.portions > 0, nil
}

func (m *memory) FindTargets(_ context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.targets[id], nil
}

func (m *memory) SaveErasure(_ context.Context, r *erasure.Run) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.IndexFunc(m.runs, func(one erasure.Run) bool { return one.ID == r.ID })
	if m.runs[at] = clone(*r); r.EndedAt != nil {
		delete(m.targets, r.ID)
	}
	return nil
}

func (m *memory) ListErasures(_ context.Context, open bool) (list []erasure.Run, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.runs {
		if !open || r.EndedAt == nil {
			list = append(list, clone(r))
		}
	}
	return list, nil
}

func (m *memory) FindErasure(ctx context.Context, id string) (erasure.Run, error) {
	list, err := m.ListErasures(ctx, false)
	at := slices.IndexFunc(list, func(one erasure.Run) bool { return one.ID == id })
	if at < 0 {
		return erasure.Run{}, &onramp.Error{Kind: onramp.NotFound}
	}
	return list[at], err
}

func clone(r erasure.Run) erasure.Run {
	r.Parts = slices.Clone(r.Parts)
	return r
}

// account answers with what its functions say; it notes its calls with their times.
type account struct {
	begun  time.Time
	mu     sync.Mutex
	calls  []string
	remove func() error
	has    func() (bool, error)
	begin  func() error
	find   func() (sfmc.ContactOperation, error)
}

func (a *account) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, time.Since(a.begun).Truncate(time.Second).String()+" "+what)
}

func (a *account) RowKeys(_ onramp.Destination, d onramp.Delivery) (map[string]any, error) {
	return map[string]any{"Key": d.SubscriberKey}, nil
}

func (a *account) RemoveRows(_ context.Context, to onramp.Destination, keys []map[string]any) error {
	raw, err := json.Marshal(keys)
	a.note("remove " + to.Name() + " " + string(raw))
	if err == nil && a.remove != nil {
		err = a.remove()
	}
	return err
}

func (a *account) HasRow(context.Context, onramp.Destination, map[string]any) (bool, error) {
	a.note("has")
	if a.has == nil {
		return false, nil
	}
	return a.has()
}

func (a *account) FindContacts(_ context.Context, address string) ([]string, error) {
	a.note("find " + address)
	return []string{"u-1", "u-2"}, nil
}

func (a *account) BeginDeletion(_ context.Context, keys []string, restrict bool) (int64, error) {
	raw, _ := json.Marshal(map[string]any{"keys": keys, "restrict": restrict})
	a.note("begin " + string(raw))
	if a.begin != nil {
		return 7, a.begin()
	}
	return 7, nil
}

func (a *account) FindDeletion(context.Context, int64, bool) (sfmc.ContactOperation, error) {
	a.note("look")
	if a.find == nil {
		return sfmc.ContactOperation{ID: 7, Status: "Completed", RestorableDays: 14}, nil
	}
	return a.find()
}

type files struct{}

func (files) Files() []string { return []string{"archive"} }

func (files) RemoveLines(_ context.Context, _ string, who erasure.About) (int64, error) {
	return int64(len(who.SubscriberKeys) + len(who.Addresses) + len(who.Sends)), nil
}

func refused(verdict onramp.Verdict) error {
	return &outbound.CallError{Outcome: onramp.Outcome{Verdict: verdict, Status: 403, Detail: "no", Hint: "admin: allow it"}}
}

func newDesk(m *memory, a *account) *erasure.Desk {
	x := onramp.Destination{Kind: onramp.DataExtension, Key: "x", KeyColumns: []string{"Key"}}
	form := onramp.NewForm(onramp.Form{Name: "f", SubscriberKey: onramp.KeyStrategy{From: onramp.KeyField}, Route: []onramp.Destination{x}}, "")
	return erasure.New(erasure.Config{
		Store: m, Account: a, Files: files{}, Forget: func(int64) {}, Forms: map[string]*onramp.Form{"f": form}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
}

// A run ends when everything is removed and Marketing Cloud has confirmed it; what fails is
// tried again, and stands open with its hint when somebody has to do something.
func TestErasure(t *testing.T) {
	t.Parallel()
	const (
		remove = `remove data_extension:x [{"Key":"u-1"}]`
		begin  = `begin {"keys":["u-1","u-2"],"restrict":false}`
		find   = "find ana@example.org"
	)
	stored := erasure.Part{What: erasure.Stored, Where: "gateway", Count: 3, State: erasure.Done}
	file := erasure.Part{What: erasure.File, Where: "archive", Count: 3, State: erasure.Done}
	row := erasure.Part{What: erasure.Row, Where: "data_extension:x", Count: 1, State: erasure.Done}
	contact := erasure.Part{What: erasure.Contact, Where: "Marketing Cloud", Count: 2, State: erasure.Done, Detail: "Marketing Cloud can restore the contact for 14 days", Operation: 7}
	first := func(err error) func() error {
		var once sync.Once
		return func() (result error) {
			once.Do(func() { result = err })
			return result
		}
	}
	for name, c := range map[string]struct {
		account *account
		late    time.Duration
		after   time.Duration
		want    []erasure.Part
		state   erasure.State
		calls   []string
	}{
		"all goes well": {after: 15 * time.Second, want: []erasure.Part{stored, file, row, contact}, state: erasure.Done, calls: []string{
			"0s " + remove, "0s has", "0s " + find, "0s " + begin, "10s look",
		}},
		"calls that may come late": {late: 3 * time.Minute, after: 4 * time.Minute, want: []erasure.Part{stored, file, row, contact}, state: erasure.Done, calls: []string{
			"0s " + remove, "0s " + find, "0s " + begin, "10s look", "3m0s " + remove, "3m0s has",
		}},
		"an outage": {account: &account{remove: first(refused(onramp.Retry))}, after: 15 * time.Second, want: []erasure.Part{stored, file, row, contact}, state: erasure.Done, calls: []string{
			"0s " + remove, "0s " + find, "0s " + begin, "10s " + remove, "10s has", "10s look",
		}},
		"no permission": {
			account: &account{begin: first(refused(onramp.Blocked))}, after: 30 * time.Minute, state: erasure.Open,
			want:  []erasure.Part{stored, file, row, {What: erasure.Contact, Where: "Marketing Cloud", State: erasure.Open, Detail: "no", Hint: "admin: allow it", Tries: 1}},
			calls: []string{"0s " + remove, "0s has", "0s " + find, "0s " + begin},
		},
		"permission given": {account: &account{begin: first(refused(onramp.Blocked))}, after: 2 * time.Hour, want: []erasure.Part{stored, file, row, contact}, state: erasure.Done, calls: []string{
			"0s " + remove, "0s has", "0s " + find, "0s " + begin, "1h0m0s " + find, "1h0m0s " + begin, "1h0m10s look",
		}},
		"rows can't be read": {
			account: &account{has: func() (bool, error) { return false, erasure.ErrUnreadable }}, after: 15 * time.Second, state: erasure.Done,
			want:  []erasure.Part{stored, file, {What: erasure.Row, Where: "data_extension:x", Count: 1, State: erasure.Done, Detail: "Marketing Cloud has taken the deletion; it could not be read back, since the scope data_extensions_read is missing"}, contact},
			calls: []string{"0s " + remove, "0s has", "0s " + find, "0s " + begin, "10s look"},
		},
		"nobody there": {
			account: &account{find: func() (sfmc.ContactOperation, error) { return sfmc.ContactOperation{ID: 7, Status: "Invalid"}, nil }}, after: 15 * time.Second, state: erasure.Done,
			want:  []erasure.Part{stored, file, row, {What: erasure.Contact, Where: "Marketing Cloud", State: erasure.Done, Detail: "Marketing Cloud has no such contact", Operation: 7}},
			calls: []string{"0s " + remove, "0s has", "0s " + find, "0s " + begin, "10s look"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &memory{targets: map[string][]byte{}, portions: 3, late: c.late}
				a := cmp.Or(c.account, new(account))
				a.begun = time.Now()
				desk := newDesk(m, a)
				ctx, end := context.WithCancel(t.Context())
				defer end()
				go desk.Run(ctx)
				begun, err := desk.Begin(ctx, erasure.Erase, erasure.Subject{Email: " ana@example.org"})
				if err != nil {
					t.Fatal(err)
				}
				<-time.After(c.after)
				synctest.Wait()
				got, err := desk.Find(ctx, begun.ID)
				if err != nil {
					t.Fatal(err)
				}
				for i := range got.Parts {
					got.Parts[i].NextAt = time.Time{}
				}
				if diff := gocmp.Diff(c.want, got.Parts); diff != "" || got.State != c.state {
					t.Error(diff, got.State)
				}
				if diff := gocmp.Diff(c.calls, a.calls); diff != "" {
					t.Error(diff)
				}
				if _, kept := m.targets[begun.ID]; kept != (c.state == erasure.Open) {
					t.Errorf("what Marketing Cloud must be told is kept: %t", kept)
				}
			})
		})
	}
}

// Nobody is erased by mistake: who it is must be said in one way.
func TestSubject(t *testing.T) {
	t.Parallel()
	desk := newDesk(&memory{targets: map[string][]byte{}}, &account{})
	for _, s := range []erasure.Subject{{}, {Email: " "}, {Email: "a@example.org", SubscriberKey: "a"}} {
		if _, err := desk.Begin(t.Context(), erasure.Erase, s); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
	plan, err := desk.Plan(t.Context(), erasure.Subject{SubscriberKey: "u-1"})
	if err != nil || plan.Rows["data_extension:x"] != 1 || len(plan.Rows) != 1 || plan.Contacts != 1 || plan.Registrations != 2 {
		t.Error(plan, err)
	}
}

// An operator can close what is open, with a reason, when nothing is stored here any more.
func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{targets: map[string][]byte{}, portions: 1}
		desk := newDesk(m, &account{begin: func() error { return refused(onramp.Rejected) }})
		begun, err := desk.Begin(t.Context(), erasure.Erase, erasure.Subject{SubscriberKey: "u-1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := desk.Close(t.Context(), begun.ID, "by hand"); err == nil {
			t.Error("closed while it is still stored here")
		}
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go desk.Run(ctx)
		<-time.After(time.Second)
		if _, err := desk.Close(ctx, begun.ID, " "); err == nil {
			t.Error("closed without a reason")
		}
		closed, err := desk.Close(ctx, begun.ID, "by hand")
		if err != nil || closed.State != erasure.Closed || closed.Reason != "by hand" || closed.EndedAt == nil {
			t.Error(closed, err)
		}
		if _, err := desk.Close(ctx, begun.ID, "by hand"); err == nil {
			t.Error("closed twice")
		}
	})
}
