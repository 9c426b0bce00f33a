package soap

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxConditions bounds the conditions of a filter, and with them the work.
const maxConditions = 1_000

// predicate reports whether an object passes a filter.
type predicate func(object int) bool

// filter reads a filter. A mistake of its form is a fault.
func (l list) filter(n *node) (predicate, error) {
	p := filterParser{list: l}
	return p.part(n)
}

type filterParser struct {
	list  list
	count int
}

func (p *filterParser) part(n *node) (predicate, error) {
	if p.count++; p.count > maxConditions {
		return nil, unreadable("the filter has too many conditions")
	}
	switch n.kind {
	case "SimpleFilterPart":
		return p.simple(n)
	case "ComplexFilterPart":
		return p.complex(n)
	}
	return nil, abstract("FilterPart", n.name)
}

// abstract is the fault of an element whose xsi:type is missing, or none that fits. The
// words are .NET's.
func abstract(kind, element string) fault {
	return unreadable(fmt.Sprintf("The specified type is abstract: name='%s', namespace='%s', at <%s xmlns='%s'>.", kind, partnerAPI, element, partnerAPI))
}

func (p *filterParser) complex(n *node) (predicate, error) {
	operands := []*node{n.child("LeftOperand"), n.child("RightOperand")}
	operands = append(operands, n.child("AdditionalOperands").all("Operand")...)
	var parts []predicate
	for _, o := range operands {
		part, err := p.part(o)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	switch n.value("LogicalOperator") {
	case "AND":
		return func(object int) bool {
			return !slices.ContainsFunc(parts, func(part predicate) bool { return !part(object) })
		}, nil
	case "OR":
		return func(object int) bool {
			return slices.ContainsFunc(parts, func(part predicate) bool { return part(object) })
		}, nil
	}
	return nil, invalid(n.value("LogicalOperator"), "LogicalOperators")
}

// invalid is the fault of a word that an enumeration does not have. The words are .NET's.
func invalid(word, enumeration string) fault {
	return unreadable(fmt.Sprintf("Instance validation error: '%s' is not a valid value for %s.", word, enumeration))
}

func (p *filterParser) simple(n *node) (predicate, error) {
	at := 0
	if name := n.value("Property"); p.list.properties != nil {
		var ok bool
		if at, ok = p.list.index(name); !ok {
			return nil, p.unknown(name)
		}
	}
	var values []string
	for _, v := range n.children {
		if v.name == "Value" || v.name == "DateValue" {
			values = append(values, v.text)
		}
	}
	c := comparison{exact: p.list.exact}
	if p.list.properties != nil {
		c.dataType = p.list.properties[at].dataType
	}
	test, ok := c.test(n.value("SimpleOperator"), values)
	if !ok {
		return nil, invalid(n.value("SimpleOperator"), "SimpleOperators")
	}
	return func(object int) bool { return test(p.list.value(object, at)) }, nil
}

// unknown is what is said of a filter's property that there is not. Undocumented for
// objects.
func (p *filterParser) unknown(name string) error {
	if p.list.exact {
		return problem(fmt.Sprintf("Invalid column name '%s'.", name))
	}
	return problem(fmt.Sprintf("The Filter Property '%s' does not match with the fields of %s retrieve", name, p.list.kind))
}

// comparison says how values of a property are compared.
type comparison struct {
	dataType string
	exact    bool // texts letter by letter, and else in any case
}

// operand is a value in the form in which it is compared.
type operand struct {
	isNumber bool
	number   float64 // also of a date or a Boolean
	text     string
}

func (c comparison) operand(value string) operand {
	switch c.dataType {
	case "Int32", "Decimal":
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && n == n {
			return operand{isNumber: true, number: n}
		}
	case "DateTime":
		if t, ok := parseDate(strings.TrimSpace(value)); ok {
			return operand{isNumber: true, number: float64(t.UnixMilli())}
		}
	case "Boolean":
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "true", "1":
			return operand{isNumber: true, number: 1}
		case "false", "0":
			return operand{isNumber: true}
		}
	}
	return operand{text: c.fold(value)}
}

func (c comparison) fold(value string) string {
	if c.exact {
		return value
	}
	return strings.ToLower(value)
}

func (o operand) compare(other operand) int {
	if o.isNumber && other.isNumber {
		return cmp.Compare(o.number, other.number)
	}
	return cmp.Compare(o.text, other.text)
}

// test is an operator with its values.
func (c comparison) test(operator string, values []string) (func(value string) bool, bool) {
	if match := pattern(operator); match != nil {
		value := ""
		if len(values) > 0 {
			value = c.fold(values[0])
		}
		return func(v string) bool { return match(c.fold(v), value) }, true
	}
	set := map[operand]bool{}
	for _, v := range values {
		set[c.operand(v)] = true
	}
	first, last := operand{}, operand{}
	if len(values) > 0 {
		first, last = c.operand(values[0]), c.operand(values[len(values)-1])
	}
	order := func(pass func(order int) bool) func(string) bool {
		return func(v string) bool { return v != "" && pass(c.operand(v).compare(first)) }
	}
	tests := map[string]func(string) bool{
		"equals":             func(v string) bool { return c.operand(v) == first },
		"notEquals":          func(v string) bool { return c.operand(v) != first },
		"IN":                 func(v string) bool { return set[c.operand(v)] },
		"isNull":             func(v string) bool { return v == "" },
		"isNotNull":          func(v string) bool { return v != "" },
		"greaterThan":        order(func(order int) bool { return order > 0 }),
		"greaterThanOrEqual": order(func(order int) bool { return order >= 0 }),
		"lessThan":           order(func(order int) bool { return order < 0 }),
		"lessThanOrEqual":    order(func(order int) bool { return order <= 0 }),
		"between": func(v string) bool {
			o := c.operand(v)
			return v != "" && o.compare(first) >= 0 && o.compare(last) <= 0
		},
	}
	test, ok := tests[operator]
	return test, ok
}

// pattern is an operator that looks for a text in a text, or nil when it is none of
// these. "like" finds its value anywhere, and % in it stands for any text.
func pattern(operator string) func(text, value string) bool {
	switch operator {
	case "like":
		return like
	case "contains", "existsInString":
		return strings.Contains
	case "notContains", "notExistsInString":
		return func(text, value string) bool { return !strings.Contains(text, value) }
	case "beginsWith":
		return strings.HasPrefix
	case "endsWith":
		return strings.HasSuffix
	}
	return nil
}

// like finds the pieces of a pattern in their order: in the time of one pass.
func like(text, pattern string) bool {
	for piece := range strings.SplitSeq(pattern, "%") {
		_, after, found := strings.Cut(text, piece)
		if !found {
			return false
		}
		text = after
	}
	return true
}

// serverZone is where a date without a zone is: server time, UTC-6 all year.
var serverZone = time.FixedZone("server", -6*60*60)

// The layouts of dates in requests and in rows.
func layouts() []string {
	return []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02",
		"1/2/2006 3:04:05 PM", "1/2/2006 3:04 PM", "1/2/2006 15:04:05", "1/2/2006",
	}
}

// parseDate reads a date; one without a zone is in server time.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range layouts() {
		if t, err := time.ParseInLocation(layout, s, serverZone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// showDate writes a date as answers have it: in server time, without a zone; "" when
// there is none.
func showDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(serverZone).Format("2006-01-02T15:04:05.999")
}
