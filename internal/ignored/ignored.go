// Package ignored counts what comes with forms and is no field of theirs, so that an
// operator notices a misspelt one. Anybody can send any name: it keeps few of them, and
// those that come most.
package ignored

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	maxNames = 50 // of a form
	maxBytes = 80 // of a name
	maxNew   = 20 // names of one submission that can take the places of others
)

// Names are counts by form since the start. Its zero value is empty, and nil counts
// nothing; both are safe for concurrent use.
type Names struct {
	mu    sync.Mutex
	forms map[string]*counts
}

type counts struct {
	names  map[string]int64
	others int64 // those whose name is not kept
}

// Name is one name, and how many submissions had it since it is kept.
type Name struct {
	Name  string
	Count int64
}

// Count notes the names that were ignored in one submission of a form.
func (n *Names) Count(form string, names []string) {
	if n == nil || len(names) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.forms == nil {
		n.forms = map[string]*counts{}
	}
	c := n.forms[form]
	if c == nil {
		c = &counts{names: map[string]int64{}}
		n.forms[form] = c
	}
	for i, name := range names {
		c.count(shorten(name), i < maxNew)
	}
}

// count gives a new name the place of the one that came least. A name that comes with
// every submission is soon among those that stay, whatever else is sent.
func (c *counts) count(name string, mayReplace bool) {
	if _, known := c.names[name]; !known && len(c.names) == maxNames {
		if !mayReplace {
			c.others++
			return
		}
		rarest := slices.MinFunc(slices.Collect(maps.Keys(c.names)), func(a, b string) int {
			return cmp.Or(cmp.Compare(c.names[a], c.names[b]), cmp.Compare(a, b))
		})
		c.others += c.names[rarest]
		delete(c.names, rarest)
	}
	c.names[name]++
}

// shorten cuts a name, makes it one line to look at, and does not keep what it was cut
// from in memory.
func shorten(name string) string {
	if len(name) > maxBytes {
		end := maxBytes
		for end > 0 && !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end] + "…"
	}
	return strings.Clone(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name))
}

// List gives what was ignored of a form, the most frequent first, and how often other
// names came.
func (n *Names) List(form string) (names []Name, others int64) {
	if n == nil {
		return nil, 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.forms[form]
	if c == nil {
		return nil, 0
	}
	for name, count := range c.names {
		names = append(names, Name{name, count})
	}
	slices.SortFunc(names, func(a, b Name) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return names, c.others
}
