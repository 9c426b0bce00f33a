//go:build !unix

package crash_test

import "os"

// freeze and wake are nil where no signal stops a process.
var freeze, wake os.Signal
