package quota_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/quota"
)

// clock is a time that only a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newQuota(cfg quota.Config) (*quota.Quota, *clock) {
	c := &clock{time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)}
	return quota.New(cfg, c.now), c
}

var stranger = netip.MustParseAddr("192.0.2.1")

// check compares an answer of a quota: "" is taken, else kind and Retry-After.
func check(t *testing.T, what string, err error, want string) {
	t.Helper()
	got := ""
	if e, ok := errors.AsType[*onramp.Error](err); ok {
		kind := map[onramp.Kind]string{onramp.Limited: "limited", onramp.Unavailable: "unavailable"}[e.Kind]
		got = fmt.Sprint(kind, " ", e.RetryAfter)
	} else if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// An address has a minute's worth at once, and then as much as comes back; the others have theirs.
func TestPerAddress(t *testing.T) {
	t.Parallel()
	q, c := newQuota(quota.Config{PerAddress: 6000, Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	for i := range 3 {
		check(t, fmt.Sprint("of the burst, ", i), q.Take(stranger, 2000), "")
	}
	check(t, "too much", q.Take(stranger, 1), "limited 1s")
	check(t, "another address", q.Take(netip.MustParseAddr("192.0.2.2"), 1), "")
	check(t, "the same as IPv4 in IPv6", q.Take(netip.MustParseAddr("::ffff:192.0.2.1"), 1), "limited 1s")
	c.at = c.at.Add(time.Second) // 100 bytes
	check(t, "what came back", q.Take(stranger, 3100), "")
	check(t, "after a large one", q.Take(stranger, 1), "limited 30s")
	c.at = c.at.Add(31 * time.Second)
	check(t, "after the wait", q.Take(stranger, 1), "")
	for _, free := range []string{"127.0.0.1", "::1", "10.1.2.3", "172.16.0.9", "192.168.1.1", "fd00::1", "198.51.100.7"} {
		for range 2 {
			check(t, free, q.Take(netip.MustParseAddr(free), 6000), "")
		}
	}
	one, same := netip.MustParseAddr("2001:db8:0:1::1"), netip.MustParseAddr("2001:db8:0:1:ffff::2")
	check(t, "IPv6", q.Take(one, 6000), "")
	check(t, "another of its /64", q.Take(same, 1), "limited 1s")
	check(t, "another /64", q.Take(netip.MustParseAddr("2001:db8:0:2::1"), 1), "")
	q.Return(one, 3000)
	check(t, "what was given back", q.Take(same, 1), "")
}

// Of what all can store, a quarter is there for events alone, however many registrations come.
func TestTotal(t *testing.T) {
	t.Parallel()
	q, c := newQuota(quota.Config{Total: 60_000})
	for i := range 45 {
		check(t, fmt.Sprint("registration ", i), q.Take(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 1000), "")
	}
	check(t, "too many registrations", q.Take(stranger, 1), "limited 1s")
	for minute := range 3 {
		check(t, fmt.Sprint("events, ", minute), q.TakeProven(10_000), "")
		c.at = c.at.Add(10 * time.Second) // 10,000 bytes
		check(t, fmt.Sprint("registrations meanwhile, ", minute), q.Take(stranger, 1), "limited 1s")
		q.Return(stranger, 0)
	}
	check(t, "many events", q.TakeProven(25_000), "")
	check(t, "too many events", q.TakeProven(1), "unavailable 10s")
	q.ReturnProven(20_000)
	check(t, "events that were known", q.TakeProven(1), "")
	check(t, "registrations behind them", q.Take(stranger, 1), "limited 5.001s")
}

// Below the reserve strangers are refused, below half of it what is proved; a disk that
// can't be looked at refuses nobody, and it is looked at once a second.
func TestReserve(t *testing.T) {
	t.Parallel()
	free, looks := uint64(1000), 0
	var broken error
	q, c := newQuota(quota.Config{Reserve: quota.Reserve{Bytes: 1500}, Free: func() (uint64, uint64, error) {
		looks++
		return free, 100_000, broken
	}})
	const full = "unavailable 1m0s"
	for _, row := range []struct {
		free          uint64
		broken        error
		taken, proven string
	}{
		{free: 1500},
		{free: 1499, taken: full},
		{free: 750, taken: full},
		{free: 749, taken: full, proven: full},
		{free: 749, broken: errors.New("gone")},
		{free: 1500},
	} {
		c.at = c.at.Add(time.Second)
		free, broken = row.free, row.broken
		check(t, fmt.Sprint("a registration with ", row.free), q.Take(stranger, 1), row.taken)
		check(t, fmt.Sprint("events with ", row.free), q.TakeProven(1), row.proven)
		if isFull := q.Full() != nil; isFull != (row.taken != "") {
			t.Errorf("with %d it is full: %v", row.free, isFull)
		}
	}
	if looks != 6 {
		t.Errorf("looked at the disk %d times in 6 seconds", looks)
	}
	q.Change(quota.Config{Reserve: quota.Reserve{Percent: 1}, Free: func() (uint64, uint64, error) { return 999, 100_000, nil }})
	c.at = c.at.Add(time.Second)
	check(t, "a share alone", q.Take(stranger, 1), full)
}

// However many addresses come, the memory is bounded, and one that has stored much is
// not forgotten for them.
func TestManyAddresses(t *testing.T) {
	t.Parallel()
	q, _ := newQuota(quota.Config{PerAddress: 100_000})
	check(t, "the flooder", q.Take(stranger, 100_000), "")
	for i := range 1 << 18 {
		if err := q.Take(netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)}), 1000); err != nil {
			t.Fatal(err)
		}
	}
	check(t, "the flooder later", q.Take(stranger, 1), "limited 1s")
	if n := q.Addresses(); n != 1<<15 {
		t.Errorf("%d addresses are remembered", n)
	}
}

// A registration counts nothing measurable beside its parsing and its commit.
func BenchmarkTake(b *testing.B) {
	q := quota.New(quota.Config{PerAddress: 1 << 40, Total: 1 << 50}, time.Now)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := q.Take(stranger, 800); err != nil {
				b.Fatal(err)
			}
		}
	})
}
