package sfmctest

import "time"

// State is everything that a server holds.
type State struct {
	// Clock is the time on the server's clock.
	Clock time.Time `json:"clock"`
	// DataExtensions, Journeys and MessageDefinitions are those of the business unit
	// AccountID: by external key, by event definition key, and by definition key.
	DataExtensions     map[string]DataExtension     `json:"data_extensions"`
	Journeys           map[string]Journey           `json:"journeys"`
	MessageDefinitions map[string]MessageDefinition `json:"message_definitions"`
	// BusinessUnits are the others, by MID.
	BusinessUnits map[string]UnitState `json:"business_units"`
	// Subscribers are those in the list of all subscribers of the business unit AccountID,
	// oldest first.
	Subscribers []Subscriber `json:"subscribers"`
	// Messages are the transactional messages that were sent, oldest first.
	Messages []Message `json:"messages"`
	// Contacts are the persons of the enterprise, oldest first, and ContactOperations what
	// deletes them or restricts their processing.
	Contacts          []Person           `json:"contacts"`
	ContactOperations []ContactOperation `json:"contact_operations"`
	// Jobs are the asynchronous inserts and upserts that are remembered, oldest first.
	// Rows of a job that is not complete are in no data extension yet.
	Jobs []Job `json:"jobs"`
	// Tokens are the access tokens given out, oldest first.
	Tokens []Token `json:"tokens"`
	// Callbacks and Subscriptions are those of the Event Notification Service, in order
	// of creation; Deliveries are the newest requests with events, oldest first.
	Callbacks     []Callback     `json:"callbacks"`
	Subscriptions []Subscription `json:"subscriptions"`
	Deliveries    []Delivery     `json:"deliveries"`
	// Calls counts the calls by route, as "POST /v2/token"; those to no route are together
	// under "(unknown route)".
	Calls map[string]int `json:"calls"`
	// Faults are those still set, with the calls and the time that they have left.
	Faults []Fault `json:"faults"`
	// Totals count everything, also what is no longer in the lists.
	Totals Totals `json:"totals"`
}

// UnitState is what a business unit holds: data extensions by external key, journeys by
// event definition key, message definitions by definition key, and subscribers, oldest
// first.
type UnitState struct {
	DataExtensions     map[string]DataExtension     `json:"data_extensions"`
	Journeys           map[string]Journey           `json:"journeys"`
	MessageDefinitions map[string]MessageDefinition `json:"message_definitions"`
	Subscribers        []Subscriber                 `json:"subscribers,omitempty"`
	Totals             UnitTotals                   `json:"totals"`
}

// UnitTotals are the numbers of rows, by the data extension's external key, and of entries
// into journeys, by event definition key.
type UnitTotals struct {
	Rows     map[string]int `json:"rows"`
	Contacts map[string]int `json:"contacts"`
}

// Contact is one entry of a contact into a journey.
type Contact struct {
	ContactKey      string    `json:"contact_key"`
	EventInstanceID string    `json:"event_instance_id"` // what the call answered
	At              time.Time `json:"at"`
	// Data is what the event carried, under the columns' exact names and with the primary
	// key filled in. Numbers are json.Number.
	Data map[string]any `json:"data"`
}

// Subscriber is a person in the list of all subscribers of a business unit, which SOAP
// changes.
type Subscriber struct {
	ID           int64     `json:"id"`
	Key          string    `json:"key"`
	Email        string    `json:"email"`
	Status       string    `json:"status"` // Active, Unsubscribed, Held or Bounced
	Format       string    `json:"format"` // HTML or Text
	Created      time.Time `json:"created_at"`
	Modified     time.Time `json:"modified_at"`
	Unsubscribed time.Time `json:"unsubscribed_at,omitzero"` // zero: never
}

// Person is a contact of the enterprise: an event of a journey, a message, a new subscriber
// and the contacts API make one; a row of a data extension alone does not.
type Person struct {
	ID         int64     `json:"id"`
	Key        string    `json:"key"`
	Email      string    `json:"email"` // the newest that is known; "" when none is
	Created    time.Time `json:"created_at"`
	Restricted bool      `json:"restricted"` // its processing is
}

