package table

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// The column types of a data extension. Vendor page dataextensionfield.
const (
	TypeText    = "Text"
	TypeEmail   = "EmailAddress"
	TypeBoolean = "Boolean"
	TypeDate    = "Date"
	TypeNumber  = "Number"
	TypeDecimal = "Decimal"
	TypePhone   = "Phone"
	TypeLocale  = "Locale"
)

// Column is one column of a data extension.
type Column struct {
	Name string `json:"name"`
	// Type is Text, EmailAddress, Boolean, Date, Number, Decimal, Phone or
	// Locale.
	Type string `json:"type"`
	// Length is the longest value in UTF-16 code units; for Decimal, the digits
	// in all. 0 means no limit beside the type's own.
	Length int `json:"length,omitempty"`
	// Scale is the digits after the point of a Decimal.
	Scale      int  `json:"scale,omitempty"`
	PrimaryKey bool `json:"primary_key"`
	Nullable   bool `json:"nullable"`
	// Default is stored when an insert does not name the column; nil for none. GetDate()
	// or Now() for a Date is the time of the insert.
	Default any `json:"default,omitempty"`
	// Drops and Truncates are for trying what is not noticed at once: values are taken
	// and not stored, or too long ones cut.
	Drops     bool `json:"drops,omitempty"`
	Truncates bool `json:"truncates,omitempty"`
}

// Check returns what is wrong with a value for the column, as the end of the
// vendor's sentence, or "". The value is not empty.
func (c *Column) Check(v Value) string {
	// Undocumented: "" is the vendor's advice for "no value" in a nullable
	// column, so it is accepted there whatever the type.
	if v.Text == "" && (c.Nullable || c.Type == TypeText) {
		return ""
	}
	if !c.fits(v) {
		return misfits[c.Type]
	}
	// A Decimal's Length counts digits, which are checked by now. Most texts are
	// shorter in bytes already.
	if c.Type != TypeDecimal && !c.Truncates && c.Length > 0 && len(v.Text) > c.Length && codeUnits(v.Text) > c.Length {
		return "exceeds the column's maximum length."
	}
	return ""
}

// CanDefault reports whether a value can be the column's Default.
func (c *Column) CanDefault(value any) bool {
	return c.isClock(value) || c.Check(ValueOf(value)) == ""
}

// isClock reports whether a default is the time of the insert.
func (c *Column) isClock(value any) bool {
	text, _ := value.(string)
	return c.Type == TypeDate && (strings.EqualFold(text, "GetDate()") || strings.EqualFold(text, "Now()"))
}

// presumed is what an insert stores that does not name the column: the default, as a
// Value, or the time that stands for it.
func (c *Column) presumed(value Value, now time.Time) Value {
	if value.Kind == KindText && c.isClock(c.Default) {
		return Value{KindText, ServerTime(now)[:len("2006-01-02T15:04:05")]}
	}
	return value
}

// kept is what of a value is stored.
func (c *Column) kept(v Value) Value {
	switch {
	case c.Drops:
		return Value{}
	case c.Truncates && v.Kind == KindText && len([]rune(v.Text)) > c.Length:
		v.Text = string([]rune(v.Text)[:c.Length])
	}
	return v
}

// IsType says whether a name is that of a column type.
func IsType(name string) bool {
	_, ok := misfits[name]
	return ok || name == TypeText
}

// misfits are the complaints about values that are not of a column's type. The
// vendor's words are published for the first two only; the others follow them.
var misfits = map[string]string{
	TypeEmail:   "is not a valid email address. Parse error [InvalidEmailAddress]",
	TypePhone:   "is not a valid phone number. Parse error [ExactTarget.Core.Validation.ValidationResult[]]",
	TypeBoolean: "is not a valid boolean.",
	TypeDate:    "is not a valid date.",
	TypeNumber:  "is not a valid number.",
	TypeDecimal: "is not a valid decimal.",
	TypeLocale:  "is not a valid locale.",
}

// fits reports whether a value is of the column's type.
func (c *Column) fits(v Value) bool {
	text, isString := v.Text, v.Kind == KindText
	switch c.Type {
	case TypeEmail:
		return isString && ValidEmail(text)
	case TypePhone:
		return !v.bool() && validPhone(text)
	case TypeBoolean:
		_, ok := parseBoolean(text)
		return ok
	case TypeDate:
		_, ok := parseDate(text)
		return isString && ok
	case TypeNumber:
		_, err := strconv.ParseInt(text, 10, 32)
		return err == nil
	case TypeDecimal:
		return validDecimal(text, c.Length, c.Scale)
	case TypeLocale:
		return isString && validLocale(text)
	}
	return true
}

