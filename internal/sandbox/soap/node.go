package soap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"
)

const (
	// maxNodes bounds the elements and attributes of a request, and with them the memory.
	maxNodes = 500_000
	// maxDepth bounds how deep they are nested, and with it every recursion.
	maxDepth = 1_000
)

// instance is the namespace of xsi:type and xsi:nil.
const instance = "http://www.w3.org/2001/XMLSchema-instance"

// node is an element: of a request, with its name without namespace or prefix, or of an
// answer, with the name as it is written.
type node struct {
	name     string
	kind     string // xsi:type, without prefix
	null     bool   // xsi:nil
	attrs    string // of an answer: as they are written
	text     string // of an element without children
	children []*node
}

// parse reads an XML document. There are no entities but XML's own, and no document type.
func parse(body []byte, contentType string) (*node, error) {
	text, err := decoded(body, contentType)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = charsetReader
	p := parser{open: []*node{{}}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.take(token)
		}
		if err != nil {
			return nil, err
		}
	}
	root := p.open[0].children
	if len(root) != 1 {
		return nil, errors.New("the root element is missing")
	}
	return root[0], nil
}

// parser builds the tree.
type parser struct {
	open  []*node // from an invisible root to the element being read
	text  bytes.Buffer
	count int
}

func (p *parser) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		if p.count += 1 + len(t.Attr); p.count > maxNodes || len(p.open) > maxDepth {
			return errors.New("the document is too large or too deep")
		}
		n := newNode(t)
		parent := p.open[len(p.open)-1]
		parent.children = append(parent.children, n)
		p.open = append(p.open, n)
		p.text.Reset()
	case xml.EndElement:
		if n := p.open[len(p.open)-1]; len(n.children) == 0 {
			n.text = p.text.String()
		}
		p.open = p.open[:len(p.open)-1]
		p.text.Reset()
	case xml.CharData:
		p.text.Write(t)
	case xml.Directive:
		return errors.New("a document type is not allowed")
	}
	return nil
}

func newNode(t xml.StartElement) *node {
	n := &node{name: t.Name.Local}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space != instance:
		case a.Name.Local == "type":
			n.kind = a.Value[strings.LastIndexByte(a.Value, ':')+1:]
		case a.Name.Local == "nil":
			n.null = a.Value == "true" || a.Value == "1"
		}
	}
	return n
}

// decoded is a body as UTF-8, when its Content-Type names another encoding.
func decoded(body []byte, contentType string) ([]byte, error) {
	_, params, _ := mime.ParseMediaType(contentType) // it was checked
	if params["charset"] == "" {
		return body, nil
	}
	r, err := charsetReader(params["charset"], bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// charsetReader reads the encodings that programs declare. It is safe to read a text
// twice that is UTF-8 already: then it stays as it is.
func charsetReader(charset string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return r, nil
	case "iso-8859-1", "latin1", "windows-1252":
		raw, err := io.ReadAll(r)
		if err != nil || utf8.Valid(raw) {
			return bytes.NewReader(raw), err
		}
		runes := make([]rune, len(raw))
		for i, b := range raw {
			runes[i] = rune(b)
		}
		return strings.NewReader(string(runes)), nil
	}
	return nil, fmt.Errorf("encoding %q is not supported", charset)
}

// child is the first child of a name, or an empty element: so that what is missing reads
// like what is empty.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return &node{}
}

// has reports whether there is a child of a name that is not nil.
func (n *node) has(name string) bool {
	c := n.child(name)
	return c.name != "" && !c.null
}

// all are the children of a name.
func (n *node) all(name string) []*node {
	var list []*node
	for _, c := range n.children {
		if c.name == name {
			list = append(list, c)
		}
	}
	return list
}

// value is the text of the child of a name, without blanks around it.
func (n *node) value(name string) string { return strings.TrimSpace(n.child(name).text) }

// texts are the texts of the children of a name.
func (n *node) texts(name string) []string {
	var list []string
	for _, c := range n.all(name) {
		list = append(list, strings.TrimSpace(c.text))
	}
	return list
}

// elem makes an element of an answer that has children.
func elem(name string, children ...*node) *node { return &node{name: name, children: children} }

// text makes an element of an answer that has a text.
func text(name, value string) *node { return &node{name: name, text: value} }

// typed makes an element of an answer with an xsi:type.
func typed(name, kind string, children ...*node) *node {
	return &node{name: name, kind: kind, children: children}
}

// null makes an element that has no value.
func null(name string) *node { return &node{name: name, null: true} }

// add puts elements at the end, but for those that are nil.
func (n *node) add(children ...*node) *node {
	for _, c := range children {
		if c != nil {
			n.children = append(n.children, c)
		}
	}
	return n
}

// write writes the element as the vendor does: without blanks between elements, and with
// one before the end of an empty element.
func (n *node) write(b *bytes.Buffer) {
	b.WriteString("<" + n.name + n.attrs)
	if n.kind != "" {
		b.WriteString(` xsi:type="`)
		_ = xml.EscapeText(b, []byte(n.kind)) // into memory
		b.WriteString(`"`)
	}
	switch {
	case n.null:
		b.WriteString(` xsi:nil="true" />`)
	case len(n.children) > 0:
		b.WriteString(">")
		for _, c := range n.children {
			c.write(b)
		}
		b.WriteString("</" + n.name + ">")
	case n.text != "":
		b.WriteString(">")
		_ = xml.EscapeText(b, []byte(n.text))
		b.WriteString("</" + n.name + ">")
	default:
		b.WriteString(" />")
	}
}
