package sfmc

import "context"

// Request is a request of a [Client]: as it was sent, or as [Client.Do] is to send it.
type Request struct {
	// Op is the operation: one of the constants OpUpsertRows, OpFireEvent, … or what
	// the caller of Do calls it.
	Op string
	// Method is the HTTP method, such as POST.
	Method string
	// Path is that of the address, escaped, with its query. It begins with a slash.
	Path string
	// SOAPAction is what is asked of the SOAP API, such as "Retrieve". Empty for REST.
	SOAPAction string
	// Body is the JSON that was sent, or what stood in the body of a SOAP envelope;
	// nil if there was none; where it had a secret,
	// such as a password for a callback, it says "redacted". It is the request's
	// own: do not change it.
	Body []byte
}

type traceKey struct{}

// TraceRequests returns a context with which a [Client] shows each request to
// trace, right before it is sent: once in a call, or more often where a call is
// repeated. Token requests, which hold the client secret, are not shown, nor is
// what was refused before there was a request. It is for records of what was sent,
// such as those of calls that failed. The trace is called by the goroutine that
// makes the call.
func TraceRequests(ctx context.Context, trace func(Request)) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

// traced shows a request for a path below the REST base to whom ctx names.
func traced(ctx context.Context, r request, path string) {
	trace, ok := ctx.Value(traceKey{}).(func(Request))
	if !ok {
		return
	}
	body := r.body
	for _, secret := range r.secrets {
		body = secret.cutJSON(body)
	}
	trace(Request{Op: r.op, Method: r.method, Path: "/" + path, SOAPAction: r.action, Body: body})
}

// Elements takes the body of a request for several things apart: what stands before
// the first one, each of them, and what stands after the last one, all of it as it
// was sent. They are the elements of the first list at the top of the body, such as
// the rows of [Client.UpsertRows] or the members of [Client.FireEvents]; a body
// without a list has none. The slices are parts of Body.
func (r Request) Elements() (head []byte, elements [][]byte, tail []byte) {
	b := r.Body
	depth, list, begin := 0, 0, 0 // list: the depth in the list, 0 until it is found; begin: of an element
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			i = endOfString(b, i)
		case c == '[' && list == 0 && depth < 2:
			depth++
			list, begin = depth, i+1
			head = b[:begin]
		case c == '[' || c == '{':
			depth++
		case c == ',' && list > 0 && depth == list:
			elements = append(elements, b[begin:i])
			begin = i + 1
		case c == ']' && list > 0 && depth == list:
			if begin < i {
				elements = append(elements, b[begin:i])
			}
			return head, elements, b[i:]
		case c == ']' || c == '}':
			depth--
		}
	}
	return nil, nil, nil
}

// endOfString finds the quotation mark that ends the JSON string that begins at i.
func endOfString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}
