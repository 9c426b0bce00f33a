//go:build !unix

package dbfile

import "os"

// mapFile has the beginning of a file in memory. Here it doesn't.
func mapFile(*os.File, int) []byte { return nil }

func unmapFile([]byte) {}

func copyMapped([]byte, []byte) bool { return false }
