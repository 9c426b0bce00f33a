package store

// retain is the step for what is removed after its time. Like any other it is never changed
// once it was released.
var retain = []string{
	// registrations that retention has passed and not removed, by each key of their deliveries: when to look at them
	// again. A newer one of the same key is not removed before them
	`CREATE TABLE retained (registration_seq BIGINT NOT NULL, ordering_key BIGINT NOT NULL, look_at BIGINT NOT NULL,
		PRIMARY KEY (registration_seq, ordering_key)) {{without rowid}}`,
	`CREATE INDEX retained_look ON retained (look_at, registration_seq)`,
	`CREATE INDEX retained_key ON retained (ordering_key, registration_seq)`,
	`CREATE TABLE retained_event (event_seq {{integer key}}, look_at BIGINT NOT NULL)`,
	`CREATE INDEX retained_event_look ON retained_event (look_at, event_seq)`,
	// how much was removed, ever, by what it was
	`CREATE TABLE removed (what TEXT PRIMARY KEY, n BIGINT NOT NULL, last_at BIGINT NOT NULL)`,
	// what events have changed in the rows of a registration
	`CREATE INDEX delivery_change ON delivery (registration_seq) WHERE data IS NOT NULL`,
	`CREATE INDEX attempt_body ON attempt (started_at) WHERE (request <> '' OR answer <> '')`,
	`CREATE INDEX hold_suspicion ON hold (held_at) WHERE reason = 2`,
}
