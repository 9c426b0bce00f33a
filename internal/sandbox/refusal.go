package sandbox

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strings"

	"onramp/internal/sandbox/wire"
)

// unsavable is the refusal of rows of a data extension. Without messages it is
// the bare 10006 that the vendor gives for a lock, for load, and for null.
func unsavable(extensionID string, messages []string) *wire.Error {
	e := wire.Failuref(http.StatusBadRequest, wire.CodeAggregate, "Unable to save rows for data extension ID %s", extensionID)
	for _, m := range messages {
		e.Additional = append(e.Additional, *wire.Failuref(http.StatusBadRequest, wire.CodeGeneric, "%s", m))
	}
	return e
}

// soapPath is where the SOAP API is.
const soapPath = "/Service.asmx"

// notFound refuses a call to no route. Undocumented: the words and the errorcode; that of
// SOAP is what ASP.NET says.
func notFound(r *http.Request) error {
	if strings.EqualFold(strings.TrimRight(r.URL.Path, "/"), soapPath) {
		return soapFault{"Client", "Server did not recognize the value of HTTP Header SOAPAction: " + strings.Trim(r.Header.Get("SOAPAction"), `"`) + "."}
	}
	return wire.Failuref(http.StatusNotFound, http.StatusNotFound, "Not Found")
}

// soapFault is a refusal of the SOAP API (SOAP 1.1, section 4.4).
type soapFault struct{ code, text string }

func (f soapFault) Error() string { return f.code + ": " + f.text }

func (f soapFault) Answer() wire.Answer {
	var text bytes.Buffer
	_ = xml.EscapeText(&text, []byte(f.text)) // into memory
	body := `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` +
		`<soap:Fault><faultcode>soap:` + f.code + `</faultcode><faultstring>` + text.String() + `</faultstring></soap:Fault></soap:Body></soap:Envelope>`
	return wire.Answer{Status: http.StatusInternalServerError, ContentType: "text/xml; charset=utf-8", Body: []byte(body)}
}

// gatewayRefusal is what the API gateway in front of Marketing Cloud can answer to a
// route that it does not know; a fault makes it so. It is not JSON.
type gatewayRefusal struct{}

func (gatewayRefusal) Error() string { return "service not found" }

func (gatewayRefusal) Answer() wire.Answer {
	return wire.Answer{Status: wire.StatusServiceNotFound, ContentType: "text/xml", Body: []byte("<h1>596 Service Not Found</h1>")}
}

// oauthError is a refusal of the token route, in the shape of RFC 6749.
type oauthError struct {
	Status      int    `json:"-"`
	Name        string `json:"error"`
	Description string `json:"error_description"`
	URI         string `json:"error_uri"`
}

func (e *oauthError) Error() string {
	return e.Name + ": " + e.Description
}

func (e *oauthError) Answer() wire.Answer {
	a := wire.JSON(e.Status, e)
	a.NoStore = true
	return a
}

// refuseToken makes an oauthError. Only invalid_client is a 401. Undocumented:
// the vendor's bodies for 400 are not published; the names are RFC 6749's.
func refuseToken(name, description string) *oauthError {
	e := &oauthError{
		Status: http.StatusBadRequest, Name: name, Description: description,
		URI: "https://developer.salesforce.com/docs",
	}
	if name == "invalid_client" {
		e.Status = http.StatusUnauthorized
	}
	return e
}
