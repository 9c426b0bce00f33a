package api

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"onramp/internal/onramp"
	"onramp/internal/web"
	"onramp/internal/web/media"
)

// keepTyped leaves what a browser's form has sent in the request's PostForm, when the
// registration was refused: the page that tells why gives it back to the visitor, who
// need not type it again. Files are not kept. body is what was read so far.
func keepTyped(r *http.Request, body *bytes.Buffer) {
	declared := media.ParseType(r.Header.Get("Content-Type"))
	if !web.WantsPage(r) || !declared.IsForm() {
		return
	}
	if body.Len() == 0 { // refused before it was read; what can be had of it will do
		_ = web.ReadBody(r, body, maxBody)
	}
	inputs, err := readInputs(declared, body.Bytes())
	if err != nil || body.Len() > maxBody {
		r.PostForm = readable(declared, body.Bytes())
		return
	}
	r.PostForm = make(url.Values, len(inputs))
	for _, in := range inputs {
		if in.Value.Kind == onramp.Posted {
			r.PostForm.Add(in.Name, in.Value.Text)
		}
	}
}

// readable is what can be made out of a body that is damaged, or of which there is only
// the beginning; nil: nothing.
func readable(declared media.Type, body []byte) url.Values {
	if declared.Media != media.Form {
		return nil
	}
	if len(body) > maxBody { // it was cut off in the middle of a pair
		body = body[:max(bytes.LastIndexByte(body, '&'), 0)]
	}
	typed := url.Values{}
	for pair := range strings.SplitSeq(string(body), "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, err := url.QueryUnescape(value)
		if nameErr == nil && err == nil && len(typed) < maxInputs {
			typed.Add(name, strings.ToValidUTF8(value, "\ufffd"))
		}
	}
	return typed
}
