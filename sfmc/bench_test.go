package sfmc_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"onramp/sfmc"
)

// benchRows are 50 rows of 10 columns, as a gateway has them: the values are
// JSON already.
func benchRows(b *testing.B) []sfmc.Row {
	b.Helper()
	rows := make([]sfmc.Row, 50)
	for i := range rows {
		values := json.RawMessage(fmt.Sprintf(`{"EmailAddress":"ana.%d@example.org","FirstName":"Ana","LastName":"Żółć",`+
			`"Phone":"+48 600 100 %03d","OptInStatus":true,"Age":41,"Country":"PL","RegistrationTimestamp":"2026-06-23T14:52:45Z",`+
			`"PageURL":"https://www.example.org/offers?campaign=spring&x=%d"}`, i, i, i))
		rows[i] = sfmc.Row{Keys: map[string]any{"SubscriberKey": fmt.Sprintf("u-%d", i)}, Values: values}
	}
	return rows
}

// echo answers with the request's body, as Marketing Cloud does, at no cost of a
// network.
func echo(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	return &http.Response{
		StatusCode:    200,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}, err
}

func BenchmarkRows(b *testing.B) {
	rows := benchRows(b)
	c := sfmc.NewClient(fixed("token-1"), sfmc.WithOrigin("http://127.0.0.1"), sfmc.WithHTTPClient(&http.Client{Transport: roundTrip(echo)}))
	b.Run("UpsertRows", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.UpsertRows(b.Context(), "DE1", rows); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("StoreRows", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.StoreRows(b.Context(), "DE1", rows); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// accept answers as Marketing Cloud does to an asynchronous request.
func accept(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: 202, Body: io.NopCloser(strings.NewReader(`{"requestId":"r","resultMessages":[]}`))}, err
}

func BenchmarkUpsertRowsAsync(b *testing.B) {
	some, rows := benchRows(b), make([]any, 5000)
	for i := range rows {
		rows[i] = some[i%len(some)].Values
	}
	c := sfmc.NewClient(fixed("token-1"), sfmc.WithOrigin("http://127.0.0.1"), sfmc.WithHTTPClient(&http.Client{Transport: roundTrip(accept)}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.UpsertRowsAsync(b.Context(), "DE1", rows); err != nil {
			b.Fatal(err)
		}
	}
}
