package provision

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"onramp/internal/columns"
	"onramp/internal/onramp"
	"onramp/sfmc/metadata"
)

// Draft is a form for a data extension that exists, as text for a configuration file.
type Draft struct {
	Form          string   // its name
	SubscriberKey string   // the strategy, such as "email"
	Fields        []string // each as a mapping of YAML, such as "{ name: email, column: EmailAddress, type: email }"
	Key           string   // of the data extension, as a scalar of YAML
	KeyColumn     string   // the same, or a list
	Use           string   // how the key is used, in a sentence
}

var errNoKey = errors.New("the data extension has no primary key, so rows can't be updated by it: choose another one, or create it again with a primary key")

// errNoField says that nothing of the data extension could be filled in by a visitor.
var errNoField = errors.New("the data extension has no columns beside its primary key: there is nothing that a form could ask for")

// DraftForm makes a form of a data extension: a field of each column, named after it. A
// column with a name that tells where its value comes from, such as IPAddress or
// utm_source, is filled in by Onramp. A data extension that has no primary key, or nothing
// else, is refused.
func DraftForm(d *metadata.DataExtension) (Draft, error) {
	w := drafter{d: d, taken: map[string]bool{}}
	for _, f := range d.Fields {
		if f.PrimaryKey {
			w.keys = append(w.keys, f)
		}
	}
	if w.keys == nil {
		return Draft{}, errNoKey
	}
	w.choose()
	for i := range d.Fields {
		if f := &d.Fields[i]; f.Name != w.receiver {
			w.fields = append(w.fields, w.field(f))
		}
	}
	if w.fields == nil {
		return Draft{}, errNoField
	}
	draft := Draft{Form: formName(d.Key), SubscriberKey: w.strategy, Fields: w.fields, Key: scalar(d.Key), Use: w.use()}
	names := make([]string, len(w.keys))
	for i := range w.keys {
		names[i] = scalar(w.keys[i].Name)
	}
	if draft.KeyColumn = names[0]; len(names) > 1 {
		draft.KeyColumn = "[" + strings.Join(names, ", ") + "]"
	}
	return draft, nil
}

// drafter holds what is found out about a data extension.
type drafter struct {
	d        *metadata.DataExtension
	keys     []metadata.Field // of the primary key
	email    string           // the column with the address; "": none
	receiver string           // the key column that receives the subscriber key; "": fields fill all
	strategy string
	own      string // the column of the field that is the subscriber key, with the strategy field
	taken    map[string]bool
	fields   []string
}

// choose decides where the subscriber key comes from, and which column receives it.
func (w *drafter) choose() {
	at := slices.IndexFunc(w.d.Fields, func(f metadata.Field) bool { return f.Type == metadata.EmailAddress })
	w.strategy = "uuid"
	if at >= 0 {
		w.email, w.strategy = w.d.Fields[at].Name, "email"
	}
	isReceiver := func(f metadata.Field) bool {
		return f.Type == metadata.Text && (len(w.keys) == 1 || strings.EqualFold(f.Name, w.d.SendableField) || snake(f.Name) == "subscriber_key" || snake(f.Name) == "contact_key")
	}
	if at := slices.IndexFunc(w.keys, isReceiver); at >= 0 {
		w.receiver = w.keys[at].Name
		if length := w.keys[at].Length; w.strategy == "uuid" && length > 0 && length < columns.LongestUUID {
			// too short for a UUID: the visitor gives the key
			w.strategy, w.own, w.receiver = "field:"+fieldName(w.receiver), w.receiver, ""
		}
	}
}

// use says how the key is used.
func (w *drafter) use() string {
	whose := map[string]string{"email": "the email address in " + w.email, "uuid": "a generated UUID, another one for each registration"}[w.strategy]
	names := make([]string, len(w.keys))
	for i := range w.keys {
		names[i] = w.keys[i].Name
	}
	all := "The key column " + names[0] + " is"
	if len(names) > 1 {
		all = "The key columns " + strings.Join(names, " and ") + " are"
	}
	switch {
	case w.own != "":
		return all + " filled by the form, and is the subscriber key."
	case w.receiver == "":
		return all + " filled by the form. The subscriber key is " + whose + "."
	case len(names) > 1:
		return fmt.Sprintf("The key column %s receives the subscriber key, which is %s; the form fills the others.", w.receiver, whose)
	}
	return fmt.Sprintf("The key column %s receives the subscriber key, which is %s.", w.receiver, whose)
}

