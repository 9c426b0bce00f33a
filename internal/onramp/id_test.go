package onramp_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"onramp/internal/onramp"
)

func TestNewID(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 23, 14, 52, 45, 123456789, time.UTC)
	prefix := fmt.Sprintf("%012x", at.UnixMilli())
	seen := map[string]bool{}
	for range 1000 {
		id := onramp.NewID(at)
		if version(id) != "7" || strings.ReplaceAll(id, "-", "")[:12] != prefix || seen[id] {
			t.Fatalf("%q is no new UUIDv7 of %s", id, at)
		}
		seen[id] = true
	}
}

// Ids of one millisecond and the next are in the order of time.
func TestNewIDOrder(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(0)
	last := onramp.NewID(at)
	for range 1000 {
		at = at.Add(time.Millisecond)
		next := onramp.NewID(at)
		if next <= last {
			t.Fatalf("%s came after %s", next, last)
		}
		last = next
	}
}

func TestDeliveryID(t *testing.T) {
	t.Parallel()
	d := onramp.Delivery{RegistrationID: "018f0000-0000-7000-8000-000000000000", Step: 12}
	registration, step, ok := onramp.ParseDeliveryID(d.ID())
	if registration != d.RegistrationID || step != 12 || !ok {
		t.Errorf("%s is parsed as %q, %d, %v", d.ID(), registration, step, ok)
	}
	for _, id := range []string{"", ".", "a", "a.", "a.0", "a.-1", "a.x", "a.1.2", "a.99999999999999999999"} {
		if _, _, ok := onramp.ParseDeliveryID(id); ok {
			t.Errorf("%q is taken for a delivery's id", id)
		}
	}
}

// Marketing Cloud compares keys without regard to case.
func TestOrderingKey(t *testing.T) {
	t.Parallel()
	seen := map[int64]string{}
	for i := range 1000 {
		key := "User-É" + strconv.Itoa(i)
		n := onramp.OrderingKey(key)
		if other, taken := seen[n]; taken {
			t.Errorf("%s and %s have the same ordering key", key, other)
		}
		seen[n] = key
		if onramp.OrderingKey(strings.ToUpper(key)) != n || onramp.OrderingKey(strings.ToLower(key)) != n {
			t.Errorf("the ordering key of %s depends on case", key)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	first := onramp.NewIdempotencyKey("a", "k", []byte("body"))
	if !first.Given() || (onramp.IdempotencyKey{}).Given() {
		t.Error("a key is given, and the zero value is none")
	}
	if again := onramp.NewIdempotencyKey("a", "k", []byte("body")); again != first {
		t.Errorf("the same request has %v and %v", first, again)
	}
	if other := onramp.NewIdempotencyKey("a", "k", []byte("other")); other.Hash != first.Hash || other.Body == first.Body {
		t.Errorf("another body should change the body's hash alone: %v, %v", first, other)
	}
	for _, other := range []onramp.IdempotencyKey{
		onramp.NewIdempotencyKey("b", "k", []byte("body")), onramp.NewIdempotencyKey("a", "l", []byte("body")),
		onramp.NewIdempotencyKey("", "ak", []byte("body")), onramp.NewIdempotencyKey("ak", "", []byte("body")),
	} {
		if other.Hash == first.Hash {
			t.Errorf("%v and %v are taken for the same key", first, other)
		}
	}
}
