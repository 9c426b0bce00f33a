package account

import (
	"time"

	"onramp/internal/sandbox/table"
)

// SubscriberKey, SubscriberID and SubscriberEmail are what a sendable data extension's
// field can be related to, as REST writes them and SOAP reads them back. SOAP writes them
// "Subscriber Key", "Subscriber ID" and "Email Address"; REST knows the first two.
// Undocumented: how the last reads back.
const (
	SubscriberKey   = "_SubscriberKey"
	SubscriberID    = "_SubscriberID"
	SubscriberEmail = "_EmailAddress"
)

// Extension is a data extension: its columns and rows, and what is known of it besides.
type Extension struct {
	*table.Table // another one when the columns have changed

	Description     string
	Category        int64 // the folder
	Sendable        bool
	Testable        bool
	SendableField   string // the column of the send relationship
	SubscriberField string // SubscriberKey, SubscriberID or SubscriberEmail
	Retention       Retention

	Created, Modified time.Time
	Indexed           time.Time // when a search by REST finds it; the zero time: at once
}

// Retention says when rows, or the whole data extension, are deleted. The sandbox
// deletes none. Its JSON names are those of the vendor's REST API.
type Retention struct {
	Period        int       `json:"dataRetentionPeriodLength,omitempty"`
	Unit          string    `json:"dataRetentionPeriodUnitOfMeasure,omitempty"` // Days, Weeks, Months or Years
	Rows          bool      `json:"isRowBasedRetention"`
	DeleteAtEnd   bool      `json:"isDeleteAtEndOfRetentionPeriod"`
	ResetOnImport bool      `json:"isResetRetentionPeriodOnImport"`
	Until         time.Time `json:"retainUntil,omitzero"`
}

// SetColumns changes the columns; rows keep what they have in columns that stay, and get
// the defaults of new ones.
func (e *Extension) SetColumns(columns []table.Column, now time.Time) {
	old := e.Table
	e.Table = table.New(old.ID, old.Key, old.Name, columns)
	e.RefusesUnknown = old.RefusesUnknown
	for _, row := range old.Rows {
		sent := table.SentRow{Cells: make([]table.Value, len(old.Columns))}
		for i := range sent.Cells {
			sent.Cells[i], row = row.Next()
		}
		r := e.Moved(old, sent)
		e.Save(&r, now)
	}
}

// Fit makes rows that were read for a table fit the data extension as it is now.
func (e *Extension) Fit(read *table.Table, rows []table.SentRow) {
	if read == e.Table {
		return
	}
	for i := range rows {
		rows[i] = e.Moved(read, rows[i])
	}
}

// Clear takes all rows away.
func (e *Extension) Clear() {
	refuses := e.RefusesUnknown
	e.Table = table.New(e.ID, e.Key, e.Name, e.Columns)
	e.RefusesUnknown = refuses
}
