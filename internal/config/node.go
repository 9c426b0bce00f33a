package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"onramp/internal/retention"
	"onramp/internal/spelling"
	"onramp/internal/vault"
)

// reader walks the YAML nodes and collects every problem. It walks them itself,
// instead of having them decoded into structs, because only a node knows its
// line and only a walk goes on after the first mistake.
type reader struct {
	problems      []Problem
	visited       int // keys and items of lists
	environ       map[string]string
	given         map[string]position // settings that have a value, right or wrong
	steps         map[string]step     // the routes' steps by the names of their destinations
	confirmations map[string]placed   // what takes the confirmations of forms, by the name of the destination
	asks          bool                // the form that is being read has double opt-in
	formNames     []string            // of all forms in the file
	publicURL     string
	kept          retention.Policies
	readsFiles    bool              // those that tls names
	vault         *vault.Client     // nil: nothing refers to it yet
	vaultUntil    time.Time         // when all of its secrets must have been read
	languages     []string          // of the page of the form that is being read; nil: English
	literals      map[string]string // paths of the values that stand in the file themselves, by their text
}

// position is where a value stands in the file: its line, and its path for messages.
type position struct {
	line int    // 0: in the environment
	path string // or the name of the variable
}

// value is a node and its position. The zero value is a key that is not there.
type value struct {
	position
	name string // the key, in a map
	node *yaml.Node
}

func (r *reader) report(at position, format string, args ...any) {
	r.problems = append(r.problems, Problem{at.line, at.path, fmt.Sprintf(format, args...)})
}

// document parses the YAML. It reports the first mistake in the syntax: what
// follows that can't be understood.
func (r *reader) document(data []byte) (value, bool) {
	start := position{line: 1}
	if at, what := unreadable(data); at >= 0 {
		r.report(position{line: 1 + bytes.Count(data[:at], []byte("\n"))}, "%s", what)
		return value{}, false
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithV4Defaults())
	if err != nil {
		r.report(start, "%s", syntaxMessage(err))
		return value{}, false
	}
	var first, second yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		return value{position: start}, true
	} else if err != nil {
		r.report(position{line: syntaxLine(err)}, "%s", syntaxMessage(err))
		return value{}, false
	}
	if err := loader.Load(&second); err == nil {
		r.report(position{line: max(second.Line, 1)}, "a second YAML document starts here: a configuration must be a single document")
	} else if !errors.Is(err, io.EOF) {
		r.report(position{line: syntaxLine(err)}, "%s", syntaxMessage(err))
	}
	if len(first.Content) == 0 {
		return value{position: start}, true
	}
	return value{position: start, node: first.Content[0]}, true
}

// unreadable finds what the YAML library refuses without saying where.
func unreadable(data []byte) (at int, what string) {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return i, "is not UTF-8 text"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f:
			return i, "contains a control character"
		}
		i += size
	}
	return -1, ""
}

func syntaxLine(err error) int {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		return max(e.Mark.Line, 1)
	}
	return 1
}

func syntaxMessage(err error) string {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return "is not valid YAML"
	}
	message := e.Message
	switch e.Stage {
	case yaml.ReaderStage, yaml.ScannerStage, yaml.ParserStage:
	default:
		// here the library's messages repeat what stands in the file, and an
		// unquoted secret may begin with *
		message = "a value that starts with * or ! must be in quotes"
	}
	if e.ContextMsg != "" && e.ContextMark.Line > 0 {
		message += fmt.Sprintf(" (%s that starts on line %d)", e.ContextMsg, e.ContextMark.Line)
	}
	return "is not valid YAML: " + message
}

// target is the node that an alias stands for.
func (v value) target() *yaml.Node {
	if v.node != nil && v.node.Kind == yaml.AliasNode {
		return v.node.Alias
	}
	return v.node
}

