package alert

import "onramp/internal/onramp"

// AddReceiver adds a receiver that is a function.
func (w *Watcher) AddReceiver(name string, send func(title, text string) error) {
	w.cfg.Receivers = append(w.cfg.Receivers, onramp.Secret(name))
	w.receivers = append(w.receivers, makeReceiver(name, "test", func(m message) error { return send(m.title(), m.text()) }, w.log))
}

// Remote is what alerts say of a text from elsewhere.
var Remote = remote
