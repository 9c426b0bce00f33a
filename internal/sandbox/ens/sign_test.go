package ens_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox/ens"
)

// Vectors computed with another implementation of HMAC-SHA256, with the key that
// the vendor publishes.
func TestSign(t *testing.T) {
	t.Parallel()
	const key = "V27FXfqI3DnhfQW1bhFDeJixpt8eDAY5R24UJI3cK6M="
	for _, row := range []struct{ body, decoded, raw string }{
		{`[{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":1700000000000}]`, "OjqRmP+L0Iorn3On43iook8HCBnNKOCt8Wm9JNLpDfg=", "Be4RGE+lXMmN3+i9e2Rw5ipTHC4bHa9oqMncBkZYS5Y="},
		{`[{"eventCategoryType":"TransactionalSendEvents.SmsDelivered"}]`, "vXcPKkWlJ3RSEynlUJLPMaAyD/F/SCDAvUYnu7GKHD8=", "CZXJQ6IjxUUJdlPPghLuXtklikGNnJfj1JRzDOq+g+s="},
	} {
		got := []string{ens.Sign(key, false, []byte(row.body)), ens.Sign(key, true, []byte(row.body))}
		if diff := cmp.Diff([]string{row.decoded, row.raw}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.body, diff)
		}
	}
}
