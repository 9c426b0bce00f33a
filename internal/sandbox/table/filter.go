package table

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxFilter bounds a filter's length in bytes, and with it the work.
	maxFilter = 4096
	// maxFilterDepth bounds its parentheses.
	maxFilterDepth = 32
)

// predicate reports whether a row passes a filter.
type predicate func(r Row) bool

// filterParser reads a filter: comparisons joined by and, or and parentheses;
// "and" binds tighter.
type filterParser struct {
	d      *Table
	tokens []string // a text literal keeps its opening quote
	depth  int
}

// ParseFilter reads the text of $filter and returns what decides whether a row passes
// it. The error says what is wrong with the text.
func (d *Table) ParseFilter(text string) (func(Row) bool, error) {
	if len(text) > maxFilter {
		return nil, fmt.Errorf("filter is longer than %d bytes", maxFilter)
	}
	words, err := filterTokens(text)
	if err != nil {
		return nil, err
	}
	p := &filterParser{d: d, tokens: words}
	keep, err := p.either()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q follows the filter", p.tokens[0])
	}
	return keep, err
}

// filterTokens splits a filter into words, parentheses and 'text', in which two
// quotes stand for one.
func filterTokens(text string) ([]string, error) {
	var out []string
	for text = strings.TrimLeft(text, " "); text != ""; text = strings.TrimLeft(text, " ") {
		switch text[0] {
		case '(', ')':
			out, text = append(out, text[:1]), text[1:]
		case '\'':
			literal, rest, err := quoted(text[1:])
			if err != nil {
				return nil, err
			}
			out, text = append(out, "'"+literal), rest
		default:
			end := strings.IndexAny(text, " ()'")
			if end < 0 {
				end = len(text)
			}
			out, text = append(out, text[:end]), text[end:]
		}
	}
	return out, nil
}

// quoted reads a literal up to its closing quote.
func quoted(text string) (literal, rest string, err error) {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "'")
		if !ok {
			return "", "", errors.New("a quote is not closed")
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, "'") {
			return b.String(), after, nil
		}
		b.WriteByte('\'')
		text = after[1:]
	}
}

// next takes the next token, or "".
func (p *filterParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	word := p.tokens[0]
	p.tokens = p.tokens[1:]
	return word
}

// take takes the next token if it is the word, in any case.
func (p *filterParser) take(word string) bool {
	if len(p.tokens) == 0 || !strings.EqualFold(p.tokens[0], word) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *filterParser) either() (predicate, error) {
	left, err := p.both()
	for err == nil && p.take("or") {
		var right predicate
		a := left
		right, err = p.both()
		left = func(r Row) bool { return a(r) || right(r) }
	}
	return left, err
}

func (p *filterParser) both() (predicate, error) {
	left, err := p.single()
	for err == nil && p.take("and") {
		var right predicate
		a := left
		right, err = p.single()
		left = func(r Row) bool { return a(r) && right(r) }
	}
	return left, err
}

// single reads a comparison, or a filter in parentheses.
func (p *filterParser) single() (predicate, error) {
	if p.take("(") {
		if p.depth++; p.depth > maxFilterDepth {
			return nil, errors.New("too many parentheses")
		}
		inner, err := p.either()
		if err == nil && !p.take(")") {
			err = errors.New("a parenthesis is not closed")
		}
		p.depth--
		return inner, err
	}
	name, operator, literal := p.next(), strings.ToLower(p.next()), p.next()
	i, ok := p.d.Column(name)
	if !ok {
		return nil, fmt.Errorf("no column %q", name)
	}
	if literal == "" || literal == "(" || literal == ")" {
		return nil, fmt.Errorf("%q is not compared with anything", name)
	}
	return p.d.Columns[i].comparison(i, operator, strings.TrimPrefix(literal, "'"))
}

// comparison makes the predicate of one column. A cell without a value passes
// none, as in SQL.
func (c *Column) comparison(ordinal int, operator, literal string) (predicate, error) {
	var pass func(order int) bool
	switch operator {
	case "eq":
		pass = func(order int) bool { return order == 0 }
	case "ne":
		pass = func(order int) bool { return order != 0 }
	case "gt":
		pass = func(order int) bool { return order > 0 }
	case "ge":
		pass = func(order int) bool { return order >= 0 }
	case "lt":
		pass = func(order int) bool { return order < 0 }
	case "le":
		pass = func(order int) bool { return order <= 0 }
	case "like":
		return func(r Row) bool {
			v := r.Cell(ordinal)
			return !v.Empty() && like(c.Render(v.Text), literal)
		}, nil
	default:
		return nil, fmt.Errorf("no operator %q", operator)
	}
	return func(r Row) bool {
		v := r.Cell(ordinal)
		return !v.Empty() && pass(c.compare(v.Text, literal))
	}, nil
}

// compare orders two values as the column's type does; what does not parse is
// compared as text.
func (c *Column) compare(a, b string) int {
	switch c.Type {
	case TypeNumber, TypeDecimal:
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX == nil && errY == nil {
			return cmp.Compare(x, y)
		}
	case TypeDate:
		x, okX := parseDate(a)
		y, okY := parseDate(b)
		if okX && okY {
			return x.Compare(y)
		}
	case TypeBoolean:
		return strings.Compare(c.identity(a), c.identity(b))
	}
	return strings.Compare(a, b)
}

// like matches SQL's pattern: % is any text, _ any one character. It goes back
// to the last % only, so its work is at most the product of the two lengths.
func like(text, pattern string) bool {
	t, p := []rune(text), []rune(pattern)
	ti, pi := 0, 0
	star, mark := -1, 0
	for ti < len(t) {
		switch {
		case pi < len(p) && p[pi] == '%':
			star, mark = pi, ti
			pi++
		case pi < len(p) && (p[pi] == '_' || p[pi] == t[ti]):
			ti++
			pi++
		case star >= 0:
			mark++
			ti, pi = mark, star+1
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == '%' {
		pi++
	}
	return pi == len(p)
}

// Sorted returns the rows in the order of $orderBy, "column [asc|desc], …";
// without it, in order of insertion. The rows given stay as they are.
func (d *Table) Sorted(rows []Row, orderBy string) ([]Row, error) {
	if orderBy == "" {
		return rows, nil
	}
	type criterion struct{ ordinal, sign int }
	var criteria []criterion
	for part := range strings.SplitSeq(orderBy, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 {
			return nil, fmt.Errorf("cannot order by %q", part)
		}
		ordinal, ok := d.Column(words[0])
		if !ok {
			return nil, fmt.Errorf("no column %q", words[0])
		}
		by := criterion{ordinal, 1}
		if len(words) == 2 {
			switch strings.ToLower(words[1]) {
			case "asc":
			case "desc":
				by.sign = -1
			default:
				return nil, fmt.Errorf("cannot order %q", words[1])
			}
		}
		criteria = append(criteria, by)
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int {
		for _, by := range criteria {
			if order := d.Columns[by.ordinal].compare(a.Cell(by.ordinal).Text, b.Cell(by.ordinal).Text); order != 0 {
				return order * by.sign
			}
		}
		return 0
	})
	return rows, nil
}
