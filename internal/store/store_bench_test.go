package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/store"
)

// specForm is the registration form of the specification, section 2.2.
func specForm() onramp.Form {
	return onramp.Form{
		Name: "registration",
		Fields: []onramp.Field{
			{Name: "email", Column: "EmailAddress", Type: onramp.Email, Required: true},
			{Name: "first_name", Column: "FirstName"},
		},
		Route: []onramp.Destination{
			{Kind: onramp.DataExtension, Key: "Web_Registrations", KeyColumns: []string{"SubscriberKey"}},
			{Kind: onramp.Journey, Key: "APIEvent-1", KeyColumns: []string{"SubscriberKey"}},
		},
	}
}

func BenchmarkSaveRegistration(b *testing.B) {
	for _, keyed := range []bool{false, true} {
		b.Run(fmt.Sprintf("keyed=%v", keyed), func(b *testing.B) {
			ctx := context.Background()
			s, err := store.Open(ctx, store.Config{URL: filepath.Join(b.TempDir(), "onramp.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			forms, err := s.RegisterForms(ctx, []onramp.Form{specForm()})
			if err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, err := forms[0].Accept(onramp.Submission{
						ReceivedAt: time.Now(),
						Inputs:     []onramp.Input{{Name: "email", Value: onramp.Scalar{Kind: onramp.String, Text: "user@example.com"}}},
					})
					if err != nil {
						b.Error(err)
					}
					var key onramp.IdempotencyKey
					if keyed {
						key = onramp.NewIdempotencyKey("registration", r.ID, r.Values)
					}
					if _, err := s.SaveRegistration(ctx, &r, key, false); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(s.Commits())/float64(b.N), "commits/op")
		})
	}
}
