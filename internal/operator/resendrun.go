package operator

import (
	"context"

	"onramp/internal/onramp"
	"onramp/internal/resend"
)

// StartResend starts a resend; see [resend.Desk.Start].
func (d *Desk) StartResend(ctx context.Context, r resend.Request) (resend.Run, error) {
	return audited(ctx, d, change{what: "resends.start", role: onramp.RoleOperate, object: r.Kind}, func(ctx context.Context) (resend.Run, error) {
		return d.Resends.Start(ctx, r)
	})
}

// CancelResend ends a resend; see [resend.Desk.Cancel].
func (d *Desk) CancelResend(ctx context.Context, id string) (resend.Run, error) {
	return audited(ctx, d, change{what: "resends.cancel", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (resend.Run, error) {
		return d.Resends.Cancel(ctx, id)
	})
}
