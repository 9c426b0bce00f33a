package sandbox

// Sign is the signature of a body.
func Sign(signatureKey string, raw bool, body []byte) string { return sign(signatureKey, raw, body) }

// EventTypes are the types of events that can be made.
func EventTypes() []string {
	var list []string
	for _, k := range eventKinds() {
		list = append(list, k.fullName())
	}
	return list
}
