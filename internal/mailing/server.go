// Package mailing sends confirmations by a mail server, over SMTP. Use ParseServer, then New:
// the Sender makes of each delivery one mail, and of each answer an outcome.
package mailing

import (
	"errors"
	"net"
	"net/url"

	"onramp/internal/listen"
	"onramp/internal/onramp"
)

// Server is a mail server.
type Server struct {
	Host, Port     string
	TLS            bool // from the start; else by STARTTLS
	User, Password string
}

var errServer = errors.New("must be a URL such as smtps://user:password@mail.example.com:465, or smtp://… with port 587 for STARTTLS; " +
	"percent-encode characters such as @ and / in user and password")

// ParseServer reads the URL of a mail server. Its error repeats nothing of it.
func ParseServer(address onramp.Secret) (Server, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return Server{}, errServer
	}
	s := Server{Host: u.Hostname(), Port: u.Port(), TLS: u.Scheme == "smtps", User: u.User.Username()}
	s.Password, _ = u.User.Password()
	switch {
	case u.Scheme != "smtps" && u.Scheme != "smtp", (s.User == "") != (s.Password == ""):
		return Server{}, errServer
	case s.Port == "" && s.TLS:
		s.Port = "465"
	case s.Port == "":
		s.Port = "587"
	}
	return s, nil
}

func (s Server) address() string { return net.JoinHostPort(s.Host, s.Port) }

// isHere says that what is sent does not leave this machine.
func (s Server) isHere() bool { return s.Host == "localhost" || listen.IsLoopback(s.address()) }

// Destination is where the pump delivers what is for the mail server.
func Destination() onramp.Destination {
	return onramp.Destination{Kind: onramp.SMTP, Key: "confirmation"}
}
