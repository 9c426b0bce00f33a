package operator

import (
	"context"

	"onramp/internal/onramp"
)

// Reminder is what became of asking a person once more.
type Reminder struct {
	Sent  bool   `json:"sent"`
	Limit string `json:"limit,omitempty"` // that has kept the confirmation back
}

// RemindRegistration asks the person of a held registration once more to confirm it, within the
// limits of its form. One that was held under suspicion waits for its person from then on. The
// error is of kind NotFound, or Conflict when it doesn't wait to be confirmed.
func (d *Desk) RemindRegistration(ctx context.Context, id string) (Reminder, error) {
	return audited(ctx, d, change{what: "registrations.remind", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (Reminder, error) {
		return d.remindRegistration(ctx, id)
	})
}

func (d *Desk) remindRegistration(ctx context.Context, id string) (Reminder, error) {
	if d.Confirmations == nil {
		return Reminder{}, &onramp.Error{Kind: onramp.Conflict, Message: "no form has double_opt_in: registrations need not be confirmed"}
	}
	limit, err := d.Confirmations.Send(ctx, id, "")
	if err != nil {
		return Reminder{}, err
	}
	d.Log.InfoContext(ctx, "a person was asked again to confirm", "registration_id", id, "limit", limit.Name)
	return Reminder{Sent: limit.Name == "", Limit: limit.Name}, nil
}

// confirmations tells how the confirmations of each form are doing.
func (d *Desk) confirmations() []onramp.ConfirmationStatus {
	if d.Confirmations == nil {
		return nil
	}
	return d.Confirmations.Status()
}
