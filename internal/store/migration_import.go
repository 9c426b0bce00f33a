package store

// imports is the step for registrations that were made elsewhere. Like any other it is never
// changed once it was released.
var imports = []string{
	// portion_from and portion_to are the seqs of the newest deliveries
	`CREATE TABLE import_run (id {{integer key}}, spec TEXT NOT NULL, state TEXT NOT NULL, started_at BIGINT NOT NULL, ended_at BIGINT,
		position BIGINT NOT NULL, accepted BIGINT NOT NULL, refused BIGINT NOT NULL, portion_from BIGINT NOT NULL, portion_to BIGINT NOT NULL)`,
	// rows that were not taken, without their values
	`CREATE TABLE import_refusal (import_id BIGINT NOT NULL, line BIGINT NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL,
		PRIMARY KEY (import_id, line, field)) {{without rowid}}`,
	// when what was imported was registered; silent: it triggers no journey and no message
	`CREATE TABLE imported (registration_seq {{integer key}}, import_id BIGINT NOT NULL, original_at BIGINT NOT NULL, silent BOOLEAN NOT NULL)`,
}
