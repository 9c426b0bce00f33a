package onramp_test

import (
	"testing"

	"onramp/internal/onramp"
)

// What the registration of the specification costs before it is stored.
func BenchmarkAccept(b *testing.B) {
	form := onramp.NewForm(onramp.Form{Name: "registration", Fields: []onramp.Field{
		{Name: "email", Column: "EmailAddress", Type: onramp.Email, Required: true, Max: 254},
		{Name: "first_name", Column: "FirstName", Max: 100},
		{Name: "last_name", Column: "LastName", Max: 100},
		{Name: "opt_in", Column: "OptInStatus", Type: onramp.Boolean},
		{Column: "RegistrationTimestamp", From: onramp.FromReceivedAt},
		{Column: "IPAddress", From: onramp.FromIP},
		{Column: "UserAgent", From: onramp.FromUserAgent, Max: 255},
	}}, "secret")
	for name, first := range map[string]string{"ASCII": "Jane", "Latin": "José"} {
		s := onramp.Submission{
			Inputs: []onramp.Input{
				{Name: "email", Value: text("user@example.com")},
				{Name: "first_name", Value: text(first)},
				{Name: "last_name", Value: text("Doe")},
				{Name: "opt_in", Value: yes},
			},
			ReceivedAt: receivedAt, IP: "192.0.2.1", UserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := form.Accept(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
