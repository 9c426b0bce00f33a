package api

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/multipart"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/web"
	"onramp/internal/web/media"
)

var (
	errNotMultipart = web.Malformed("the body is not valid multipart/form-data")
	errNotBase64    = web.Malformed("a part of the body is not valid base64")
	errTransfer     = &onramp.Error{Kind: onramp.Unsupported, Message: "a part's Content-Transfer-Encoding is not known; send 8bit, base64 or quoted-printable"}
)

// part is one field of a multipart/form-data body as it was sent.
type part struct {
	name, value string
	charset     string // its label, empty when the part has none of its own
	file        bool
}

// parseMultipart reads multipart/form-data (RFC 7578). No field takes a file. A part's
// own charset counts first, then the one that the form names, then the declared one.
func parseMultipart(body []byte, boundary string, charset media.Charset) ([]onramp.Input, error) {
	parts, err := readParts(body, boundary)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.name == media.CharsetField {
			charset = media.NamedCharset(p.value, charset)
		}
	}
	inputs := make([]onramp.Input, 0, len(parts))
	for _, p := range parts {
		input, err := p.input(charset)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, input)
	}
	return inputs, nil
}

// readParts takes a body apart.
func readParts(body []byte, boundary string) ([]part, error) {
	if boundary == "" {
		return nil, web.Malformed("the content type has no boundary")
	}
	var parts []part
	for reader := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		next, err := reader.NextPart() // undoes quoted-printable
		switch {
		case err == io.EOF:
			return parts, nil
		case err != nil:
			return nil, errNotMultipart
		case len(parts) == maxInputs:
			return nil, errLimited
		}
		read, err := readPart(next)
		if err != nil {
			return nil, err
		}
		parts = append(parts, read)
	}
}

func readPart(from *multipart.Part) (part, error) {
	p := part{
		name: from.FormName(), file: from.FileName() != "",
		charset: media.ParseType(from.Header.Get("Content-Type")).Charset,
	}
	value, err := io.ReadAll(from)
	if err != nil {
		return part{}, errNotMultipart
	}
	if p.file {
		return p, nil
	}
	switch strings.ToLower(strings.TrimSpace(from.Header.Get("Content-Transfer-Encoding"))) {
	case "", "7bit", "8bit", "binary":
	case "base64":
		if value, err = decodeBase64(value); err != nil {
			return part{}, errNotBase64
		}
	default:
		return part{}, errTransfer
	}
	p.value = string(value)
	return p, nil
}

// decodeBase64 reads base64 as MIME writes it: in lines, with or without padding.
func decodeBase64(text []byte) ([]byte, error) {
	text = bytes.Join(bytes.Fields(text), nil)
	return base64.RawStdEncoding.AppendDecode(nil, bytes.TrimRight(text, "="))
}

// input decodes the text of a part.
func (p *part) input(charset media.Charset) (onramp.Input, error) {
	name, err := charset.Value(p.name)
	if err != nil {
		return onramp.Input{}, err
	}
	if p.file {
		return onramp.Input{Name: name, Value: onramp.Scalar{Kind: onramp.Nested}}, nil
	}
	if p.charset != "" {
		if charset, err = media.FindCharset(p.charset); err != nil {
			return onramp.Input{}, err
		}
	}
	text, err := charset.Text([]byte(p.value))
	return onramp.Input{Name: name, Value: onramp.Scalar{Kind: onramp.Posted, Text: string(text)}}, err
}
