package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/config"
	"onramp/internal/sandbox"
)

// newTyped is a world with a form of an address, a name, a note of several lines and a
// phone number, whose rows have these columns only.
func newTyped(t *testing.T, country string) *world {
	t.Helper()
	const fields = `      - { name: email, column: EmailAddress, type: email, required: true }
      - { name: name,  column: FirstName, required: true, max: 20 }
      - { name: note,  column: Note, multiline: true }
      - { name: phone, column: Phone, type: phone }
`
	w := newSandboxed(t)
	w.account(tables(func([]sandbox.Column) []sandbox.Column {
		return []sandbox.Column{
			{Name: "SubscriberKey", Type: "Text", Length: 254, PrimaryKey: true},
			{Name: "EmailAddress", Type: "EmailAddress", Length: 254},
			{Name: "FirstName", Type: "Text", Length: 20},
			{Name: "Note", Type: "Text", Length: 4000, Nullable: true},
			{Name: "Phone", Type: "Phone", Length: 50, Nullable: true},
		}
	}, ""))
	w.start(func(cfg string) string {
		cfg = strings.Replace(cfg, config.RegistrationFields(), fields, 1)
		cfg = strings.Replace(cfg, "    subscriber_key: email\n", "    subscriber_key: email\n"+country, 1)
		return strings.Replace(without(journeyStep)(cfg), "mode: auto", "mode: sync", 1)
	}, t.TempDir()+"/onramp.db")
	return w
}

// typed is what somebody types into the form, and the row that comes of it: nil when
// nothing is stored.
type typed struct {
	name string
	json string // the values as JSON; or
	form url.Values
	row  map[string]any
}