// isSet says that something other than null is written.
func (v value) isSet() bool {
	n := v.target()
	return n != nil && !(n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null")
}

// describe names the YAML type of a node.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

var lettersAndDigits = regexp.MustCompile(`^[\pL\pN_-]+$`)

// isPlainKey says whether a key can be repeated as it is. (The expression would take
// megabytes if it counted, since it would repeat all letters that there are.)
func isPlainKey(name string) bool {
	return utf8.RuneCountInString(name) <= 64 && lettersAndDigits.MatchString(name)
}

func (p position) key(name string) position {
	switch {
	case !isPlainKey(name):
		p.path += "[" + strconv.Quote(name) + "]"
	case p.path == "":
		p.path = name
	default:
		p.path += "." + name
	}
	return p
}

// maxVisited bounds the walk: with aliases of aliases a small file is a huge one.
const maxVisited = 20_000

// visit counts n more nodes. It is false when there are too many.
func (r *reader) visit(n int) bool {
	if r.visited > maxVisited {
		return false
	}
	if r.visited += n; r.visited > maxVisited {
		r.report(position{line: 1}, "has more than %d keys and values, including those that aliases repeat", maxVisited)
		return false
	}
	return true
}

// entries lists the keys of a map in the order of the file. The second of two
// equal keys is reported and left out. The result is false when v is no map;
// a value that is not set is an empty one.
func (r *reader) entries(v value) ([]value, bool) {
	if !v.isSet() {
		return nil, true
	}
	n := v.target()
	if n.Kind != yaml.MappingNode {
		r.report(v.position, "must be a map of keys and values, not %s", describe(n))
		return nil, false
	}
	if !r.visit(len(n.Content)) {
		return nil, false
	}
	var list []value
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.report(position{key.Line, v.path}, "a key must be a word, not %s", describe(key))
			continue
		case key.ShortTag() == "!!merge":
			r.report(position{key.Line, v.path}, "merge keys (<<) are not supported: write the keys out")
			continue
		}
		at := position{key.Line, v.path}.key(key.Value)
		if first, doubled := lines[key.Value]; doubled {
			if !isPlainKey(key.Value) {
				at.path = v.path // see mapping
			}
			r.report(at, "is set twice, first on line %d", first)
			continue
		}
		lines[key.Value] = key.Line
		list = append(list, value{at, key.Value, n.Content[i+1]})
	}
	return list, true
}

// mapping gives the values of a map by their keys, and reports the keys that
// are not known.
func (r *reader) mapping(v value, known ...string) (map[string]value, bool) {
	list, ok := r.entries(v)
	byName := make(map[string]value, len(known))
	for _, k := range known {
		// what isn't given has a position, too: for the message that it is missing
		byName[k] = value{position: v.key(k), name: k}
	}
	for _, e := range list {
		if _, known := byName[e.name]; known {
			byName[e.name] = e
			continue
		}
		if !isPlainKey(e.name) {
			// not repeated: without its space, client_secret:… is a key with the secret in it
			r.report(position{e.line, v.path}, "unknown key; is a colon, or the space after it, missing?")
			continue
		}
		r.report(e.position, "unknown key; %s", spelling.DidYouMean(e.name, known))
	}
	return byName, ok
}

// list gives the items of a list, and reports empty ones.
func (r *reader) list(v value) ([]value, bool) {
	if !v.isSet() {
		return nil, true
	}
	n := v.target()
	if n.Kind != yaml.SequenceNode {
		r.report(v.position, "must be a list, not %s", describe(n))
		return nil, false
	}
	if !r.visit(len(n.Content)) {
		return nil, false
	}
	var items []value
	for i, node := range n.Content {
		item := value{position{node.Line, v.path + "[" + strconv.Itoa(i) + "]"}, "", node}
		if !item.isSet() {
			r.report(item.position, "is empty: fill it in or remove the line")
			continue
		}
		items = append(items, item)
	}
	return items, true
}

// texts gives the texts of a list of single values.
func (r *reader) texts(v value) []scalar {
	items, _ := r.list(v)
	var list []scalar
	for _, item := range items {
		if s, ok := r.scalar(item); ok {
			list = append(list, s)
		}
	}
	return list
}

