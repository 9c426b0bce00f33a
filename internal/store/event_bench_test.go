package store_test

import (
	"fmt"
	"strings"
	"testing"

	"onramp/internal/onramp"
)

// BenchmarkSaveEvents stores batches of a thousand events, each one new.
func BenchmarkSaveEvents(b *testing.B) {
	w := newWorld(b, sqliteEngine)
	w.withEvents()
	const batch = 1000
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		events := make([]onramp.Event, batch)
		for i := range events {
			n++
			body := fmt.Sprintf(`{"eventCategoryType":%q,"timestampUTC":%d,"compositeId":"0f3c0000-0000-4000-8000-00000000009d.501.77.3.%d",`+
				`"composite":{"jobId":"501","batchId":"%d","listId":"77","subscriberId":"%d","emailId":"12"},"definitionKey":"welcome","definitionId":"0f3c0000-0000-4000-8000-00000000009d",`+
				`"mid":510000001,"eid":510000001,"sendClassificationType":"Operational","info":{"to":"person%d@example.org","subscriberKey":"person%d@example.org","messageKey":"%s","status":"Sent","renderedSubject":"Welcome"}}`,
				sentType, 1767614400000+n/20, n, n/10, n*7919%1000003, n, n, strings.Repeat("m", 36))
			events[i] = onramp.ReadEvent([]byte(body))
			events[i].Callback, events[i].ReceivedAt = "events", w.clock.now()
		}
		if stored, err := w.s.SaveEvents(b.Context(), "events", events); err != nil || stored != batch {
			b.Fatal(stored, err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
