package api

import (
	"net/http"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// noStore is for answers that nobody may keep.
var noStore = []string{"no-store"}

// status is GET /v1/registrations/{id}: how far a registration is, and nothing else, for
// whoever knows its id, which can't be guessed. The pages that may submit its form may
// ask from a script; that there is no registration, all pages of a form may know.
func (p *Public) status(pages *pages, w http.ResponseWriter, r *http.Request) error {
	w.Header()["Cache-Control"] = noStore
	found, err := p.Store.FindRegistration(r.Context(), r.PathValue("id"))
	policy := pages.all
	if err == nil {
		policy = pages.of[found.Form]
	}
	if policy == nil { // the form is no more
		policy = pages.none
	}
	policy.HandlerFunc(w, r)
	if err != nil {
		return err
	}
	if form := p.Forms[found.Form]; form != nil && form.DoubleOptIn != nil && !found.Asked && found.State != onramp.RegistrationErased {
		found.State, found.Hold = onramp.RegistrationHeld, onramp.Hold{} // as it was answered: nobody is to learn who has confirmed before, or is under suspicion
	}
	return web.WriteJSON(w, http.StatusOK, struct {
		Status string `json:"status"`
	}{publicState(found.State, found.Hold).String()})
}