// unique reads texts of which each may be listed once. check returns what is wrong
// with one by itself, or "".
func (r *reader) unique(texts []scalar, check func(scalar) string) []string {
	var list []string
	for _, s := range texts {
		mistake := check(s)
		if mistake == "" && slices.Contains(list, s.text) {
			mistake = "is listed twice: remove one"
		}
		if mistake != "" {
			r.report(s.position, "%s", mistake)
			continue
		}
		list = append(list, s.text)
	}
	return list
}

// scalar is one value as it was written. Numbers keep their literal, so that a
// key such as 0012 stays what it is where a text is wanted.
type scalar struct {
	position
	text string
	tag  string // the YAML type; "" for what a reference or the environment gave, which may be any
	ref  string // the reference that gave it
}

// scalar reads a single value and follows its reference. It is false when
// nothing is written, and when the value is reported.
func (r *reader) scalar(v value) (scalar, bool) {
	if !v.isSet() {
		return scalar{}, false
	}
	n := v.target()
	if n.Kind != yaml.ScalarNode {
		r.report(v.position, "must be a single value, not %s", describe(n))
		return scalar{}, false
	}
	at := position{v.node.Line, v.path}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		s, ok := r.resolve(scalar{position: at, text: n.Value, tag: tag})
		if ok && s.ref == "" {
			r.literals[s.text] = at.path
		}
		return s, ok
	case "!!merge": // a lone <<
		return r.resolve(scalar{position: at, text: n.Value, tag: "!!str"})
	}
	r.report(at, "has an unsupported YAML tag: put the value in quotes")
	return scalar{}, false
}

// single reads a value that may also be a list or a map: ok is false of these, and of none.
func (r *reader) single(v value) (s scalar, ok bool) {
	if !v.isSet() || v.target().Kind != yaml.ScalarNode {
		return s, false
	}
	return r.scalar(v)
}

// text reads a text; "" when there is none.
func (r *reader) text(v value) string {
	s, _ := r.scalar(v)
	return s.text
}

// needed reads a text that must be there. Nothing is reported twice: a value
// that can't be read is "" too.
func (r *reader) needed(v value, hint string) string {
	s, ok := r.scalar(v)
	if !v.isSet() || ok && s.text == "" {
		r.report(v.position, "is missing: %s", hint)
	}
	return s.text
}

// boolean reads true or false, or gives the default.
func (r *reader) boolean(v value, otherwise bool) bool {
	s, ok := r.scalar(v)
	if !ok {
		return otherwise
	}
	b, ok := s.boolean()
	if !ok {
		r.report(s.position, "must be true or false, without quotes")
	}
	return b
}

func (s scalar) boolean() (b, ok bool) {
	if s.tag != "!!bool" && s.tag != "" {
		return false, false
	}
	switch strings.ToLower(s.text) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

func (s scalar) integer() (int, bool) {
	if s.tag != "!!int" && s.tag != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s.text)
	return n, err == nil
}

// maxQuoted bounds what a message repeats.
const maxQuoted = 60

// quoted gives the value for a message, unless a reference gave it: that may
// be a secret in the wrong place.
func (s scalar) quoted() string {
	if s.ref != "" {
		return "the value of " + s.ref
	}
	if utf8.RuneCountInString(s.text) > maxQuoted {
		return strconv.Quote(string([]rune(s.text)[:maxQuoted]) + "…")
	}
	return strconv.Quote(s.text)
}

// oneOf checks a word against those that are known.
func (s scalar) oneOf(known ...string) error {
	if slices.Contains(known, s.text) {
		return nil
	}
	return fmt.Errorf("%s is not known; %s", s.quoted(), spelling.DidYouMean(s.text, known))
}

// word reads one of the words that are known. It is false when nothing is
// written, and when the value is reported.
func (r *reader) word(v value, known ...string) (string, bool) {
	s, ok := r.scalar(v)
	if !ok {
		return "", false
	}
	if err := s.oneOf(known...); err != nil {
		r.report(s.position, "%v", err)
		return "", false
	}
	return s.text, true
}
