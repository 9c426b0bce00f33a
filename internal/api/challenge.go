package api

import (
	"net/http"

	"onramp/internal/web"
)

// challenge is GET /v1/forms/{form}/challenge: a task for the visitor's browser, as the
// ALTCHA widget reads it, and when the page was loaded. Each is for one registration.
func (p *Public) challenge(w http.ResponseWriter, r *http.Request) error {
	form := p.Forms[r.PathValue("form")]
	if form == nil {
		return errNoForm
	}
	web.Annotate(w, web.Note{Form: form.Name})
	guard := p.Screen.Guard(form.Name)
	if guard == nil || !guard.HasChallenges() {
		return web.NotFound(w, r)
	}
	c, err := guard.Challenge()
	if err != nil {
		return err
	}
	w.Header()["Cache-Control"] = noStore
	return web.WriteJSON(w, http.StatusOK, c)
}
