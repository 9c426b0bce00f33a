package spelling

// IsSlip says whether a and b differ by one letter that is missing, doubled or another,
// or by two neighbours that have changed places. It is quick, for long lists.
func IsSlip(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 {
		return false
	}
	at := 0
	for at < len(b) && a[at] == b[at] {
		at++
	}
	a, b = a[at:], b[at:] // from the first difference
	switch {
	case len(a) > len(b):
		return a[1:] == b
	case len(a) < 2 || a[1:] == b[1:]:
		return len(a) > 0
	}
	return a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
}