// Problem puts a complaint into the vendor's sentence.
func (c *Column) Problem(what string) string {
	return c.Name + ": The value for column [" + c.Name + "] " + what
}

// Missing is the complaint about a column that has no value and needs one.
// Undocumented on the synchronous routes; the words are the asynchronous
// route's, in this route's frame.
func (c *Column) Missing() string {
	return c.Name + ": Column [" + c.Name + "] does not allow null value."
}

// identity is the value as part of a primary key: values that Marketing Cloud
// would store alike are alike. The value has passed check.
func (c *Column) identity(text string) string {
	switch c.Type {
	case TypeNumber:
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			return strconv.FormatInt(n, 10)
		}
	case TypeDecimal:
		whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "+"), ".")
		sign := ""
		if rest, ok := strings.CutPrefix(whole, "-"); ok {
			sign, whole = "-", rest
		}
		return sign + strings.TrimLeft(whole, "0") + "." + strings.TrimRight(fraction, "0")
	case TypeBoolean:
		if b, ok := parseBoolean(text); ok {
			return strconv.FormatBool(b)
		}
	case TypeDate:
		if t, ok := parseDate(text); ok {
			return t.UTC().Format(time.RFC3339Nano)
		}
	}
	return text
}

// Render is the value as a rowset read shows it: always a string, Booleans as
// "True" and "False", dates in server time as SQL Server's US format has them, no value
// as "".
func (c *Column) Render(text string) string {
	switch c.Type {
	case TypeBoolean:
		if b, ok := parseBoolean(text); ok {
			if b {
				return "True"
			}
			return "False"
		}
	case TypeDate:
		if t, ok := parseDate(text); ok {
			return t.In(serverZone).Format("1/2/2006 3:04:05 PM")
		}
	}
	return text
}

// codeUnits is a text's length as SQL Server's nvarchar counts it.
func codeUnits(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// parseBoolean reads true and false, and 1 and 0. Undocumented: the vendor
// shows JSON true and false only; these are the usual spellings beside them.
func parseBoolean(text string) (b, ok bool) {
	switch {
	case text == "1", strings.EqualFold(text, "true"):
		return true, true
	case text == "0", strings.EqualFold(text, "false"):
		return false, true
	}
	return false, false
}

// serverZone is where a time without a zone is: server time, UTC-6 all year.
var serverZone = time.FixedZone("server", -6*60*60)

// ServerTime is a time as the vendor's answers show it: server time, without a zone.
func ServerTime(t time.Time) string {
	return t.In(serverZone).Format("2006-01-02T15:04:05.00")
}

// The layouts of dates, the most likely first: one that does not fit costs.
var (
	isoLayouts = []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	}
	usLayouts = []string{
		"1/2/2006", "1/2/2006 15:04", "1/2/2006 15:04:05", "1/2/2006 3:04 PM", "1/2/2006 3:04:05 PM",
	}
)

// parseDate reads ISO 8601 with Z, with an offset or without a zone, a date
// alone, and the US format. The range is that of SQL Server's datetime: the
// years 1753 to 9999.
func parseDate(s string) (time.Time, bool) {
	layouts := isoLayouts
	if strings.Contains(s, "/") {
		layouts = usLayouts
	} else if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, serverZone); err == nil {
			return t, t.Year() >= 1753 && t.Year() <= 9999
		}
	}
	return time.Time{}, false
}

// validPhone accepts 7 to 15 digits (E.164's most) with the usual signs.
// Undocumented: the vendor's own rule depends on the account's country.
func validPhone(s string) bool {
	digits := 0
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == '+' && i == 0:
		case strings.ContainsRune(" -.()", r):
		default:
			return false
		}
	}
	return digits >= 7 && digits <= 15
}

// validDecimal accepts at most scale digits after the point and length-scale
// before it. Vendor page creating_a_data_extension: length counts all digits
// and is at most 29, which also stands for no length.
func validDecimal(s string, length, scale int) bool {
	if length == 0 {
		length = 29
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "+"), "-")
	whole, fraction, dotted := strings.Cut(s, ".")
	if whole == "" && fraction == "" || dotted && fraction == "" {
		return false
	}
	for _, r := range whole + fraction {
		if r < '0' || r > '9' {
			return false
		}
	}
	return len(strings.TrimLeft(whole, "0")) <= length-scale && len(strings.TrimRight(fraction, "0")) <= scale
}

// locale is a culture code: a language, and perhaps a script and a region, such
// as en-US or zh-Hans-CN.
var locale = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{4})?(-[A-Za-z0-9]{2,3})?$`)

func validLocale(s string) bool { return locale.MatchString(s) }