// ContactOperation deletes contacts, or restricts their processing, a while after it was
// asked for.
type ContactOperation struct {
	ID            int64     `json:"id"`
	RequestID     string    `json:"request_id"`
	MID           string    `json:"mid"`                      // of the business unit that asked for it
	DataExtension string    `json:"data_extension,omitempty"` // that names the contacts; "" when the call did
	Restrict      bool      `json:"restrict"`                 // else it deletes
	Keys          []string  `json:"keys"`                     // of the contacts
	Began         time.Time `json:"began_at"`
	Due           time.Time `json:"due_at"`
	Found         int       `json:"found"` // contacts that there were, once it is done
	Done          bool      `json:"done"`  // from Due on
	Retries       int       `json:"retries"`
}

// Message is a transactional message that was sent.
type Message struct {
	MessageKey    string `json:"message_key"`
	DefinitionKey string `json:"definition_key"`
	ContactKey    string `json:"contact_key"`
	To            string `json:"to"`
	// Attributes are the call's and the recipient's, which win. Numbers are json.Number.
	Attributes map[string]any `json:"attributes"`
	At         time.Time      `json:"at"`
	RequestID  string         `json:"request_id"` // what the call answered
}

// Job is an asynchronous insert or upsert.
type Job struct {
	RequestID     string    `json:"request_id"`
	DataExtension string    `json:"data_extension"` // external key
	Insert        bool      `json:"insert"`         // else an upsert
	Status        string    `json:"status"`         // Pending, Executing or Complete
	Rows          int       `json:"rows"`
	FailedRows    int       `json:"failed_rows"` // 0 until it is complete
	SubmittedAt   time.Time `json:"submitted_at"`
	CompleteAt    time.Time `json:"complete_at"`
}

// Token is an access token.
type Token struct {
	Token     string    `json:"token"` // its end only
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Scope     string    `json:"scope"` // space-separated
	ClientID  string    `json:"client_id"`
}

// Callback is a callback of the Event Notification Service, with what is on its way to it.
type Callback struct {
	CallbackID     string     `json:"callback_id"`
	Name           string     `json:"name"`
	URL            string     `json:"url"`
	AuthID         string     `json:"auth_id"` // of its authentication scheme
	MaxBatchSize   int        `json:"max_batch_size"`
	Status         string     `json:"status"`      // verified or unverified
	Queued         int        `json:"queued"`      // events on their way
	Deferred       int        `json:"deferred"`    // batches among them that were not taken and will be sent again
	NextAt         *time.Time `json:"next_at"`     // of the next batch
	Sent           int        `json:"sent"`        // batches that were taken
	SentEvents     int        `json:"sent_events"` // the events in them
	Failed         int        `json:"failed"`      // requests that were not taken
	Dropped        int        `json:"dropped"`     // events that were given up
	SuspendedUntil *time.Time `json:"suspended_until"`
	LastAt         *time.Time `json:"last_at"`
	LastStatus     int        `json:"last_status"`  // HTTP status of the last request; 0: it had no answer
	LastProblem    string     `json:"last_problem"` // why it had none
}

// Subscription is a subscription to events.
type Subscription struct {
	SubscriptionID string    `json:"subscription_id"`
	Name           string    `json:"name"`
	CallbackID     string    `json:"callback_id"`
	Types          []string  `json:"types"`
	Filters        []string  `json:"filters"` // name=value
	Status         string    `json:"status"`  // active or paused
	StatusReason   string    `json:"status_reason"`
	ActiveFrom     time.Time `json:"active_from"` // until then it is as it was before the last change
}

// Delivery is a request with events.
type Delivery struct {
	At       time.Time `json:"at"`
	Callback string    `json:"callback"` // name
	Events   int       `json:"events"`
	Bytes    int       `json:"bytes"`
	Status   int       `json:"status"`  // 0: there was no answer
	Problem  string    `json:"problem"` // why there was none
}

// Totals are the numbers of things in a server.
type Totals struct {
	Rows          map[string]int `json:"rows"`     // by the data extension's external key
	Contacts      map[string]int `json:"contacts"` // entries, by event definition key
	Persons       int            `json:"persons"`  // contacts of the enterprise
	Messages      int            `json:"messages"`
	Jobs          int            `json:"jobs"`
	Tokens        int            `json:"tokens"`
	Callbacks     int            `json:"callbacks"`
	Subscriptions int            `json:"subscriptions"`
	Deliveries    int            `json:"deliveries"` // requests with events
	Coming        int            `json:"coming"`     // events that are still to happen
	Late          int            `json:"late"`       // calls that were taken and are still to be carried out
}
