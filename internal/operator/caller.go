package operator

import (
	"context"
	"slices"

	"onramp/internal/onramp"
)

// Caller is who works at the Desk.
type Caller struct {
	Name  string // of the token
	Roles []onramp.Role
}

type callerKey struct{}

// WithCaller says for whom the methods of the Desk work. Without a caller they show no personal
// values, and change nothing.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerOf is who works at the Desk; the zero value: nobody.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Has says whether the caller has a role.
func (c Caller) Has(role onramp.Role) bool {
	return slices.Contains(c.Roles, role) || role == onramp.RoleRead && len(c.Roles) > 0
}

// Require returns an error of kind Forbidden that names the role, unless the caller has it.
func (c Caller) Require(role onramp.Role) error {
	if c.Has(role) {
		return nil
	}
	name := c.Name
	if name == "" {
		name = "without a name"
	}
	return &onramp.Error{Kind: onramp.Forbidden, Message: "the token " + name + " lacks the role " + string(role) + ", which this needs: give it the role in admin.tokens, or use another token"}
}
