package onramp

// Retried is what retrying several deliveries does, or would do.
type Retried struct {
	Count      int64            // how many are retried
	To         map[string]int64 // of these, by the destination; only of a plan
	Superseded int64            // left alone, since newer ones have overtaken them
	Unsendable int64            // left alone, since the configuration no longer says how to send them
}
