package cli_test

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"onramp/internal/cli"
)

// onTerminal runs onramp with a terminal for its output, and tells what is on it then.
func onTerminal(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no terminals here:", err)
	}
	defer master.Close()
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		var text bytes.Buffer
		_, _ = io.Copy(&text, master) // ends with an error, once nobody has the terminal
		shown <- text.String()
	}()
	cli.Main(t.Context(), args, cli.System{Stdin: strings.NewReader(""), Stdout: terminal, Stderr: io.Discard, Environ: environ})
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(<-shown, "\r\n", "\n")
}

// Lines begin with marks on a terminal that can show them, and with words on others.
func TestCheckMarks(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		environ           []string
		fine, odd, failed string
	}{
		"UTF-8":            {[]string{"TERM=xterm", "LANG=en_US.UTF-8"}, "✓", "!", "✗"},
		"UTF-8 for all":    {[]string{"TERM=xterm", "LANG=C", "LC_ALL=C.utf8"}, "✓", "!", "✗"},
		"Latin-1":          {[]string{"TERM=xterm", "LANG=de_DE.ISO-8859-1"}, "ok", "warning", "failure"},
		"no locale":        {[]string{"TERM=xterm"}, "ok", "warning", "failure"},
		"a dumb terminal":  {[]string{"TERM=dumb", "LANG=en_US.UTF-8"}, "ok", "warning", "failure"},
		"Windows Terminal": {[]string{"WT_SESSION=1"}, "✓", "!", "✗"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newChecked(t)
			clockAhead(-60e9)(w)
			w.control("PUT account", `{"message_definitions":{"welcome":{"status":"Inactive"}}}`)
			got := onTerminal(t, append(w.environ, row.environ...), "check", "--only", "clock,event-definition,message", "--config", w.write())
			want := row.odd + ` clock: Marketing Cloud's clock is 1m0s behind this machine's
    operator: let this machine take its time from a time server (NTP): tokens, signatures and the order of events depend on it
` + row.fine + ` event-definition APIEvent-sandbox-welcome: it exists, starts a running journey, and takes the form's columns
` + row.failed + ` message welcome: its status is Inactive: messages are taken and stay queued
    admin: activate the message definition
    Journey Builder → Transactional Messaging → welcome → Activate

1 failure, 1 warning.
`
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
