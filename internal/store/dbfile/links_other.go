//go:build !unix

package dbfile

import "os"

// links counts the names of a file. Here they are not known.
func links(os.FileInfo) uint64 { return 1 }

// inode is the file's number in its file system, 0 if it is not known.
func inode(os.FileInfo) uint64 { return 0 }
