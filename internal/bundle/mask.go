package bundle

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxText  = 4 << 10 // bytes of a text
	maxItems = 1000    // of a list
	maxDepth = 16      // of nested values
)

// masker replaces what is not known to be harmless.
type masker struct {
	known vocabulary
	// key makes the digits of what is replaced. It ends with the process, so that nobody
	// can find out by trying what stands behind them.
	key []byte
}

func newMasker() (*masker, error) {
	known, err := loadVocabulary()
	if err != nil {
		return nil, err
	}
	m := &masker{known: known, key: make([]byte, sha256.Size)}
	_, _ = rand.Read(m.key) // it never fails
	return m, nil
}

// replace is what stands for a text.
func (m *masker) replace(text string) string {
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte(text))
	return "#" + hex.EncodeToString(mac.Sum(nil)[:3])
}

// pieces are the quoted texts of a text, what stands between blanks, and the blanks. A
// quote that is not closed goes to the end.
var pieces = regexp.MustCompile("\"[^\"]*\"?|'[^']*'?|`[^`]*`?|[^\\s\"'`]+(?:'[a-z]+)?[^\\s\"'`]*|\\s+")

const punctuation = ".,;:!?()[]{}<>…–→"

// text keeps the words of a text that are known, and their punctuation.
func (m *masker) text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	var b strings.Builder
	begins := true // a sentence, so that its first word has a capital letter
	for _, piece := range pieces.FindAllString(strings.ToValidUTF8(s, "\uFFFD"), -1) {
		switch first, _ := utf8.DecodeRuneInString(piece); {
		case unicode.IsSpace(first):
			b.WriteByte(' ')
			continue
		case strings.ContainsRune("\"'`", first):
			b.WriteString(m.replace(strings.Trim(piece, "\"'`")))
			begins = false
			continue
		}
		rest := strings.TrimLeft(piece, punctuation)
		core := strings.TrimRight(rest, punctuation)
		b.WriteString(piece[:len(piece)-len(rest)])
		b.WriteString(m.chunk(core, begins))
		end := rest[len(core):]
		b.WriteString(end)
		begins = strings.ContainsAny(end, ".:;!?")
	}
	return b.String()
}

// chunk keeps what stands between two blanks if all of it is known. Of what has colons,
// such as the name of a destination, it keeps the parts that are.
func (m *masker) chunk(s string, begins bool) string {
	if s == "" || m.isKnown(s, begins) {
		return s
	}
	if strings.Contains(s, "//") { // a URL: nothing of it is anybody's business
		return m.replace(s)
	}
	of := strings.Split(s, ":")
	for i, part := range of {
		if part != "" && !m.isKnown(part, begins) {
			of[i] = m.replace(part)
		}
	}
	return strings.Join(of, ":")
}

// parts are those of routes and names that no document has as words.
var parts = []string{"v1", "v2", "oauth2"}

func (m *masker) isKnown(s string, begins bool) bool {
	if m.known.codes[s] {
		return true
	}
	if d, err := time.ParseDuration(s); err == nil && d != 0 {
		return true
	}
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune("_-./{}", r) }) {
		if !m.known.has(word, begins) && !slices.Contains(parts, word) {
			return false
		}
	}
	return true
}

// value makes what JSON is made of, masked. Names of fields are kept, since they are those of types in
// the program; keys of maps are texts like others.
func (m *masker) value(v any) any { return m.reflected(reflect.ValueOf(v), maxDepth) }

func (m *masker) reflected(v reflect.Value, depth int) any {
	if !v.IsValid() || depth == 0 {
		return nil
	}
	if special, ok := m.special(v); ok {
		return special
	}
	switch v.Kind() {
	case reflect.String:
		return m.text(v.String())
	case reflect.Pointer, reflect.Interface:
		return m.reflected(v.Elem(), depth-1)
	case reflect.Slice, reflect.Array:
		items := []any{}
		for i := range min(v.Len(), maxItems) {
			items = append(items, m.reflected(v.Index(i), depth-1))
		}
		return items
	case reflect.Map:
		entries := map[string]any{}
		for key, one := range v.Seq2() {
			entries[fmt.Sprint(m.reflected(key, depth-1))] = m.reflected(one, depth-1)
		}
		return entries
	case reflect.Struct:
		fields := map[string]any{}
		m.fields(fields, v, depth-1)
		return fields
	case reflect.Bool:
		return v.Bool()
	case reflect.Float32, reflect.Float64:
		return fmt.Sprint(v.Float()) // JSON has no infinity
	}
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	}
	return nil
}

// special is for types that say themselves how they are written. A pointer to nothing
// can't.
func (m *masker) special(v reflect.Value) (any, bool) {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil, true
		}
		if _, is := v.Interface().(error); !is {
			return nil, false // what it points to says it
		}
	}
	switch x := v.Interface().(type) {
	case Plain:
		return string(x), true
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano), true
	case time.Duration:
		return x.String(), true
	case json.RawMessage:
		return fmt.Sprintf("%d bytes", len(x)), true
	case []byte:
		return fmt.Sprintf("%d bytes", len(x)), true
	case error:
		return m.text(x.Error()), true
	case encoding.TextMarshaler: // secrets are among them
		text, err := x.MarshalText()
		return m.text(string(text)), err == nil
	case fmt.Stringer:
		return m.text(x.String()), v.CanInt() || v.CanUint()
	}
	return nil, false
}

// fields adds the exported fields of a struct that have something in them; those of
// embedded ones as if they were its own.
func (m *masker) fields(to map[string]any, v reflect.Value, depth int) {
	for field, one := range v.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported() || name == "-" || isEmpty(one):
		case field.Anonymous && name == "" && one.Kind() == reflect.Struct:
			m.fields(to, one, depth)
		case name == "":
			to[snake(field.Name)] = m.reflected(one, depth)
		default:
			to[name] = m.reflected(one, depth)
		}
	}
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Pointer, reflect.Interface, reflect.Func, reflect.Chan:
		return v.IsNil() || v.Kind() == reflect.Func
	}
	return false
}

var wordEnds = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)

// snake writes ClientIPHeader as client_ip_header.
func snake(name string) string {
	return strings.ToLower(wordEnds.ReplaceAllString(name, "${1}${3}_${2}${4}"))
}

var (
	metric = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$`)
	label  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
	number = regexp.MustCompile(`^[+-]?([0-9.]+([eE][+-]?[0-9]+)?|Inf|NaN)$`)
)

// metrics keeps the names of metrics and labels, which are Onramp's own, and the numbers.
func (m *masker) metrics(text []byte) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		found := metric.FindStringSubmatch(line)
		if found == nil || !number.MatchString(found[3]) {
			fmt.Fprintln(&b, strings.TrimSpace("# "+m.text(strings.TrimLeft(line, "# "))))
			continue
		}
		labels := label.ReplaceAllStringFunc(found[2], func(one string) string {
			name, value, _ := strings.Cut(one, "=")
			return name + `="` + m.text(strings.Trim(value, `"`)) + `"`
		})
		fmt.Fprintln(&b, found[1]+labels, found[3])
	}
	return []byte(b.String())
}
