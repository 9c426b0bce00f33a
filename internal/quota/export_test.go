package quota

// Addresses is how many networks are remembered.
func (q *Quota) Addresses() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.by)
}
