package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Machine is what the gateway needs on its own machine. A function that is nil is not asked.
type Machine struct {
	// Readable lists the files with secrets or personal data that other users can read.
	Readable func() []string
	// Disk tells the free space where the database is, and the least that there should be.
	Disk func() (free, total, least uint64, err error)
	// ReadDatabase reads what the database holds and changes nothing; the error is
	// [fs.ErrNotExist] when there is none yet.
	ReadDatabase func(ctx context.Context) (Stored, error)
	// OpenKey says why the encryption key can't be used with the database; nil: it can.
	OpenKey func(s Stored) error
	// LastBackup tells when onramp backup made the last copy, and where; zero: it is not known.
	LastBackup func() (at time.Time, file string)
}

// Stored is what a database holds.
type Stored struct {
	Name      string    // path, or kind of server
	Version   int       // of its tables
	Supported int       // newest version that this program knows
	First     time.Time // when the oldest registration was accepted; zero: there is none
	Newest    time.Time // when the newest was; likewise
	LastEvent time.Time // when the newest event came; zero: none did
	KeySecret string    // encrypted by the encryption key; "": nothing is
	Server    bool      // it is not a file
	exists    bool      // it could be read
}

// gateway asks the gateway that runs, for what only it knows.
func (c *Checks) gateway(ctx context.Context) []Finding {
	if c.cfg.AskGateway == nil {
		return nil
	}
	running, err := c.cfg.AskGateway(ctx)
	if err != nil {
		return []Finding{warning("", "the running gateway could not be asked: "+oneLine(err.Error())).
			mend(Operator, "run this with the gateway's configuration, admin.token included")}
	}
	if running == nil {
		return []Finding{ok("", "none is running with this configuration")}
	}
	c.running = running
	return []Finding{ok("", "one is running at "+running.Address)}
}

// files checks that nobody else can read secrets and personal data.
func (c *Checks) files(context.Context) []Finding {
	if c.cfg.Machine.Readable == nil {
		return nil
	}
	var found []Finding
	for _, file := range c.cfg.Machine.Readable() {
		found = append(found, warning(file, "other users of this machine can read it, and it has secrets or personal data").
			mend(Operator, "run chmod 600 "+file))
	}
	if found == nil {
		return []Finding{ok("", "nobody else can read those with secrets or personal data")}
	}
	return found
}

// disk checks the free space.
func (c *Checks) disk(context.Context) []Finding {
	if c.cfg.Machine.Disk == nil {
		return nil
	}
	free, total, least, err := c.cfg.Machine.Disk()
	if err != nil {
		return []Finding{ok("", "the free space is not known: "+oneLine(err.Error()))}
	}
	message := fmt.Sprintf("%.1f of %.1f GB are free where the database is", float64(free)/1e9, float64(total)/1e9)
	if free >= least {
		return []Finding{ok("", message)}
	}
	return []Finding{failure("", fmt.Sprintf("%s, less than the %.1f GB of watch.disk_free", message, float64(least)/1e9)).
		mend(Operator, "free space: once the disk is full, registrations are answered with 503")}
}

// database checks that the database can be used.
func (c *Checks) database(ctx context.Context) []Finding {
	if c.cfg.Machine.ReadDatabase == nil {
		return nil
	}
	stored, err := c.cfg.Machine.ReadDatabase(ctx)
	if err == nil {
		c.stored, c.stored.exists = stored, true
	}
	switch {
	case c.running != nil && c.running.Trouble != "":
		return []Finding{failure(stored.Name, "the running gateway can't write it: "+oneLine(c.running.Trouble)).
			mend(Operator, "registrations are answered with 503 until it can: check that the database runs and that its disk has space")}
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{ok(stored.Name, "there is none yet; the first start makes it")}
	case err != nil:
		return []Finding{failure(stored.Name, oneLine(err.Error())).mend(Operator, "correct database in the configuration, or see to the database; what it holds is left alone")}
	case stored.Version > stored.Supported:
		return []Finding{failure(stored.Name, fmt.Sprintf("its tables have version %d; this onramp knows %d", stored.Version, stored.Supported)).
			mend(Operator, "run the newer onramp that wrote it")}
	}
	return []Finding{ok(stored.Name, "it can be read")}
}

// encryptionKey checks that the key opens what the database has encrypted.
func (c *Checks) encryptionKey(context.Context) (found []Finding, skipped bool) {
	if c.cfg.Machine.OpenKey == nil {
		return nil, false
	}
	if err := c.cfg.Machine.OpenKey(c.stored); err != nil {
		return []Finding{failure("", oneLine(err.Error())).
			mend(Operator, "restore the key from a backup; if it is lost, onramp keys reset shows what is lost with it")}, false
	}
	if c.stored.KeySecret == "" {
		return []Finding{ok("", "nothing is encrypted yet")}, false
	}
	return []Finding{ok("", "it opens what the database has encrypted")}, false
}

// How old a backup may be, and how long a database may be in use without one.
const (
	oldBackup = 7 * 24 * time.Hour
	noBackup  = 24 * time.Hour
)

// backup tells how old the newest backup is.
func (c *Checks) backup(context.Context) (found []Finding, skipped bool) {
	if c.cfg.Machine.LastBackup == nil || c.stored.Server {
		return nil, false
	}
	at, file := c.cfg.Machine.LastBackup()
	advice := "run onramp backup regularly, such as once a day; if you save the database in another way, leave this"
	switch age := time.Since(at); {
	case at.IsZero() && !c.stored.First.IsZero() && time.Since(c.stored.First) > noBackup:
		return []Finding{warning("", "onramp backup has not made any yet").mend(Operator, advice)}, false
	case at.IsZero():
		return []Finding{ok("", "there is none, and nothing older than a day to be saved")}, false
	case age > oldBackup:
		return []Finding{warning(file, "the last one was made "+since(at)).mend(Operator, advice)}, false
	}
	return []Finding{ok(file, "the last one was made "+since(at))}, false
}

// since says how long ago something was.
func since(at time.Time) string {
	switch ago := time.Since(at); {
	case ago < 2*time.Minute:
		return "just now"
	case ago < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(ago.Minutes()))
	case ago < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(ago.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(ago.Hours()/24))
	}
}
