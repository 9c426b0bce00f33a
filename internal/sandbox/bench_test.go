package sandbox_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"onramp/internal/sandbox"
)

// load makes bodies of n rows whose keys have never been sent before.
type load struct {
	body []byte
	at   []int // where the number of a key begins
	next int
}

// keyDigits is the width of a key's number in a body.
const keyDigits = 9

// newLoad joins n copies of item between prefix and suffix. "000000000" in
// item is where a key's number stands; every one in a copy gets the same.
func newLoad(prefix, item, suffix string, n int) *load {
	l := &load{}
	items := strings.Repeat(","+item, n)[1:]
	l.body = []byte(prefix + items + suffix)
	mark := []byte(strings.Repeat("0", keyDigits))
	for from := 0; ; {
		i := bytes.Index(l.body[from:], mark)
		if i < 0 {
			return l
		}
		l.at = append(l.at, from+i)
		from += i + keyDigits
	}
}

// fresh is the next body; it is good until the next call. marks is how many
// numbers belong to one row.
func (l *load) fresh(marks int) []byte {
	for i, at := range l.at {
		if i%marks == 0 {
			l.next++
		}
		digits := strconv.AppendInt(nil, int64(1_000_000_000+l.next), 10)
		copy(l.body[at:], digits[1:])
	}
	return l.body
}

// nobody is a caller that throws the answer away.
type nobody struct {
	header http.Header
	status int
}

func (w *nobody) Header() http.Header         { return w.header }
func (w *nobody) WriteHeader(status int)      { w.status = status }
func (w *nobody) Write(b []byte) (int, error) { return len(b), nil }

// post sends a body without the cost of a recorder.
func post(b testing.TB, s *sandbox.Sandbox, method, target, auth string, body []byte) int {
	r, err := http.NewRequestWithContext(b.Context(), method, "http://127.0.0.1:8090"+target, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", auth)
	w := &nobody{header: http.Header{}}
	s.ServeHTTP(w, r)
	return w.status
}

const (
	tenValues = `"EmailAddress":"ana.000000000@example.org","FirstName":"Ana","LastName":"Díaz","OptInStatus":true,` +
		`"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"203.0.113.77",` +
		`"UserAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36","PageURL":"https://www.example.com/register?campaign=spring"`
	syncRow   = `{"keys":{"SubscriberKey":"u-000000000"},"values":{` + tenValues + `}}`
	asyncRow  = `{"SubscriberKey":"u-000000000",` + tenValues + `}`
	eventBody = `{"ContactKey":"u-000000000","EventDefinitionKey":"APIEvent-sandbox-welcome","Data":{` + tenValues + `}}`
	asyncPath = "/data/v1/async/dataextensions/key:Web_Registrations/rows"
)

// BenchmarkRows measures calls with rows of ten columns with new keys: the time
// and the memory that stays, of each row.
func BenchmarkRows(b *testing.B) {
	member := `{"contactKey":"u-000000000","data":{` + tenValues + `}}`
	for _, row := range []struct {
		name, method, target string
		load                 *load
		rows, status         int
	}{
		{"rowset of 50", "POST", rowset, newLoad("[", syncRow, "]", 50), 50, 200},
		{"rowset of 1", "POST", rowset, newLoad("[", syncRow, "]", 1), 1, 200},
		{"async of 4000", "PUT", asyncPath, newLoad(`{"items":[`, asyncRow, `]}`, 4000), 4000, 202},
		{"event", "POST", eventsPath, newLoad("", eventBody, "", 1), 1, 201},
		{"events of 100", "POST", "/interaction/v1/async/events", newLoad(`{"eventDefinitionKey":"APIEvent-sandbox-welcome","members":[`, member, `]}`, 100), 100, 202},
	} {
		b.Run(row.name, func(b *testing.B) {
			at := time.Date(2026, 6, 23, 14, 52, 45, 0, time.UTC)
			s := sandbox.New(sandbox.Config{Now: func() time.Time { at = at.Add(20 * time.Millisecond); return at }})
			auth := strings.TrimPrefix(authorize(b, s), "Authorization: ")
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.ReportAllocs()
			rows, total := 0, 0
			for b.Loop() {
				if rows == 0 || rows >= 400_000 { // no memory without end
					b.StopTimer()
					s.Reset()
					auth = strings.TrimPrefix(authorize(b, s), "Authorization: ")
					runtime.GC()
					runtime.ReadMemStats(&before)
					rows = 0
					b.StartTimer()
				}
				if total%20_000 < row.rows { // a fresh token now and then
					auth = strings.TrimPrefix(authorize(b, s), "Authorization: ")
				}
				if got := post(b, s, row.method, row.target, auth, row.load.fresh(2)); got != row.status {
					b.Fatal(got)
				}
				rows += row.rows
				total += row.rows
			}
			_ = s.Advance(time.Hour)
			_ = post(b, s, "GET", "/_sandbox/state?limit=0", auth, nil) // applies the last jobs
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*row.rows), "ns/row")
			if rows > 0 {
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(rows), "B/row")
			}
			runtime.KeepAlive(s)
		})
	}
}
