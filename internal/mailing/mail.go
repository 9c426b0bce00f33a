package mailing

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
	"unicode"
)

// Mail is what one person gets.
type Mail struct {
	ID        string // of the delivery: a repeat has the same Message-ID
	To        string // email address
	Language  string
	RightLeft bool   // the language is written from right to left
	Subject   string // the texts are plain, of one paragraph each
	Text      string
	Button    string // what the link says
	Link      string
	Ignore    string // what is to be done by whoever has not registered
	Values    []string
}

var page = template.Must(template.New("mail").Parse(`<!doctype html>
<html lang="{{.Language}}"{{if .RightLeft}} dir="rtl"{{end}}>
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>{{.Subject}}</title></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 32rem">
{{range .Values}}<p>{{.}}</p>
{{end}}<p>{{.Text}}</p>
<p><a href="{{.Link}}">{{.Button}}</a></p>
<p>{{.Ignore}}</p>
</body>
</html>
`))

// encode writes the mail as RFC 5322 and MIME have it.
func (m *Mail) encode(from *mail.Address, now time.Time) ([]byte, error) {
	var html bytes.Buffer
	if err := page.Execute(&html, m); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(m.ID))
	boundary := "=_" + hex.EncodeToString(sum[:12])
	var b bytes.Buffer
	for _, header := range [][2]string{
		{"From", from.String()},
		{"To", (&mail.Address{Address: m.To}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(m.Subject))},
		{"Date", now.UTC().Format(time.RFC1123Z)},
		{"Message-ID", m.messageID(from)},
		{"Content-Language", oneLine(m.Language)},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", `multipart/alternative; boundary="` + boundary + `"`},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", header[0], header[1])
	}
	paragraphs := append(append([]string(nil), m.Values...), m.Text, m.Link, m.Ignore)
	for i := range paragraphs {
		paragraphs[i] = oneLine(paragraphs[i])
	}
	for _, part := range [][2]string{{"text/plain", strings.Join(paragraphs, "\n\n") + "\n"}, {"text/html", html.String()}} {
		fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary, part[0])
		w := quotedprintable.NewWriter(&b)
		if _, err := w.Write([]byte(part[1])); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return b.Bytes(), nil
}

// messageID is the same for each try of a delivery, so that a repeat can be told.
func (m *Mail) messageID(from *mail.Address) string {
	_, domain, _ := strings.Cut(from.Address, "@")
	return "<" + m.ID + "@" + domain + ">"
}

// oneLine has nothing in a text that could end a header.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
