package retention_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/retention"
)

const day = 24 * time.Hour

// fakeStore has so many slices to do, and notes what it is asked for.
type fakeStore struct {
	mu     sync.Mutex
	slices int
	space  int
	err    error
	asked  []string
	doneAt time.Time
}

func (s *fakeStore) RetainSlice(_ context.Context, k retention.Kind, _ *retention.Policies) (retention.Slice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return retention.Slice{}, s.err
	}
	s.asked = append(s.asked, string(k))
	if k == retention.Registrations && s.slices > 0 {
		s.slices--
		return retention.Slice{Removed: 64, More: s.slices > 0}, nil
	}
	return retention.Slice{}, nil
}

func (s *fakeStore) ReleaseSpace(context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, "space")
	s.space--
	return s.space > 0, nil
}

func (s *fakeStore) EmptyLog(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, "log")
	return nil
}

func (s *fakeStore) MarkRetained(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.doneAt = append(s.asked, "mark"), time.Now()
	return nil
}

func (s *fakeStore) RetainedAt(context.Context) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doneAt, nil
}

func (s *fakeStore) ListRemoved(context.Context) (map[string]retention.Removed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]retention.Removed{"dead": {Count: 3, LastAt: s.doneAt}}, nil
}

func (s *fakeStore) OldestKept(context.Context) (map[string]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]time.Time{"events": s.doneAt}, nil
}

func (s *fakeStore) FreeSpace(context.Context) (int64, bool, error) { return 5, false, nil }

// set changes the store while it is used.
func (s *fakeStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func policies() retention.Policies {
	return retention.Policies{
		Policy: retention.Policy{Delivered: 30 * day, Dead: 90 * day}, Events: 36 * time.Hour,
		Forms: map[string]retention.Policy{"one": {Delivered: 30 * day}},
	}
}

// A run goes through everything, slice by slice with a rest between them, and the next one
// follows by itself.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{slices: 3, space: 2}
		r := retention.New(policies(), s, func() string { return "" }, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		begun, ended := time.Now(), make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		<-time.After(time.Minute)
		synctest.Wait()
		want := "registrations registrations registrations events attempts calls space space log mark"
		if diff := cmp.Diff(want, strings.Join(s.asked, " ")); diff != "" {
			t.Error(diff)
		}
		if took := s.doneAt.Sub(begun); took < 15*time.Millisecond {
			t.Errorf("it took %s: others had no time between the slices", took)
		}
		if p := r.Progress(); p.State != retention.OK || p.Working || !p.LastRun.Equal(s.doneAt) {
			t.Error(p)
		}
		s.set(func() { s.asked = nil })
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if diff := cmp.Diff("registrations events attempts calls space mark", strings.Join(s.asked, " ")); diff != "" {
			t.Error(diff)
		}
		stop()
		<-ended
	})
}

// What is held up or fails is tried again, and after a day it is behind; when that is over it
// goes on.
func TestBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{doneAt: time.Now().Add(-20 * time.Hour)}
		clock := "the clock is wrong"
		r := retention.New(policies(), s, func() string { s.mu.Lock(); defer s.mu.Unlock(); return clock }, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		<-time.After(4 * time.Hour)
		if p := r.Progress(); p.State != retention.OK || p.Reason != clock || len(s.asked) != 0 {
			t.Error(p, s.asked)
		}
		<-time.After(2 * time.Hour)
		if p := r.Progress(); p.State != retention.Behind {
			t.Error(p)
		}
		s.set(func() { clock, s.err = "", errors.New("no disk") })
		<-time.After(time.Hour)
		if p := r.Progress(); p.State != retention.Behind || p.Reason != "no disk" {
			t.Error(p)
		}
		s.set(func() { s.err = nil })
		<-time.After(time.Hour)
		if p := r.Progress(); p.State != retention.OK || p.Reason != "" {
			t.Error(p)
		}
		stop()
		<-ended
	})
}

// The status says what is kept how long, by the names of the settings.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := &fakeStore{doneAt: time.Unix(1_800_000_000, 0)}
	status, err := retention.New(policies(), s, func() string { return "" }, slog.New(slog.DiscardHandler)).Status(t.Context())
	var lines []string
	for _, k := range status.Kept {
		lines = append(lines, fmt.Sprint(k.What, " ", k.Keep, k.Forms, " ", k.Removed, !k.Oldest.IsZero(), !k.LastRemovedAt.IsZero()))
	}
	want := []string{
		"delivered 30dmap[] 0 false false", "dead 90dmap[one:for ever] 3 false true", "unknown for evermap[] 0 false false", "discarded for evermap[] 0 false false",
		"held for evermap[] 0 false false", "events 36h0m0smap[] 0 true false", "attempts as long as their deliveriesmap[] 0 false false",
	}
	if diff := cmp.Diff(want, lines); diff != "" || err != nil || !status.NotReleasable {
		t.Error(diff, err, status.NotReleasable)
	}
	if off, err := retention.New(retention.Policies{}, s, func() string { return "" }, slog.New(slog.DiscardHandler)).Status(t.Context()); off.State != retention.Off || off.Kept != nil || err != nil {
		t.Error(off, err)
	}
}

// Calls are kept as long as any delivery can be, and for ever if one is.
func TestPolicies(t *testing.T) {
	t.Parallel()
	all := retention.Policy{Delivered: day, Dead: 2 * day, Unknown: 3 * day, Discarded: 4 * day}
	p := retention.Policies{Policy: all, Events: 9 * day}
	if p.Calls() != 9*day || p.Settled() != day || p.Suspicion() != 0 || p.Off() {
		t.Error(p.Calls(), p.Settled(), p.Suspicion(), p.Off())
	}
	p.Forms = map[string]retention.Policy{"one": {Held: 5 * day}}
	if p.Calls() != 0 || p.Suspicion() != 5*day || p.Of("one").Delivered != 0 || p.Of("two").Delivered != day {
		t.Error(p.Calls(), p.Suspicion())
	}
}
