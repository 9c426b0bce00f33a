package soap

import (
	"strings"

	"onramp/internal/sandbox/account"
)

// kind is an object type. A function that is nil is an operation that it does not have.
type kind struct {
	read, write string // scopes
	// list is what there is of it in some business units; without units, its properties.
	list                   func(*call, []*account.Unit) list
	create, update, remove func(*write, *node) result
}

// kinds are the object types by name, but for rows: theirs is in brackets after it.
func kinds() map[string]kind {
	all := map[string]kind{
		"DataExtension":      extensionKind(),
		"DataExtensionField": fieldKind(),
		"DataFolder":         folderKind(),
		"Subscriber":         subscriberKind(),
		"List":               listKind(),
		"BusinessUnit":       unitKind("BusinessUnit"),
		"Account":            unitKind("Account"),
		"AccountUser":        userKind(),
		"AccountUserAccount": accessKind(),
		"ListSubscriber":     memberKind(),
		rowKind:              {write: "data_extensions_write", create: createRow, update: updateRow, remove: removeRow},
	}
	for name, scope := range vacantKinds() {
		all[name] = kind{read: scope, list: func(*call, []*account.Unit) list { return list{kind: name} }}
	}
	return all
}

// property is one of an object type, as Describe shows it. The table of an object type
// has them in the order of the vendor's schema, which answers keep.
type property struct {
	name     string // with the name of the object that it is in, and a dot, or without
	dataType string // Int32, Boolean, DateTime, Decimal or String
	optional bool   // left out of an answer when it has no value
}

// leaf is the name without that of the object that it is in.
func (p property) leaf() string { return p.name[strings.LastIndexByte(p.name, '.')+1:] }

// parent is the name of the object that it is in, or "".
func (p property) parent() string { return p.name[:max(strings.LastIndexByte(p.name, '.'), 0)] }

// list is what there is of an object type.
type list struct {
	kind       string
	properties []property // nil: whatever is asked for; then the list is empty
	exact      bool       // texts are compared letter by letter
	length     int
	value      func(object, property int) string // "" is no value
}

// column is a property with how to read it.
type column[T any] struct {
	property
	value func(T) string
}

// listOf makes a list of objects.
func listOf[T any](kind string, columns []column[T], objects []T) list {
	l := list{kind: kind, length: len(objects), value: func(object, property int) string {
		if columns[property].value == nil {
			return ""
		}
		return columns[property].value(objects[object])
	}}
	for _, c := range columns {
		l.properties = append(l.properties, c.property)
	}
	return l
}

// The properties that all objects have, also without being asked for; without a value
// they are nil.
const (
	partnerKey = "PartnerKey"
	objectID   = "ObjectID"
)

// index finds a property, by its name letter for letter.
func (l list) index(name string) (int, bool) {
	for i, p := range l.properties {
		if p.name == name || l.exact && strings.EqualFold(p.name, name) {
			return i, true
		}
	}
	return 0, false
}

// result is an object with the properties that were asked for, in an element.
func (l list) result(object int, asked []int) *node {
	if l.exact {
		return l.row(object, asked)
	}
	wanted, parents := map[int]bool{}, map[string]bool{"": true}
	for _, i := range asked {
		wanted[i] = true
		if p := l.properties[i]; !p.optional || l.value(object, i) != "" {
			parents[p.parent()] = true
		}
	}
	n := typed("Results", l.kind)
	within := map[string]*node{"": n}
	for i, p := range l.properties {
		if !parents[p.parent()] {
			continue
		}
		parent := within[p.parent()]
		if parent == nil {
			parent = elem(p.parent())
			within[p.parent()] = parent
			n.add(parent)
		}
		value := ""
		if wanted[i] {
			value = l.value(object, i)
		}
		parent.add(p.node(value, wanted[i]))
	}
	return n
}

// node is the property with its value in an answer, or nil when it is not in there.
func (p property) node(value string, wanted bool) *node {
	always := p.leaf() == partnerKey || p.leaf() == objectID
	switch {
	case always && value == "":
		return null(p.leaf())
	case wanted && (value != "" || !p.optional):
		return text(p.leaf(), value)
	}
	return nil
}

// base are the properties that objects begin with, in the order of the vendor's schema.
func base[T any](id, object, key func(T) string, created, modified func(T) string) []column[T] {
	columns := []column[T]{{property: property{name: partnerKey, dataType: "String"}}}
	if created != nil {
		columns = append(columns,
			column[T]{property{name: "CreatedDate", dataType: "DateTime"}, created},
			column[T]{property{name: "ModifiedDate", dataType: "DateTime"}, modified})
	}
	if id != nil {
		columns = append(columns, column[T]{property{name: "ID", dataType: "Int32"}, id})
	}
	columns = append(columns, column[T]{property{name: objectID, dataType: "String"}, object})
	if key != nil {
		columns = append(columns, column[T]{property{name: "CustomerKey", dataType: "String"}, key})
	}
	return columns
}
