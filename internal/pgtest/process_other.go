//go:build !unix

package pgtest

import (
	"errors"
	"os/exec"
)

func isolate(*exec.Cmd, string) error {
	return errors.New("PostgreSQL is started on Unix only")
}