// register posts a registration, waits for its row, and returns the status.
func (w *world) register(contentType, body string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.gateway.PublicURL()+"/v1/forms/registration/registrations", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Prefer", wait)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

func (w *world) check(rows []typed) {
	w.t.Helper()
	for _, row := range rows {
		before := w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows
		contentType, body, want := "application/json", row.json, http.StatusCreated
		if row.form != nil {
			contentType, body = "application/x-www-form-urlencoded", row.form.Encode()
		}
		if row.row == nil {
			want = http.StatusUnprocessableEntity
		}
		if status := w.register(contentType, body); status != want {
			w.t.Errorf("%s: answered %d, want %d", row.name, status, want)
		}
		rows := w.sandbox.State().DataExtensions[sandbox.RegistrationsKey].Rows
		var got map[string]any
		if len(rows) > len(before) {
			got = rows[len(rows)-1]
		}
		if diff := cmp.Diff(row.row, got); diff != "" {
			w.t.Errorf("%s: row (-want +got):\n%s", row.name, diff)
		}
	}
}

// values writes a body in which one field holds a text.
func values(email, field, text string) string {
	all := map[string]string{"email": email, "name": "Ana"}
	all[field] = text
	body, _ := json.Marshal(all)
	return string(body)
}

// E-mail by the vendor's list: what it takes is stored as it came, what it flags is refused
// before it gets there.
func TestTypedEmail(t *testing.T) {
	t.Parallel()
	row := func(email string) map[string]any {
		return map[string]any{"SubscriberKey": email, "EmailAddress": email, "FirstName": "Ana"}
	}
	w := newTyped(t, "")
	var rows []typed
	for in, out := range map[string]string{
		"taro.@docomo.ne.jp":                         "taro.@docomo.ne.jp",
		"taro..yamada@docomo.ne.jp":                  "taro..yamada@docomo.ne.jp",
		"...hana..@ezweb.ne.jp":                      "...hana..@ezweb.ne.jp",
		"\u200bana@example.com\ufeff":                "ana@example.com",
		"\u202aben@example.com\u202c":                "ben@example.com",
		"\u3164\u2800cleo@example.com\u00a0\ufe0f":   "cleo@example.com",
		"dora@BÜCHER.example\u2060":                  "dora@xn--bcher-kva.example",
		strings.Repeat("a", 100) + "@example.com":    strings.Repeat("a", 100) + "@example.com",
		"ana@example":                                "",
		"ana@example.c":                              "",
		"ana@example.com.":                           "",
		"ana@exam ple.com":                           "",
		"a\u200bna@example.com":                      "",
		"josé@example.com":                           "",
		"ana@home@example.com":                       "",
		strings.Repeat("a", 101) + "@example.com":    "",
		"ana@" + strings.Repeat("b.", 123) + "ccccc": "",
	} {
		r := typed{name: in, json: values(in, "email", in)}
		if out != "" {
			r.row = row(out)
		}
		rows = append(rows, r)
	}
	rows = append(rows, typed{"a form post", "", url.Values{"email": {" \u200eemil..@example.com\u200f "}, "name": {"Ana"}}, row("emil..@example.com")})
	w.check(rows)
}

// Texts: what can't be seen is nothing, a line break is a blank or a line feed, and a
// character that was cut in two is named.
func TestTypedText(t *testing.T) {
	t.Parallel()
	w := newTyped(t, "")
	var rows []typed
	add := func(field, column, in, out string) {
		email := "t" + strconv.Itoa(len(rows)) + "@example.com"
		r := typed{name: field + " " + strconv.QuoteToASCII(in), json: values(email, field, in)}
		if out != "" {
			r.row = map[string]any{"SubscriberKey": email, "EmailAddress": email, "FirstName": "Ana"}
			r.row[column] = out
		}
		rows = append(rows, r)
	}
	for in, out := range map[string]string{
		"\u200b": "", "\u3164": "", "\u2800\u2800": "", "\ufeff\u00a0\u180e": "", "\u115f\u1160\uffa0": "", "\u202e \u2069": "", "\U000e0020\u034f": "", "\u200d\ufe0f": "",
		"\U0001d159\U00016fe4": "",
		"\u2060José\u200b":     "José",
		"❤\ufe0f":              "❤\ufe0f",
		"👩\u200d💻":             "👩\u200d💻",
		"می\u200cخواهم":        "می\u200cخواهم",
		"രാജന\u0d4d\u200d":     "രാജന\u0d4d\u200d",
		"葛\U000e0100城":         "葛\U000e0100城",
		"Ana\r\nMaría":         "Ana María",
		"Ana\tMaría\n":         "Ana María",
		"Ana\rMaría":           "Ana María",
		"Ana\u2028María":       "Ana María",
		"Ana\x07":              "",
	} {
		add("name", "FirstName", in, out)
	}
	for in, out := range map[string]string{
		"a\r\nb": "a\nb", "a\rb": "a\nb", "a\nb": "a\nb", "\r\na\r\n\r\nb\r\n": "a\n\nb", "a\u2029b": "a\nb",
	} {
		add("note", "Note", in, out)
	}
	for i, name := range []string{`"\ud83d"`, `"Ana \ud83d"`, `"\ude00\ud83d"`, `"\udfff Ana"`} {
		rows = append(rows, typed{"half " + strconv.Itoa(i), `{"email":"half@example.com","name":` + name + `}`, nil, nil})
	}
	rows = append(rows, typed{"a form post", "", url.Values{"email": {"post@example.com"}, "name": {"\u200b Ana\r\nM "}, "note": {"\r\n1\r\n2\r\n"}}, map[string]any{
		"SubscriberKey": "post@example.com", "EmailAddress": "post@example.com", "FirstName": "Ana M", "Note": "1\n2",
	}})
	w.check(rows)
}

// Phone numbers as they are written, without and with the form's country.
func TestTypedPhone(t *testing.T) {
	t.Parallel()
	for country, numbers := range map[string]map[string]string{
		"": {
			"+49 (0)30 123456":                    "+4930123456",
			"+39 (0)6 1234 5678":                  "+390612345678",
			"+44 (0) 20\u201179460958":            "+442079460958",
			"\u202a\u200e+49\u00a030\u2009123456": "+4930123456",
			"０３ー１２３４ー５６７８":                        "0312345678",
			"+36 (06) 30 123 4567":                "+36301234567",
			"030/12 34-56":                        "030123456",
			"0049 30 123456":                      "004930123456",
			"030 12345 ext. 6":                    "",
			"123":                                 "",
		},
		"    country: DE\n": {
			"030 123456":         "+4930123456",
			"(0151) 23 45 67 89": "+4915123456789",
			"0049 (0)30 123456":  "+4930123456",
			"+39 06 1234 5678":   "+390612345678",
			"４９ ３０ １２３４５６７８９":     "+4930123456789",
			"00 1 (415) 555‑2671": "+14155552671",
			"030":                 "",
			"+999 1234567":        "",
		},
		"    country: US\n": {
			"(415) 555-2671":      "+14155552671",
			"1.415.555.2671":      "+14155552671",
			"011 49 (0)30 123456": "+4930123456",
			"555-2671":            "",
		},
	} {
		t.Run(strings.TrimSpace(country), func(t *testing.T) {
			t.Parallel()
			var rows []typed
			for in, out := range numbers {
				email := "p" + strconv.Itoa(len(rows)) + "@example.com"
				r := typed{name: in, json: values(email, "phone", in)}
				if out != "" {
					r.row = map[string]any{"SubscriberKey": email, "EmailAddress": email, "FirstName": "Ana", "Phone": out}
				}
				rows = append(rows, r)
			}
			newTyped(t, country).check(rows)
		})
	}
}
