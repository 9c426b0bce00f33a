//go:build !linux

package postgres

import (
	"syscall"
	"time"
)

func limitUnacked(time.Duration) func(string, string, syscall.RawConn) error { return nil }
