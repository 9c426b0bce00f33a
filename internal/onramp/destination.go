package onramp

// Destination is where a step of a route goes. Everything that a request to
// Marketing Cloud needs besides the registration stands here, so that a
// delivery can still be sent after its form was changed.
type Destination struct {
	ID                  int // small integer, given by the store; 0 until registered
	Kind                DestinationKind
	Key                 string // external key of the data extension, or event definition key
	KeyColumn           string // column that holds the subscriber key; "" leaves it out of a journey's data
	EstablishContactKey bool   // journey only
}

// DestinationKind is the kind of a route's step.
type DestinationKind uint8

// The kinds of destinations.
const (
	DataExtension DestinationKind = iota + 1
	Journey
)

var destinationKinds = []string{"", "data_extension", "journey"}

// String gives the name that the configuration uses.
func (k DestinationKind) String() string { return destinationKinds[k] }

// Name identifies the destination to people and in the store, such as
// "data_extension:Web_Registrations".
func (d Destination) Name() string { return d.Kind.String() + ":" + d.Key }
