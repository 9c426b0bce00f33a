package phone

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:generate sh -c "go run ./generate >new && mv new metadata.tsv"

// metadata has a line for each region. libphonenumber's licence stands beside it.
//
//go:embed metadata.tsv
var metadata string

// region is what libphonenumber knows of the numbers of a country, or of a code that
// belongs to none.
type region struct {
	id, code  string
	idd       string // prefix for calls abroad
	trunk     string // what people dial first within the country
	prefix    string // what is no part of the number when it is dialled so
	transform string // what takes the prefix's place
	lengths   []int  // of national numbers, ascending
	pattern   string // of national numbers

	once     sync.Once
	compiled rules
}

// table is all regions.
type table struct {
	byID   map[string]*region
	byCode map[string]*region // the first of those that share a country code
}

// regions reads the metadata when it is first needed: most forms never do.
var regions = sync.OnceValue(func() table {
	t := table{map[string]*region{}, map[string]*region{}}
	for line := range strings.Lines(metadata) {
		c := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		r := &region{id: c[0], code: c[1], idd: c[3], trunk: c[4], prefix: c[5], transform: c[6], pattern: c[8]}
		for length := range strings.SplitSeq(c[7], ",") {
			n, _ := strconv.Atoi(length) // a test has read them all
			r.lengths = append(r.lengths, n)
		}
		if r.id != "001" {
			t.byID[r.id] = r
		}
		if c[2] == "main" {
			t.byCode[r.code] = r
		}
	}
	return t
})

// of finds the region whose country code digits begin with; the preferred one if it has
// that code. No country code is the beginning of another.
func (t table) of(digits string, preferred *region) *region {
	if preferred != nil && strings.HasPrefix(digits, preferred.code) {
		return preferred
	}
	for n := 1; n <= 3 && n < len(digits); n++ {
		if r := t.byCode[digits[:n]]; r != nil {
			return r
		}
	}
	return nil
}
