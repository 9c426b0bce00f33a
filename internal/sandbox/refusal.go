package sandbox

import (
	"net/http"

	"onramp/internal/sandbox/soap"
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

// notFound refuses a call to no route. Undocumented: the words and the errorcode.
func (s *Sandbox) notFound(c *wire.Call) error {
	if soap.Serves(c.Request) {
		return s.soap.NotRecognized(c)
	}
	return wire.Failuref(http.StatusNotFound, http.StatusNotFound, "Not Found")
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
