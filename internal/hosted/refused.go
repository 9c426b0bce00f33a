package hosted

import (
	"net/http"
	"strconv"

	"onramp/internal/hosted/texts"
	"onramp/internal/onramp"
	"onramp/internal/web"
)

// Failed answers a browser's plain form post that was refused with the form, what was
// typed and what is wrong with it. What was typed is the request's PostForm, where
// package api leaves it. It says whether the request was from a browser.
func (p *Pages) Failed(w http.ResponseWriter, r *http.Request, e *onramp.Error) bool {
	if !web.WantsPage(r) {
		return false
	}
	web.PrepareError(w, e)
	page := p.forms[r.PathValue("form")]
	if page == nil || r.Method != http.MethodPost {
		v := p.strangers.view(r)
		v.Heading, v.Problems = v.Text("not_found"), []string{v.Text("not_found_text")}
		if e.Kind != onramp.NotFound {
			v.Heading, v.Problems = texts.Fill(v.Text("title_error"), "title", strconv.Itoa(web.Status(e.Kind))), []string{v.Text("refused_other")}
		}
		v.Title = v.Heading
		return p.write(w, web.Status(e.Kind), v) == nil
	}
	v := page.view(r)
	v.askAgain(r.PostForm, r.Referer())
	v.blame(e)
	return p.write(w, web.Status(e.Kind), v) == nil
}

// blame tells what was wrong: at each input that was, and in a list over the form.
func (v *view) blame(e *onramp.Error) {
	v.Title = texts.Fill(v.Text("title_error"), "title", v.Heading)
	for _, f := range e.Fields {
		found := false
		for i := range v.Inputs {
			in := &v.Inputs[i]
			if in.Name != f.Field {
				continue
			}
			found = true
			if in.Problem == "" {
				in.Problem = v.problem(in, f.Code)
			}
		}
		if !found {
			v.Problems = append(v.Problems, texts.Fill(v.Text("error_unknown"), "field", f.Field))
		}
	}
	if len(e.Fields) == 0 {
		v.Problems = append(v.Problems, v.Text(refusalOf(e.Kind)))
	}
	for i := range v.Inputs {
		in := &v.Inputs[i]
		if in.Problem == "" {
			continue
		}
		if in.Kind == unseen { // no visitor can mend it there
			v.Problems = append(v.Problems, in.Plain+": "+in.Problem)
			continue
		}
		in.Focus = len(v.Wrong) == 0
		v.Wrong = append(v.Wrong, wrong{in.First(), in.Plain, in.Problem})
	}
}

// problem says what is wrong with an input. Codes that are not known here are told in
// general words.
func (v *view) problem(in *input, code string) string {
	key := "error_" + code
	if code == "required" {
		switch {
		case in.Kind == box:
			key = "error_required_box"
		case in.Options != nil:
			key = "error_required_choice"
		case in.field.Type == onramp.Email:
			key = "error_required_email"
		}
	}
	if code == "surrogate" {
		key = "error_text"
	}
	text := v.Text(key)
	if text == "" {
		text = v.Text("error_value")
	}
	limit := in.Max
	if limit == 0 {
		limit = onramp.MaxText
	}
	return texts.Fill(text, "max", strconv.Itoa(limit))
}

// refusalOf is the text for an error that no field is to blame for.
func refusalOf(k onramp.Kind) string {
	switch k {
	case onramp.Unavailable, onramp.Limited:
		return "refused_unavailable"
	case onramp.Forbidden:
		return "refused_forbidden"
	case onramp.TooLarge:
		return "refused_too_large"
	case onramp.Malformed, onramp.Unsupported:
		return "refused_unreadable"
	}
	return "refused_other"
}
