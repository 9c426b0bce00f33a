package sandbox

import (
	"net/http"

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

// gatewayRefusal is the answer of the API gateway in front of Marketing Cloud
// to a route or method that it does not know. It is not JSON.
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
