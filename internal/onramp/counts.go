package onramp

// Counts is how much is stored, by state.
type Counts struct {
	Registrations map[RegistrationState]int64
	Deliveries    map[string]map[DeliveryState]int64 // by destination
	Events        map[string]int64                   // by callback
	Repeated      map[string]int64                   // by callback: came again, and were not stored
}
