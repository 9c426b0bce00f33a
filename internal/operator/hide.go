package operator

import (
	"context"
	"encoding/json"

	"onramp/internal/onramp"
)

// hidden stands for a personal value that the caller may not see.
const hidden = "hidden"

var hiddenObject = json.RawMessage(`{}`)

// hide leaves out what is personal.
func (v *Registration) hide() {
	v.SubscriberKey, v.Fields, v.Values = hidden, hiddenObject, nil
	hideEdits(v.Edits)
	for i := range v.Deliveries {
		v.Deliveries[i].hide()
	}
}

func hideEdits(edits []Edit) {
	for i := range edits {
		edits[i].SubscriberKey, edits[i].Values = hidden, hiddenObject
	}
}

func (v *Delivery) hide() {
	v.SubscriberKey, v.Fields, v.Values = hidden, nil, nil
	hideEdits(v.Edits)
	for i := range v.Attempts {
		a := &v.Attempts[i]
		a.Request, a.Answer = hideText(a.Request), hideText(a.Answer)
	}
	for i := range v.LaterSteps {
		v.LaterSteps[i].hide()
	}
}

func hideText(text string) string {
	if text == "" {
		return ""
	}
	return hidden
}

func (v *Event) hide() {
	v.SubscriberKey, v.Send, v.Body = hideText(v.SubscriberKey), hideText(v.Send), hiddenObject
	for i := range v.Deliveries {
		v.Deliveries[i].hide()
	}
}

// hider is a view with personal values.
type hider[T any] interface {
	*T
	hide()
}

// shown is a view as the caller may see it.
func shown[T any, P hider[T]](ctx context.Context, d *Desk, r reveal, v T, err error) (T, error) {
	if err == nil && !d.reveals(ctx, r) {
		P(&v).hide()
	}
	return v, err
}

// shownAgain is the same for the view that a change answers with: its line in the audit log has the object.
func shownAgain[T any, P hider[T]](ctx context.Context, v T, err error) (T, error) {
	if err == nil && !callerOf(ctx).Has(onramp.RolePrivacy) {
		P(&v).hide()
	}
	return v, err
}

// shownPage is the same for a page.
func shownPage[T any, P hider[T]](ctx context.Context, d *Desk, r reveal, page Page[T], err error) (Page[T], error) {
	if err == nil && len(page.Items) > 0 && !d.reveals(ctx, r) {
		for i := range page.Items {
			P(&page.Items[i]).hide()
		}
	}
	return page, err
}

// maySearch says why the caller may not search in values: the answers would tell them.
func maySearch(ctx context.Context, query string) error {
	if query == "" {
		return nil
	}
	return callerOf(ctx).Require(onramp.RolePrivacy)
}
