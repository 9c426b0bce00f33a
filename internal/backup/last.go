package backup

import (
	"encoding/json"
	"os"
	"time"
)

// noteEnding is what the file that tells of the last backup has after the name of the
// database.
const noteEnding = ".backup"

// note tells of a backup.
type note struct {
	MadeAt time.Time `json:"made_at"`
	File   string    `json:"file"`
}

// leaveNote writes beside the database that a backup was made. The backup counts without
// it: whoever may read the database may not be allowed to write there.
func (o *Options) leaveNote(made time.Time) {
	text, _ := json.Marshal(note{made, o.File})
	_ = os.WriteFile(o.Database+noteEnding, append(text, '\n'), 0o600)
}

// Last tells when the last backup of a database was made, and to which file; zero: none is
// known, such as when the user who made it can't write beside the database.
func Last(database string) (made time.Time, file string) {
	text, err := os.ReadFile(database + noteEnding)
	var n note
	if err != nil || json.Unmarshal(text, &n) != nil {
		return time.Time{}, ""
	}
	return n.MadeAt, n.File
}
