package alert

// AddReceiver adds one who is told by a function.
func (w *Watcher) AddReceiver(name string, send func(title, text string) error) {
	w.receivers = append(w.receivers, makeReceiver(name, "test", func(m message) error { return send(m.title(), m.text()) }, w.log))
}
