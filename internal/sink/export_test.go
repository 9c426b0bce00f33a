package sink

import "os"

// BreakFile replaces how a file sink writes and syncs; nil leaves it.
func (s *Sender) BreakFile(name string, write func(*os.File, []byte) (int, error), sync func(*os.File) error) {
	f := s.sinks[name].(*file)
	if write != nil {
		f.write = write
	}
	if sync != nil {
		f.sync = sync
	}
}
