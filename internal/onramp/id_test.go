package onramp_test

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"onramp/internal/onramp"
)

// An id has the time and 128 random bits.
func TestNewID(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 23, 14, 52, 45, 123456789, time.UTC)
	digits := base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
	var set, unset [16]byte
	for range 1000 {
		id := onramp.NewID(at)
		b, err := digits.DecodeString(id)
		if err != nil || len(id) != 36 || len(b) != 22 || fmt.Sprintf("%x", b[:6]) != fmt.Sprintf("%012x", at.UnixMilli()) {
			t.Fatalf("%q is no id of %s", id, at)
		}
		for i, random := range b[6:] {
			set[i] |= random
			unset[i] |= ^random
		}
	}
	if want := [16]byte(bytes.Repeat([]byte{0xff}, 16)); set != want || unset != want {
		t.Errorf("some bits are always the same: %x, %x", set, unset)
	}
}

// An event's message key names a registration by an id of today or of an older version,
// in any case.
func TestRegistrationOfEvent(t *testing.T) {
	t.Parallel()
	id := onramp.NewID(time.UnixMilli(1))
	for key, want := range map[string]string{
		id + ".1":                                id,
		strings.ToUpper(id) + ".2":               id,
		"018F0000-0000-7000-8000-00000000000A.1": "018f0000-0000-7000-8000-00000000000a",
		"018f0000-0000-4000-8000-00000000000a.1": "",
		id:                                       "",
		id[1:] + ".1":                            "",
		id + "0.1":                               "",
		id[:35] + "1.1":                          "",
		id[:35] + "\n.1":                         "",
		id[:35] + "w.1":                          "",
	} {
		got, ours := (&onramp.Event{MessageKey: key}).Registration()
		if ours != (want != "") || ours && got != want {
			t.Errorf("%q is of the registration %q, %v; want %q", key, got, ours, want)
		}
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
	for _, d.Run = range []int64{0, 7} {
		registration, step, run, ok := onramp.ParseDeliveryID(d.ID())
		if registration != d.RegistrationID || step != 12 || run != d.Run || !ok {
			t.Errorf("%s is parsed as %q, %d, %d, %v", d.ID(), registration, step, run, ok)
		}
	}
	for _, id := range []string{"", ".", "a", "a.", "a.0", "a.-1", "a.x", "a.1.", "a.1.0", "a.1.x", "a.1.2.3", "a.-1.2", "a.99999999999999999999"} {
		if _, _, _, ok := onramp.ParseDeliveryID(id); ok {
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
