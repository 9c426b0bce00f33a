package onramp_test

import (
	"testing"

	"onramp/internal/onramp"
)

func TestUsesClient(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		callback onramp.Callback
		want     bool
	}{
		"the one it names":    {onramp.Callback{Auth: onramp.ClientCredentials, Client: "mc"}, true},
		"names another":       {onramp.Callback{Auth: onramp.PasswordGrant, Client: "other"}, false},
		"names none":          {onramp.Callback{Auth: onramp.ClientCredentials}, true},
		"has no token at all": {onramp.Callback{Auth: onramp.SignatureOnly}, false},
	} {
		if got := row.callback.UsesClient("mc"); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