// field is the text of the field for a column.
func (w *drafter) field(f *metadata.Field) string {
	if source := sourceOf(f); source != "" && !f.PrimaryKey {
		parts := []string{"column: " + scalar(f.Name), "from: " + source}
		if f.Type == metadata.Text && source != "ip" && f.Length > 0 && f.Length <= onramp.MaxText {
			parts = append(parts, "max: "+strconv.Itoa(f.Length))
		}
		return mapping(parts)
	}
	parts := append([]string{"name: " + w.unused(fieldName(f.Name)), "column: " + scalar(f.Name)}, typeOf(f)...)
	if f.Type == metadata.Boolean && !f.PrimaryKey {
		return mapping(append(parts, "default: false")) // required would mean that it must be ticked
	}
	if f.PrimaryKey || f.Required && f.Default == "" || f.Name == w.email && w.strategy == "email" {
		parts = append(parts, "required: true")
	}
	return mapping(parts)
}

// typeOf is the type of the field for a column, and what limits it.
func typeOf(f *metadata.Field) []string {
	longest := func(parts []string, most int) []string {
		if f.Length > 0 && f.Length <= most {
			parts = append(parts, "max: "+strconv.Itoa(f.Length))
		}
		return parts
	}
	switch f.Type {
	case metadata.Boolean:
		if f.PrimaryKey {
			return []string{"type: boolean", "input: radio"}
		}
		return []string{"type: boolean"}
	case metadata.EmailAddress:
		return longest([]string{"type: email"}, columns.LongestEmail-1)
	case metadata.Number:
		return []string{"type: integer"}
	case metadata.Decimal, metadata.Date, metadata.Phone, metadata.Locale:
		return []string{"type: " + strings.ToLower(f.Type)}
	}
	return longest([]string{"type: text"}, onramp.MaxText)
}

func mapping(parts []string) string { return "{ " + strings.Join(parts, ", ") + " }" }

// sourceOf is where the value of a column comes from by its name; "": from the visitor.
func sourceOf(f *metadata.Field) string {
	name := snake(f.Name)
	switch {
	case f.Type == metadata.Date && slices.Contains([]string{"registration_timestamp", "registration_date", "registered_at", "received_at", "created_at", "timestamp"}, name):
		return "received_at"
	case f.Type != metadata.Text:
		return ""
	case name == "ip_address":
		return "ip"
	case slices.Contains([]string{"constant", "uuid", "form", "received_at"}, name):
		return ""
	}
	if _, ok := onramp.ParseSource(name); ok {
		return name
	}
	return ""
}

// unused makes a name that no field has yet.
func (w *drafter) unused(name string) string {
	made := name
	for n := 2; w.taken[made]; n++ {
		made = name + "_" + strconv.Itoa(n)
	}
	w.taken[made] = true
	return made
}

// fieldName makes a field's name of a column's.
func fieldName(column string) string {
	name := snake(column)
	if name == "" || !unicode.IsLetter([]rune(name)[0]) || isKeyword(name) {
		name = strings.TrimSuffix("field_"+name, "_")
	}
	return name
}

// formName makes a form's name of a data extension's key: lower-case letters of ASCII,
// digits and underscores.
func formName(key string) string {
	name := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return -1
		}
		return r
	}, snake(key))
	if name = strings.Trim(name[:min(len(name), 60)], "_"); name == "" || isKeyword(name) {
		return "registration"
	}
	return name
}

// snake writes a name in lower case with underscores between its words: OptInStatus and
// "Opt-in status" become opt_in_status, IPAddress becomes ip_address.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			r = '_'
		case i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			b.WriteRune('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Join(strings.FieldsFunc(b.String(), func(r rune) bool { return r == '_' }), "_")
}

var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// scalar writes a text as a scalar of YAML.
func scalar(text string) string {
	if plain.MatchString(text) && !isKeyword(strings.ToLower(text)) {
		return text
	}
	return strconv.Quote(text)
}

// isKeyword says whether YAML, in some version of it, reads a word as something else.
func isKeyword(word string) bool {
	return slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, word)
}
