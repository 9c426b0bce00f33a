package soap

import (
	"strings"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// perform answers Perform: ClearData of data extensions is all there is. Undocumented:
// its words, which follow those of other object types.
func (k *call) perform(body, response *node) error {
	definitions := body.child("Definitions").all("Definition")
	results, errors := elem("Results"), 0
	for _, o := range definitions {
		if o.kind == "" {
			return abstract("APIObject", "Definition")
		}
		w := &write{call: k, object: o}
		r := w.do(o, performer(o.kind, body.value("Action")))
		status := "OK"
		if r.code != 0 {
			status, errors = "Error", errors+1
		}
		n := elem("Result", text("StatusCode", status), text("StatusMessage", r.message)).add(r.object)
		if r.code != 0 {
			n.add(text("ErrorCode", "2"))
		}
		results.add(n.add(elem("Task", text("StatusCode", status), text("StatusMessage", r.message))))
	}
	response.add(results).end(errors, len(definitions))
	return nil
}

// end adds what such an answer ends with.
func (n *node) end(errors, all int) {
	n.add(text("OverallStatus", overall(errors, all)), text("OverallStatusMessage", ""), text("RequestID", wire.NewGUID()))
}

// performer is what does an action with an object of a type.
func performer(kind, action string) func(*write, *node) result {
	if kind != "DataExtension" {
		return nil
	}
	return func(w *write, o *node) result {
		var e *account.Extension
		if e = w.found(o); e == nil {
			return refusedExtension(o, "The data extension does not exist.")
		}
		if !strings.EqualFold(action, "ClearData") {
			return refusedExtension(o, "The action '"+action+"' is not available for DataExtension.")
		}
		e.Clear()
		return result{message: "DataExtension perform called successfully", object: echo(o, text(objectID, e.ID))}
	}
}

// refuseAll answers an operation that finds nothing it can do. Undocumented.
func (k *call) refuseAll(body, response *node) error {
	kind := body.child("Requests").value("Name")
	for _, path := range [][]string{{"Interactions", "Interaction"}, {"Configurations", "Configuration"}} {
		if o := body.child(path[0]).child(path[1]); o.kind != "" {
			kind = o.kind
		}
	}
	if body.name == "ExecuteRequestMsg" {
		response.add(text("OverallStatus", "Error"), text("RequestID", wire.NewGUID()),
			elem("Results", text("StatusCode", "Error"), text("StatusMessage", unsupported(kind)), text("ErrorCode", "2")))
		return nil
	}
	response.add(elem("Results", elem("Result", text("StatusCode", "Error"), text("StatusMessage", unsupported(kind)), text("ErrorCode", "2"))))
	response.end(1, 1)
	return nil
}
