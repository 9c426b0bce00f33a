package operator

import (
	"fmt"
	"time"
)

// Surge is that a form gets far more submissions than usual.
type Surge struct {
	Form  string    `json:"form"`
	Since time.Time `json:"since"`
	Peak  int       `json:"peak"`            // submissions in a minute since then
	Usual *int      `json:"usual,omitempty"` // the most in a minute at about this time of the week; nil: not known yet
}

// Explain tells it in one line.
func (s *Surge) Explain() string {
	text := fmt.Sprintf("up to %d submissions in a minute since %s", s.Peak, s.Since.UTC().Format("2006-01-02 15:04:05 UTC"))
	if s.Usual == nil {
		return text + ", more than the form's limit allows"
	}
	return fmt.Sprintf("%s; usually at most %d at this time of the week", text, *s.Usual)
}
