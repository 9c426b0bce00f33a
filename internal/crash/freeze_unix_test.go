//go:build unix

package crash_test

import (
	"os"
	"syscall"
)

// freeze stops a process, and wake lets it go on.
var freeze, wake os.Signal = syscall.SIGSTOP, syscall.SIGCONT
