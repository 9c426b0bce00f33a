package store

// rescue is the step for what went wrong and can be put right. Like any other it is
// never changed once it was released.
var rescue = []string{
	// 1: data is by field; 0: by column, as an older version has stored it
	`ALTER TABLE registration ADD COLUMN by_field INTEGER NOT NULL DEFAULT 0`,
	// where the steps of each form have led, as long as deliveries may wait there
	`CREATE TABLE form_step (form_id INTEGER NOT NULL, step INTEGER NOT NULL, destination_id INTEGER NOT NULL,
		PRIMARY KEY (form_id, destination_id)) {{without rowid}}`,
	// a destination is paused by an operator while paused_at is set; resumed_at is when it was last resumed
	`ALTER TABLE destination ADD COLUMN paused_at BIGINT`,
	`ALTER TABLE destination ADD COLUMN pause_reason TEXT`,
	`ALTER TABLE destination ADD COLUMN resumed_at BIGINT`,
	// nothing of the request has left this machine
	`ALTER TABLE attempt ADD COLUMN not_sent BOOLEAN NOT NULL DEFAULT FALSE`,
	// operators' resends, see resendrun.go: kind says what filter and position mean
	`CREATE TABLE resend_run (id {{integer key}}, kind TEXT NOT NULL, target TEXT NOT NULL, filter TEXT NOT NULL, state TEXT NOT NULL,
		started_at BIGINT NOT NULL, ended_at BIGINT, planned BIGINT NOT NULL, sent BIGINT NOT NULL, left_out TEXT NOT NULL,
		position BIGINT NOT NULL, last BIGINT NOT NULL, portion_from BIGINT NOT NULL, portion_to BIGINT NOT NULL)`,
	// of what is sent again: the run that it belongs to, and when that has queued it
	`ALTER TABLE delivery ADD COLUMN run_id BIGINT`,
	`ALTER TABLE delivery ADD COLUMN resent_at BIGINT`,
	// of what sends a registration again: how many steps its run has for it
	`ALTER TABLE delivery ADD COLUMN steps INTEGER`,
	`CREATE INDEX delivery_resent ON delivery (registration_seq) WHERE steps IS NOT NULL`,
}
