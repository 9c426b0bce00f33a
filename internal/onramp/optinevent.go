package onramp

import (
	"encoding/json"
	"strings"
	"time"
)

// ConsentEvents are what some events mean for double opt-in.
type ConsentEvents struct {
	To        int64   // seq of the newest of them
	Waiting   []int64 // seqs of those whose person is not known yet, of earlier ones, too
	Withdrawn []Withdrawal
	Returned  []Returned
}

// Withdrawal is that a subscriber, a keyed hash, has withdrawn their consent to all forms.
type Withdrawal struct {
	Subscriber string
	At         time.Time
}

// Returned is a confirmation that came back: it could not be delivered, or whoever got it
// has unsubscribed from it or complained.
type Returned struct {
	DeliveryID string
	At         time.Time
	Bounced    bool // else it was complained about
}

// ConfirmationStatus is how the confirmations of a form are doing.
type ConfirmationStatus struct {
	Form       string         `json:"form"`
	Waiting    int64          `json:"waiting"`    // registrations that wait to be confirmed
	Asked      int64          `json:"asked"`      // confirmations of the last 24 hours
	Bounced    int64          `json:"bounced"`    // of these, as far as events tell
	Complained int64          `json:"complained"` // unsubscribed from or complained about; the same
	Limits     []LimitReached `json:"limits"`     // that have kept some back in the last hour
}

// LimitReached is a limit that keeps confirmations back.
type LimitReached struct {
	Name     string    `json:"name"`
	Since    time.Time `json:"since"`
	KeptBack int64     `json:"kept_back"` // confirmations since then
}

// IsUnsubscribe says whether the event tells that a subscriber has left.
func (e *Event) IsUnsubscribe() bool {
	return strings.HasSuffix(strings.ToLower(e.Type), "emailunsubscribe")
}

// IsHardBounce says whether the event tells that an address takes no mail at all.
func (e *Event) IsHardBounce() bool {
	if !strings.HasSuffix(strings.ToLower(e.Type), "emailbounced") {
		return false
	}
	var body struct {
		Info struct {
			BounceCode string `json:"bounceCode"`
			SMTPReason string `json:"smtpReason"`
		} `json:"info"`
	}
	_ = json.Unmarshal(e.Body, &body) // what has no such object is no hard bounce
	return strings.EqualFold(body.Info.BounceCode, "hard") || strings.HasPrefix(body.Info.SMTPReason, "5.")
}

// IsConfirmationID says whether the id of a delivery is that of a confirmation.
func IsConfirmationID(id string) bool {
	_, step, run, ok := ParseDeliveryID(id)
	return ok && step == 0 && run > 0
}
