package soap

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"onramp/internal/sandbox/wire"
)

// ContentType is that of every answer.
const ContentType = "text/xml; charset=utf-8"

// request is a call's envelope.
type request struct {
	action  string // such as Retrieve
	token   string // of the header fueloauth
	message string // wsa:MessageID, or ""
	body    *node  // the operation's element
}

// read reads a call. The action is the header SOAPAction, with or without quotes, or
// wsa:Action.
func read(c *wire.Call) (request, error) {
	envelope, err := parse(c.Body, c.Request.Header.Get("Content-Type"))
	if err != nil {
		return request{}, unreadable(err.Error())
	}
	if envelope.name != "Envelope" || len(envelope.child("Body").children) == 0 {
		return request{}, unreadable("the document is no SOAP envelope with a body")
	}
	header := envelope.child("Header")
	r := request{
		action: strings.Trim(c.Request.Header.Get("SOAPAction"), `" `), token: header.value("fueloauth"),
		message: header.value("MessageID"), body: envelope.child("Body").children[0],
	}
	if r.action == "" {
		r.action = header.value("Action")
	}
	if r.action == "" {
		return r, fault{code: clientCode, text: "SOAP Action Could Not Be Determined From HTTP or SOAP Header"}
	}
	return r, nil
}

// The codes of faults.
const (
	clientCode   = "soap:Client"
	serverCode   = "soap:Server"
	securityCode = "q0:Security"
)

// fault is a refusal of the SOAP API (SOAP 1.1, section 4.4). Its status is always 500.
type fault struct {
	code  string // soap:Client, soap:Server or q0:Security
	text  string
	actor string    // the API's own address
	at    time.Time // the time on the sandbox's clock
}

// expired is the fault of a token that is unknown, revoked or too old: clients renew it
// when they read these words.
func expired() fault { return fault{code: securityCode, text: "Token Expired"} }

// loginFailed is the fault of a call without a token, also of one with a user's name and
// password.
func loginFailed() fault { return fault{code: securityCode, text: "Login Failed"} }

// unreadable is the fault of a call that is no request. The words are those of .NET; what
// follows the last arrow is ours.
func unreadable(why string) fault {
	return fault{code: clientCode, text: "Server was unable to read request. ---> There is an error in the XML document. ---> " + why}
}

// Error gives the code and the text, for logs.
func (f fault) Error() string { return f.code + ": " + f.text }

// Answer is the fault in its envelope.
func (f fault) Answer() wire.Answer {
	code := text("faultcode", f.code)
	if f.code == securityCode {
		code.attrs = ` xmlns:q0="` + security + `"`
	}
	body := elem("soap:Fault", code, text("faultstring", f.text), text("faultactor", f.actor))
	return answer(http.StatusInternalServerError, header{action: addressing + "/fault", at: f.at}, body)
}

// The namespaces of answers.
const (
	addressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	security   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	utility    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	partnerAPI = "http://exacttarget.com/wsdl/partnerAPI"
)

// header is what the header of an answer says.
type header struct {
	action  string
	relates string // the request's wsa:MessageID, or ""
	at      time.Time
}

// nodes is the header as the vendor's answers have it.
func (h header) nodes() *node {
	relates := h.relates
	if relates == "" {
		relates = "urn:uuid:" + wire.NewGUID() // the vendor makes one up, too
	}
	timestamp := elem("wsu:Timestamp",
		text("wsu:Created", h.at.UTC().Format("2006-01-02T15:04:05Z")), text("wsu:Expires", h.at.UTC().Add(5*time.Minute).Format("2006-01-02T15:04:05Z")))
	timestamp.attrs = ` wsu:Id="Timestamp-` + wire.NewGUID() + `"`
	return elem("soap:Header",
		text("wsa:Action", h.action), text("wsa:MessageID", "urn:uuid:"+wire.NewGUID()), text("wsa:RelatesTo", relates),
		text("wsa:To", addressing+"/role/anonymous"), elem("wsse:Security", timestamp))
}

// answer puts a body into an envelope.
func answer(status int, h header, body *node) wire.Answer {
	envelope := elem("soap:Envelope")
	envelope.attrs = ` xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="` + instance +
		`" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:wsa="` + addressing + `" xmlns:wsse="` + security + `" xmlns:wsu="` + utility + `"`
	envelope.add(h.nodes(), elem("soap:Body", body))
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>`)
	envelope.write(&b)
	return wire.Answer{Status: status, ContentType: ContentType, Body: b.Bytes()}
}
