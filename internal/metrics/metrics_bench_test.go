package metrics_test

import (
	"testing"
	"time"

	"onramp/internal/metrics"
	"onramp/internal/web"
)

// What a registration costs.
func BenchmarkAnswered(b *testing.B) {
	m := metrics.New("test", nil)
	a := web.Answer{Part: "public", Route: "POST /v1/forms/{form}/registrations", Form: "registration", Status: 202, Took: 3 * time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		m.Answered(a)
	}
}
