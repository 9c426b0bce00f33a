package soap

import (
	"strconv"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// describe answers Describe with the properties that Retrieve takes. Of an object type
// that there is not, there is no definition.
func (k *call) describe(body, response *node) error {
	for _, q := range body.child("DescribeRequests").all("ObjectDefinitionRequest") {
		name := q.value("ObjectType")
		t, known := k.kinds[name]
		var l list
		if reference, isRow := rowReference(name); isRow {
			var err error
			if l, err = k.rows([]*account.Unit{k.unit}, reference); err != nil {
				continue
			}
		} else if !known {
			continue
		} else if t.list != nil {
			l = t.list(k, nil)
		}
		definition := elem("ObjectDefinition", text("ObjectType", name))
		for _, p := range l.properties {
			definition.add(p.definition(t.update != nil))
		}
		response.add(definition)
	}
	response.add(text("RequestID", wire.NewGUID()))
	return nil
}

// definition is the property as Describe shows it.
func (p property) definition(updatable bool) *node {
	return elem("Properties",
		null(partnerKey), null(objectID), text("Name", p.name), text("DataType", p.dataType),
		text("IsUpdatable", strconv.FormatBool(updatable)), text("IsRetrievable", "true"), text("IsRequired", "false"))
}
