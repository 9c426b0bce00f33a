package store

// proofAndOrder is the step for what proves events, and for the order in which they
// happened. Like any other it is never changed once it was released.
var proofAndOrder = []string{
	// the signature key, as a digest, by which a batch with a token was also signed: from then on it must be
	`ALTER TABLE callback ADD COLUMN signed_with TEXT`,
	// events that only a token has proved; one with the same identity and a signature is not a repeat of it
	`CREATE TABLE unproven (at BIGINT NOT NULL, hash BIGINT NOT NULL, event_seq BIGINT NOT NULL, PRIMARY KEY (at, hash)) {{without rowid}}`,
	// when the event happened that last set a column of a person's row; person is a digest of the subscriber key
	`CREATE TABLE column_set (destination_id INTEGER NOT NULL, person TEXT NOT NULL, name TEXT NOT NULL, at BIGINT NOT NULL,
		PRIMARY KEY (destination_id, person, name)) {{without rowid}}`,
	// why an event that came late has not changed a row
	`CREATE TABLE unchanged (registration_seq BIGINT NOT NULL, event_seq BIGINT NOT NULL, destination_id INTEGER NOT NULL,
		decided_at BIGINT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (registration_seq, event_seq, destination_id)) {{without rowid}}`,
}
