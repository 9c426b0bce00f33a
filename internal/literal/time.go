package literal

import (
	"errors"
	"strings"
	"time"
)

// What can be wrong with a time.
var (
	ErrTime   = errors.New("no date and no time that exists")
	ErrOffset = errors.New("an offset that no clock has")
	ErrNoZone = errors.New("a time without a zone")
	ErrYear   = errors.New("a year that the column does not hold")
)

// Stored is how a moment is written that was read: in UTC, to the second.
const Stored = "2006-01-02T15:04:05Z"

// Time reads a day (2026-06-23), or a moment with its offset (2026-06-23T14:52:45+02:00),
// which comes back in UTC. It takes RFC 3339, and what programs make of it: a blank
// for the T, no seconds, offsets such as +0200, +02 and UTC, a blank before the offset, and
// behind it the name of its zone (RFC 9557, as JavaScript's Temporal writes it).
// A leap second, which no column holds, is the second before it. A moment without an
// offset is one in the given zone; nil: it is an error, since Marketing Cloud would take
// it for one in its own zone. What a clock shows twice when summer time ends is the
// first of the two; what it skips when summer time begins is as much later.
func Time(text string, zone *time.Location) (normal string, err error) {
	text = fold(text)
	if len(text) < len(time.DateOnly) {
		return "", ErrTime
	}
	day, err := time.Parse(time.DateOnly, text[:len(time.DateOnly)])
	if err != nil {
		return "", ErrTime
	}
	if len(text) == len(time.DateOnly) {
		return text, checkYear(day)
	}
	if !strings.ContainsRune("Tt ", rune(text[len(time.DateOnly)])) {
		return "", ErrTime
	}
	clock, offset, leap, ok := readClock(strings.TrimLeft(text[len(time.DateOnly)+1:], " "))
	if !ok {
		return "", ErrTime
	}
	at, err := readOffset(day.Add(clock), offset, zone)
	if err != nil {
		return "", err
	}
	if leap && (at.Hour() != 23 || at.Minute() != 59) { // where leap seconds are, in UTC
		return "", ErrTime
	}
	return at.Format(Stored), checkYear(at)
}

// checkYear keeps to the range of a Date column, SQL Server's datetime.
func checkYear(at time.Time) error {
	if at.Year() < 1753 || at.Year() > 9999 {
		return ErrYear
	}
	return nil
}

// readClock reads 14:52, 14:52:45 or 14:52:45.9, and gives what follows. Fractions of a
// second are dropped.
func readClock(text string) (clock time.Duration, rest string, leap, ok bool) {
	hour, text, ok := twoDigits(text, 23)
	if !ok || text == "" || text[0] != ':' {
		return 0, "", false, false
	}
	minute, text, ok := twoDigits(text[1:], 59)
	if !ok {
		return 0, "", false, false
	}
	second := 0
	if strings.HasPrefix(text, ":") {
		if second, text, ok = twoDigits(text[1:], 60); !ok {
			return 0, "", false, false
		}
		if text != "" && (text[0] == '.' || text[0] == ',') {
			rest := strings.TrimLeft(text[1:], "0123456789")
			if len(rest) == len(text)-1 {
				return 0, "", false, false
			}
			text = rest
		}
	}
	leap = second == 60
	clock = time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(min(second, 59))*time.Second
	return clock, strings.TrimLeft(text, " "), leap, true
}

// twoDigits reads two digits at the beginning of a text.
func twoDigits(text string, most int) (n int, rest string, ok bool) {
	if len(text) < 2 || !isDigits(text[:2]) {
		return 0, "", false
	}
	n = int(text[0]-'0')*10 + int(text[1]-'0')
	return n, text[2:], n <= most
}

// readOffset turns what a clock shows into UTC.
func readOffset(shown time.Time, offset string, zone *time.Location) (time.Time, error) {
	switch strings.ToUpper(withoutName(offset)) {
	case "":
		if zone == nil {
			return shown, ErrNoZone
		}
		return inZone(shown, zone), nil
	case "Z", "UTC", "GMT":
		return shown, nil
	}
	sign, text := offset[0], withoutName(offset)[1:]
	hour, text, ok := twoDigits(text, 99)
	if sign != '+' && sign != '-' || !ok {
		return shown, ErrTime
	}
	minute := 0
	if text != "" {
		if minute, text, ok = twoDigits(strings.TrimPrefix(text, ":"), 99); !ok || text != "" {
			return shown, ErrTime
		}
	}
	east := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	if sign == '-' {
		east = -east
	}
	if minute > 59 || east > 14*time.Hour || east < -12*time.Hour {
		return shown, ErrOffset
	}
	return shown.Add(-east), nil
}

// withoutName leaves out the name of its zone behind an offset.
func withoutName(offset string) string {
	if name := strings.IndexByte(offset, '['); name > 0 && strings.HasSuffix(offset, "]") {
		return offset[:name]
	}
	return offset
}

// inZone is Temporal's and java.time's rule for what a clock shows twice or never.
func inZone(shown time.Time, zone *time.Location) time.Time {
	before, after := shown.Add(-offsetAt(shown.Add(-24*time.Hour), zone)), shown.Add(-offsetAt(shown.Add(24*time.Hour), zone))
	if offsetAt(before, zone) != shown.Sub(before) && offsetAt(after, zone) == shown.Sub(after) {
		return after
	}
	return before
}

// offsetAt is how far a zone's clocks are ahead of UTC.
func offsetAt(at time.Time, zone *time.Location) time.Duration {
	_, seconds := at.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}
