package oauth

// recent is a map that holds at most twice limit entries: when limit new ones
// have come, those that weren't asked for since the time before are dropped. It
// is for one goroutine at a time.
type recent[K comparable, V any] struct {
	limit      int
	young, old map[K]V
}

func newRecent[K comparable, V any](limit int) recent[K, V] {
	return recent[K, V]{limit: limit, young: map[K]V{}}
}

// get finds an entry and keeps it for longer.
func (r *recent[K, V]) get(key K) (V, bool) {
	if v, ok := r.young[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	if ok {
		r.put(key, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(key K, v V) {
	if len(r.young) >= r.limit {
		r.old, r.young = r.young, map[K]V{}
	}
	r.young[key] = v
}
