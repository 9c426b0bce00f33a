package soap

import (
	"slices"
	"strconv"
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// write is an object being created, updated or deleted.
type write struct {
	*call
	unit      *account.Unit // that the object is of
	object    *node
	upsert    bool // SaveAction UpdateAdd: what is there is updated, what is not is created
	deletions map[*account.Extension][]string
}

// result is what became of an object.
type result struct {
	kind    string // xsi:type, or ""
	code    int    // of an error; 0 when it went well
	message string
	id      int64  // NewID
	guid    string // NewObjectID, or ""
	object  *node  // its echo, or nil
}

// failed is a result that went wrong.
func failed(code int, message string) result { return result{code: code, message: message} }

// The codes of errors. Recorded: 12014. The vendor's page soap_faults has 2, which
// stands for all that no recording shows a code for.
const (
	codeUnexpected   = 2
	codeInvalidEmail = 12002
	codeOnList       = 12014
)

// create answers Create.
func (k *call) create(body, response *node) error {
	return k.each(body, response, true, func(t kind) func(*write, *node) result { return t.create })
}

// update answers Update.
func (k *call) update(body, response *node) error {
	return k.each(body, response, false, func(t kind) func(*write, *node) result { return t.update })
}

// remove answers Delete.
func (k *call) remove(body, response *node) error {
	return k.each(body, response, false, func(t kind) func(*write, *node) result { return t.remove })
}

// each does something with each object of a request, in order. Those that are in order
// are done whatever becomes of the others.
func (k *call) each(body, response *node, creates bool, method func(kind) func(*write, *node) result) error {
	objects := body.all("Objects")
	deletions := map[*account.Extension][]string{}
	upsert := slices.ContainsFunc(body.child("Options").child("SaveOptions").all("SaveOption"),
		func(o *node) bool { return o.value("SaveAction") == "UpdateAdd" })
	errors := 0
	for i, o := range objects {
		if o.kind == "" {
			return abstract("APIObject", "Objects")
		}
		w := &write{call: k, object: o, upsert: upsert, deletions: deletions}
		r := w.do(o, method(k.kinds[o.kind]))
		if r.code != 0 {
			errors++
		}
		response.add(r.node(i, creates))
	}
	for e, identities := range deletions {
		e.Delete(identities...)
	}
	response.add(text("RequestID", wire.NewGUID()), text("OverallStatus", overall(errors, len(objects))))
	return nil
}

// overall is the OverallStatus of results, some of which are errors.
func overall(errors, all int) string {
	switch errors {
	case 0:
		return "OK"
	case all:
		return "Error"
	}
	return "Has Errors"
}

// do does one thing with one object. Undocumented: that what is missing is reported for
// each object.
func (w *write) do(o *node, method func(*write, *node) result) result {
	t := w.kinds[o.kind]
	var ok bool
	w.unit, ok = w.unitWith(clientID(o.child("Client")))
	switch {
	case method == nil:
		return failed(codeUnexpected, unsupported(o.kind))
	case !ok || !w.token.Allows(t.write):
		return failed(codeUnexpected, lacksPermission)
	}
	return method(w, o)
}

// node is the result as an answer has it.
func (r result) node(ordinal int, creates bool) *node {
	n := typed("Results", r.kind)
	status := "OK"
	if r.code != 0 {
		status = "Error"
	}
	n.add(text("StatusCode", status), text("StatusMessage", r.message), text("OrdinalID", strconv.Itoa(ordinal)))
	if r.code != 0 {
		n.add(text("ErrorCode", strconv.Itoa(r.code)))
	}
	if creates {
		n.add(text("NewID", strconv.FormatInt(r.id, 10)))
		if r.guid != "" {
			n.add(text("NewObjectID", r.guid))
		}
	}
	return n.add(r.object)
}

// echo is an object as it was sent, with its ids, in the order of the vendor's schema.
func echo(o *node, ids ...*node) *node {
	n := apiObject("Object", o, ids)
	n.kind = o.kind
	return n
}

// apiObject copies an object: what all objects have comes first.
func apiObject(name string, o *node, ids []*node) *node {
	n := elem(name)
	for _, first := range []string{"Client", partnerKey, "CreatedDate", "ModifiedDate", "ID", objectID, "CustomerKey"} {
		at := slices.IndexFunc(ids, func(id *node) bool { return id.name == first })
		switch sent := o.child(first); {
		case first == partnerKey:
			n.add(null(partnerKey))
		case at >= 0:
			n.add(ids[at])
		case sent.name != "" && !sent.null && (sent.text != "" || first != objectID):
			n.add(plain(sent))
		case first == objectID:
			n.add(null(objectID))
		}
	}
	for _, c := range o.children {
		switch c.name {
		case "Client", partnerKey, "CreatedDate", "ModifiedDate", "ID", objectID, "CustomerKey":
		case "Field", "SendableDataExtensionField", "ParentFolder":
			n.add(apiObject(c.name, c, nil))
		case "Fields":
			fields := elem("Fields")
			for _, f := range c.children {
				fields.add(apiObject(f.name, f, nil))
			}
			n.add(fields)
		default:
			n.add(plain(c))
		}
	}
	return n
}

// plain copies an element as it is.
func plain(n *node) *node {
	c := &node{name: n.name, kind: n.kind, null: n.null, text: n.text}
	for _, child := range n.children {
		c.add(plain(child))
	}
	return c
}

// isTrue reads a Boolean of XML Schema.
func isTrue(s string) bool { return strings.EqualFold(s, "true") || s == "1" }
