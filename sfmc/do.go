package sfmc

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// Do makes a call that there is no method for: r.Method r.Path with the current token,
// below the REST base, and r.Body, if there is one, as JSON. Escape what the path is
// made of by [net/url.PathEscape]. With a SOAPAction it is a call of the SOAP API, of
// which the path is "/Service.asmx": r.Body is then the XML that stands in the body of
// the envelope, in which the prefix xsi is known.
//
// It returns the body of an answer that reports success: JSON, or what stands in the
// body of the SOAP envelope, without the token if that was in it. Everything else is an [*Error] with r.Op, as in every other
// call; so is a fault, with the fault's code as CodeText. SOAP reports most errors
// within an envelope with status 200: those are for the caller to find. A token that is
// refused, by 401 or a fault of which the code ends with ":Security", is renewed once.
// A request without operation, or with a path that does not begin with a slash, is
// refused with [ErrInvalid].
func (c *Client) Do(ctx context.Context, r Request) ([]byte, error) {
	path, ok := strings.CutPrefix(r.Path, "/")
	if !ok || path == "" || r.Op == "" || r.Method == "" {
		return nil, fmt.Errorf("%s: %w: %s %.80q", r.Op, ErrInvalid, r.Method, r.Path)
	}
	a, err := c.authorised(ctx, request{op: r.Op, method: r.Method, body: r.Body, action: r.SOAPAction}, path)
	switch {
	case err != nil:
		return nil, err
	case r.SOAPAction != "":
		return a.soapBody()
	}
	if _, err := a.success(); err != nil {
		return nil, err
	}
	return a.hide.cutJSON(a.trimmed()), nil
}

// envelope wraps the content of a SOAP body, with the token in the header.
func envelope(token Secret, content []byte) []byte {
	var b bytes.Buffer
	b.WriteString(`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` +
		`<Header><fueloauth xmlns="http://exacttarget.com">`)
	_ = xml.EscapeText(&b, []byte(token.Reveal())) // a buffer takes everything
	b.WriteString(`</fueloauth></Header><Body>`)
	b.Write(content)
	b.WriteString(`</Body></Envelope>`)
	return b.Bytes()
}

// soapAnswer is the envelope of an answer.
type soapAnswer struct {
	XMLName xml.Name `xml:"Envelope"`
	Body    *struct {
		Content []byte `xml:",innerxml"`
		Fault   *struct {
			Code   string `xml:"faultcode"`
			String string `xml:"faultstring"`
		}
	}
}

// soap reads the envelope; nil if there is none.
func (a *answer) soap() *soapAnswer {
	var e soapAnswer
	if a.incomplete() != nil || xml.Unmarshal(a.trimmed(), &e) != nil || e.Body == nil {
		return nil
	}
	return &e
}

// soapBody gives what stands in the body of the envelope. A fault is an error, and so is
// anything that is no envelope.
func (a *answer) soapBody() ([]byte, error) {
	e := a.soap()
	switch {
	case e != nil && e.Body.Fault != nil:
		return nil, a.failure(fault{Detail: Detail{CodeText: clip(e.Body.Fault.Code), Message: clip(e.Body.Fault.String)}}, nil)
	case !a.isGood():
		v, _ := a.decode() // the gateway in front answers in JSON
		return nil, a.failure(readFault(v), nil)
	case e != nil:
		return a.hide.cutJSON(e.Body.Content), nil // errors travel in it
	}
	if err := a.incomplete(); err != nil {
		return nil, a.failure(fault{}, err)
	}
	return nil, a.unfit("not a SOAP envelope")
}

// refusesToken reports whether the answer is that the token is not, or no longer, valid.
func (a *answer) refusesToken() bool {
	if a.status != http.StatusInternalServerError || !bytes.HasPrefix(a.trimmed(), []byte("<")) {
		return a.status == http.StatusUnauthorized
	}
	e := a.soap()
	return e != nil && e.Body.Fault != nil && strings.HasSuffix(e.Body.Fault.Code, ":Security")
}
