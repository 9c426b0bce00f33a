// Package systemd tells the service manager how the process is doing, as sd_notify(3)
// describes it. Begin with Manager. It starts and stops nothing.
package systemd

import (
	"log/slog"
	"net"
	"strconv"
	"strings"
)

// Manager is the service manager that has started the process. The zero value is none,
// and nothing is told then. It is safe for concurrent use.
type Manager struct {
	Socket string       // $NOTIFY_SOCKET: a path, or a name with @ before it; "": there is no manager
	Log    *slog.Logger // gets a warning when the manager can't be told something
}

// Ready says that the process serves: systemctl start returns.
func (m Manager) Ready() { m.tell("READY=1") }

// Reloading says that a reload begins. Reloaded must follow.
func (m Manager) Reloading() {
	m.tell("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(monotonic().Microseconds(), 10))
}

// Reloaded says that a reload has ended. Everyone on the machine can read the status, so
// it does not have the reason of a failure.
func (m Manager) Reloaded(err error) {
	status := "configuration reloaded"
	if err != nil {
		status = "configuration not reloaded, the previous one stays in effect: see the journal, or onramp status"
	}
	m.tell("READY=1", "STATUS="+status)
}

// Stopping says that the process is about to end.
func (m Manager) Stopping() { m.tell("STOPPING=1", "STATUS=finishing the requests in flight") }

// tell sends assignments in one datagram. A manager that doesn't listen keeps nobody from
// serving.
func (m Manager) tell(assignments ...string) {
	if m.Socket == "" {
		return
	}
	if err := send(m.Socket, strings.Join(assignments, "\n")); err != nil {
		m.Log.Warn("the service manager could not be told", "what", assignments[0], "err", err)
	}
}

func send(socket, text string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(text))
	return err
}
