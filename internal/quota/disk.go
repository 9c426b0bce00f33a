package quota

import (
	"errors"
	"math"
	"time"

	"onramp/internal/onramp"
)

var (
	errFull = errors.New("the database's disk has less free space than storage.disk_reserve")
	errDisk = &onramp.Error{
		Kind: onramp.Unavailable, Message: "nothing more can be stored at the moment; please try again later", RetryAfter: diskPause, Err: errFull,
	}
)

// disk is the database's disk, as it was when it was last looked at.
type disk struct {
	at          time.Time
	free, total uint64
}

// low says whether less is free than the reserve, or than the part of it that is left to
// those who may use some of it. A disk that can't be looked at is not low: if nothing can
// be written there, the store says so.
func (d *disk) low(cfg Config, now time.Time, part uint64) bool {
	if cfg.Free == nil || cfg.Reserve == (Reserve{}) {
		return false
	}
	if now.Sub(d.at) >= diskEvery {
		d.at = now
		var err error
		if d.free, d.total, err = cfg.Free(); err != nil {
			d.free, d.total = math.MaxUint64, 0
		}
	}
	return d.free < cfg.Reserve.of(d.total)/part
}
