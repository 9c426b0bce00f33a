package onramp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// IdempotencyKey stands for the key that a request brought and for its content, by hashes
// that tell nothing of either. The zero value stands for none.
type IdempotencyKey struct {
	Hash, Body int64
	// OlderHash and OlderBody are what a version before has stored for the same request;
	// 0: the same, or it took no such request.
	OlderHash, OlderBody int64
	// Once stands for the person and the content, whatever the key: what equals a
	// registration of less than Within ago is that one. 0: the form has no once_per.
	Once   int64
	Within time.Duration
}

// NewIdempotencyKey makes the key of a request. The same key may be used for
// different forms without harm.
func NewIdempotencyKey(form, key string, body []byte) IdempotencyKey {
	return IdempotencyKey{Hash: keyHash(form + "\x00" + key), Body: bodyHash(body)}
}

// keyHash is never 0, which would mean that there is none.
func keyHash(text string) int64 { return bodyHash([]byte(text)) | 1 }

func bodyHash(body []byte) int64 {
	sum := sha256.Sum256(body)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// Given says whether there is a key.
func (k IdempotencyKey) Given() bool { return k.Hash != 0 }

// IdempotencyKey makes the key of a registration that this form has just accepted of
// inputs. Two submissions have the same content when the form made the same of both,
// whatever their encoding and the order of their fields.
func (f *Form) IdempotencyKey(given GivenKey, inputs []Input, r *Registration) IdempotencyKey {
	if given == (GivenKey{}) && f.OncePer == 0 {
		return IdempotencyKey{}
	}
	content := f.content(r.Values)
	k := IdempotencyKey{Body: bodyHash(content)}
	switch {
	case given.PerContent:
		k.Hash = ownHash(OnceInput, f.Name, given.Text, string(content))
	case given.Text != "":
		k.Hash = keyHash(f.Name + "\x00" + f.keyText(given, r.Values))
	}
	if given.Raw != "" {
		k.OlderBody = bodyHash(olderContent(inputs))
		if given.Raw != given.Text { // the quotes were once part of the key
			k.OlderHash = keyHash(f.Name + "\x00" + given.Raw)
		}
	}
	if f.OncePer > 0 {
		k.Once, k.Within = ownHash("once_per", f.Name, strings.ToLower(r.SubscriberKey), string(content)), f.OncePer
	}
	return k
}

// ownHash hashes what can't be the hash of a key that was sent: no form has an empty name.
func ownHash(parts ...string) int64 {
	b := make([]byte, 1, 512)
	for _, part := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	return keyHash(string(b))
}

// content is what a registration's submitted values say. What Onramp has filled in is no
// part of it, nor a default, whether it was sent or not.
func (f *Form) content(values json.RawMessage) []byte {
	type pair struct{ name, value []byte }
	members, length := make([]pair, 0, len(f.Fields)), 0
	// values are what Accept has written, an object for certain
	_ = eachMember(values, func(name, value []byte) {
		at, known := f.byKey[string(name)]
		if !known || f.Fields[at].From != Submitted {
			return
		}
		value = f.meaning(at, value)
		if standard := f.Fields[at].Default; standard != nil && bytes.Equal(value, f.meaning(at, appendScalar(nil, *standard))) {
			return
		}
		members = append(members, pair{name, value})
		length += len(name) + len(value) + 2
	})
	// the order of the fields may have changed since
	slices.SortFunc(members, func(a, b pair) int { return bytes.Compare(a.name, b.name) })
	content := make([]byte, 0, length)
	for _, m := range members {
		content = append(append(append(append(content, m.name...), ':'), m.value...), ',')
	}
	return content
}

// meaning is the same for values that Marketing Cloud takes for the same: the case of an
// email address and of a subscriber key means nothing to it, nor does the last 0 of 12.50.
func (f *Form) meaning(at int, value []byte) []byte {
	switch t := f.Fields[at].Type; {
	case t == Email, f.SubscriberKey.From == KeyField && f.SubscriberKey.Field == at:
		return bytes.ToLower(value)
	case t == Decimal && bytes.IndexByte(value, '.') >= 0 && !bytes.ContainsAny(value, "eE"):
		return bytes.TrimRight(bytes.TrimRight(value, "0"), ".")
	}
	return value
}

// olderContent is what was hashed of a body once: its names and values, as they came.
func olderContent(inputs []Input) []byte {
	b := make([]byte, 0, 512)
	for _, in := range inputs {
		b = append(b, byte(in.Value.Kind))
		for _, text := range []string{in.Name, in.Value.Text} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	}
	return b
}
