package mailing

import (
	"errors"
	"net/smtp"
	"strings"
)

// auth finds how to authenticate: PLAIN, or LOGIN, which some servers offer alone.
func (s *Sender) auth(client *smtp.Client) (smtp.Auth, error) {
	_, offered := client.Extension("AUTH")
	server := s.cfg.Server
	mechanisms := strings.Fields(strings.ToUpper(offered))
	has := func(name string) bool {
		for _, m := range mechanisms {
			if m == name {
				return true
			}
		}
		return false
	}
	switch {
	case has("PLAIN"):
		return smtp.PlainAuth("", server.User, server.Password, server.Host), nil
	case has("LOGIN"):
		return &login{server}, nil
	}
	return nil, errNoAuth
}

// login is the mechanism LOGIN: the server asks for the user, then for the password.
type login struct{ server Server }

var errInClear = errors.New("the connection is not secure")

// Start begins; a password is never sent in clear to another machine.
func (l *login) Start(info *smtp.ServerInfo) (string, []byte, error) {
	if !info.TLS && !l.server.isHere() {
		return "", nil, errInClear
	}
	return "LOGIN", nil, nil
}

// Next answers a question.
func (l *login) Next(question []byte, more bool) ([]byte, error) {
	switch {
	case !more:
		return nil, nil
	case strings.HasPrefix(strings.ToLower(string(question)), "user"):
		return []byte(l.server.User), nil
	}
	return []byte(l.server.Password), nil
}
