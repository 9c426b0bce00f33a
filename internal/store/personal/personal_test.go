package personal_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"onramp/internal/personkey"
	"onramp/internal/store/personal"
)

// stored is a value as a database gives it back.
func stored(value any) []byte {
	if text, ok := value.(string); ok {
		return []byte(text)
	}
	return value.([]byte)
}

func bothForms(t *testing.T, test func(t *testing.T, v *personal.Vault)) {
	t.Helper()
	for _, text := range []bool{false, true} {
		t.Run(fmt.Sprintf("text=%v", text), func(t *testing.T) {
			t.Parallel()
			test(t, personal.NewVault(personkey.NewState(), text))
		})
	}
}

func seal(t testing.TB, v *personal.Vault, person, plain, place string) []byte {
	t.Helper()
	value, err := v.Seal(v.Leaf(person), []byte(plain), place)
	if err != nil {
		t.Fatal(err)
	}
	return stored(value)
}

// A text is read where it belongs, and nowhere else, and not at all when anything of it was
// changed.
func TestSeal(t *testing.T) {
	t.Parallel()
	bothForms(t, func(t *testing.T, v *personal.Vault) {
		for _, plain := range []string{"", "x", `{"email":"ana@example.org"}`, strings.Repeat("é", 50_000)} {
			one, other := seal(t, v, "Ana", plain, "here"), seal(t, v, "ana", plain, "here")
			if bytes.Equal(one, other) || len(plain) > 5 && bytes.Contains(one, []byte(plain[:6])) || !personal.IsSealed(one) {
				t.Error("it is not encrypted, or always alike")
			}
			got, leaf, err := v.Open(one, "here")
			if string(got) != plain || leaf != v.Leaf("ANA") || err != nil || leaf != personal.LeafOf(one[:min(len(one), 48)]) {
				t.Errorf("got %d bytes, leaf %x, %v", len(got), leaf, err)
			}
			if got, _, err := v.Open(one, "there"); err == nil || got != nil {
				t.Errorf("it was read in another place: %v", err)
			}
		}
		value := seal(t, v, "ana", "attack", "here")
		for i := range value {
			changed := bytes.Clone(value)
			changed[i] ^= 1
			if got, _, err := v.Open(changed, "here"); err == nil && personal.IsSealed(changed) {
				t.Errorf("with byte %d changed it is %q", i, got)
			}
			if got, _, err := v.Open(value[:i], "here"); err == nil && personal.IsSealed(value[:i]) {
				t.Errorf("cut at %d it is %q", i, got)
			}
		}
	})
}

// Clear texts of a database from before stay what they are, whatever they look like.
func TestClear(t *testing.T) {
	t.Parallel()
	bothForms(t, func(t *testing.T, v *personal.Vault) {
		sealed := string(seal(t, v, "ana", "x", "here"))
		for _, text := range []string{"", "ana@example.org", "{}", "\x01", "\x01onramp1", "\x01onramp1:", "\x01onramp1=x", strings.Trim(sealed, "\x00")} {
			got, leaf, err := v.Open([]byte(personal.Clear(text)), "here")
			if string(got) != text || leaf != 0 || err != nil || personal.Tree([]byte(personal.Clear(text))) != 0 {
				t.Errorf("%q is read as %q, %x, %v", text, got, leaf, err)
			}
		}
		var none *personal.Vault
		if got, _, err := none.Open([]byte("ana"), "here"); string(got) != "ana" || err != nil {
			t.Errorf("without keys: %q, %v", got, err)
		}
		if _, _, err := none.Open([]byte(sealed), "here"); err == nil {
			t.Error("without keys an encrypted text was read")
		}
	})
}

// What was encrypted for a person is gone with the key, also if it was used a moment ago; all
// else stays, and who comes back has another key.
func TestErased(t *testing.T) {
	t.Parallel()
	bothForms(t, func(t *testing.T, v *personal.Vault) {
		ana, bea := seal(t, v, "ana", "ana's", "here"), seal(t, v, "bea", "bea's", "here")
		leaf := v.Leaf("ana")
		next := v.State().Clone()
		next.Destroy(personal.Fold("Ana"))
		v.SetState(next)
		if got, of, err := v.Open(ana, "here"); !errors.Is(err, personal.ErrErased) || got != nil || of != leaf {
			t.Errorf("got %q of %x, %v, want ErrErased", got, of, err)
		}
		if _, err := v.Seal(leaf, nil, "here"); !errors.Is(err, personal.ErrErased) {
			t.Errorf("encrypted with the destroyed key: %v", err)
		}
		for name, value := range map[string][]byte{"bea's": bea, "new": seal(t, v, "ana", "new", "here")} {
			if got, _, err := v.Open(value, "here"); string(got) != name || err != nil {
				t.Errorf("got %q, %v, want %s", got, err, name)
			}
		}
	})
}

// With another tree the texts of the one before are read until it is retired.
func TestRotate(t *testing.T) {
	t.Parallel()
	bothForms(t, func(t *testing.T, v *personal.Vault) {
		old := seal(t, v, "ana", "old", "here")
		next := v.State().Clone()
		next.Rotate()
		v.SetState(next)
		fresh := seal(t, v, "ana", "new", "here")
		if personal.Tree(old) != 1 || personal.Tree(fresh) != 2 {
			t.Errorf("trees %d and %d", personal.Tree(old), personal.Tree(fresh))
		}
		if got, _, err := v.Open(old, "here"); string(got) != "old" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		next = next.Clone()
		next.Retire()
		v.SetState(next)
		if _, _, err := v.Open(old, "here"); err == nil || errors.Is(err, personal.ErrErased) {
			t.Errorf("got %v, want that the key was retired", err)
		}
		if got, _, err := v.Open(fresh, "here"); string(got) != "new" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	plain := []byte(strings.Repeat(`{"email":"ana@example.org"}`, 12))
	for _, text := range []bool{false, true} {
		v := personal.NewVault(personkey.NewState(), text)
		b.Run(fmt.Sprintf("text=%v", text), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ { // each for another person
				if _, err := v.Seal(personkey.Leaf(i)*0x9e3779b97f4a7c15, plain, "registration/0123456789abcdef/data"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	v := personal.NewVault(personkey.NewState(), false)
	value := seal(b, v, "ana", strings.Repeat(`{"email":"ana@example.org"}`, 12), "here")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := v.Open(value, "here"); err != nil {
			b.Fatal(err)
		}
	}
}
