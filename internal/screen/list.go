package screen

import (
	"bufio"
	_ "embed" // the list of disposable domains
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/idna"
)

// list is addresses and domains.
type list struct {
	prefixes []netip.Prefix
	domains  map[string]bool
}

// maxList is the largest file of a list that is read, in bytes.
const maxList = 16 << 20

//go:embed disposable.txt
var disposable string

// builtIn is the list of disposable domains that is part of the program.
var builtIn = sync.OnceValue(func() *list {
	l, _ := readList(strings.NewReader(disposable)) // a test reads it
	return l
})

var errEntry = errors.New("must be an IP address, a prefix such as 203.0.113.0/24, or a domain")

// ParseEntry checks an entry of a list of addresses and domains.
func ParseEntry(text string) error { return (&list{}).add(text) }

// newList makes a list of entries that ParseEntry takes.
func newList(entries []string) (*list, error) {
	return readList(strings.NewReader(strings.Join(entries, "\n")))
}

// ReadListFile checks a file of a list, of which each line is an entry or begins with #.
func ReadListFile(path string) error {
	_, err := readListFile(path)
	return err
}

func readListFile(path string) (*list, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readList(io.LimitReader(f, maxList))
}

func readList(r io.Reader) (*list, error) {
	l := &list{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if err := l.add(text); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return l, lines.Err()
}

func (l *list) add(text string) error {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		l.prefixes = append(l.prefixes, prefix.Masked())
		return nil
	}
	if address, err := netip.ParseAddr(text); err == nil {
		address = address.Unmap().WithZone("")
		l.prefixes = append(l.prefixes, netip.PrefixFrom(address, address.BitLen()))
		return nil
	}
	domain, err := idna.Lookup.ToASCII(strings.TrimPrefix(strings.TrimPrefix(text, "@"), "*."))
	if err != nil || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "/@ ") {
		return errEntry
	}
	if l.domains == nil {
		l.domains = map[string]bool{}
	}
	l.domains[strings.ToLower(domain)] = true
	return nil
}

func (l *list) hasAddress(address netip.Addr) bool {
	for _, p := range l.prefixes {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// hasDomain says whether a domain, or one that it is below, is listed.
func (l *list) hasDomain(domain string) bool {
	for domain != "" {
		if l.domains[domain] {
			return true
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return false
}

// listFile is a list in a file, which is read again when it changes.
type listFile struct {
	path string
	list atomic.Pointer[list]

	at     time.Time // of the file that was read last
	size   int64
	failed bool // when it was looked at last
}

// look reads the file, if it is another one than before. With an error the list stays.
func (f *listFile) look() (changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil || info.ModTime().Equal(f.at) && info.Size() == f.size {
		return false, err
	}
	f.at, f.size = info.ModTime(), info.Size()
	l, err := readListFile(f.path)
	if err != nil {
		return false, err
	}
	f.list.Store(l)
	return true, nil
}
