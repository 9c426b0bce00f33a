//go:build !unix

package web

// OpenFiles is how many files and connections this process may have open.
func OpenFiles() int { return mostOpenFiles }
