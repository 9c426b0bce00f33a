package operator

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"onramp/internal/onramp"
)

// ParsePeriod reads from when on, and until when, what an operator means was received; a time that is
// not given is zero. The error is of kind Malformed and names the one that is wrong.
func ParsePeriod(since, until string, now time.Time) (from, to time.Time, err error) {
	if from, err = parseTime(since, now); err != nil {
		return from, to, &onramp.Error{Kind: onramp.Malformed, Message: "since " + err.Error()}
	}
	if to, err = parseTime(until, now); err != nil {
		return from, to, &onramp.Error{Kind: onramp.Malformed, Message: "until " + err.Error()}
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, &onramp.Error{Kind: onramp.Malformed, Message: "since must be earlier than until"}
	}
	return from, to, nil
}

var errTime = errors.New("must be a time such as 2026-06-23T14:52:45Z, a date such as 2026-06-23 (from 00:00 UTC), or how long ago, such as 24h or 7d")

// parseTime reads a time as operators write it: in RFC 3339, as a date in UTC, or as how long
// ago it was, where d stands for 24 hours. "" is no time.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	ago, err := time.ParseDuration(text)
	if days, given := strings.CutSuffix(text, "d"); given {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago <= 0 {
		return time.Time{}, errTime
	}
	return now.Add(-ago).UTC(), nil
}
