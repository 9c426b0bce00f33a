package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/literal"
	"onramp/internal/onramp"
)

// Store keeps imports.
type Store interface {
	// StartImport returns the import of the same file in the same way, if there is one.
	StartImport(ctx context.Context, s Start) (Run, error)
	// SaveImport stores what became of a portion, unless it is too early for that, or done.
	SaveImport(ctx context.Context, run Run, p Checked) (Run, error)
	FindImport(ctx context.Context, id int64) (Run, error)
	ListImports(ctx context.Context) ([]Run, error)
	ListRefusals(ctx context.Context, id int64, cursor string) (Refusals, error)
	// LeftAt is when a person has unsubscribed last; zero: never.
	LeftAt(ctx context.Context, subscriberKey string) (time.Time, error)
}

// Desk takes imports. Its fields are not changed once it is in use; its methods are safe for
// concurrent use.
type Desk struct {
	Store Store
	Forms map[string]*onramp.Form // by name
	Now   func() time.Time
	Log   *slog.Logger

	// MayImport says why a person is not to be taken whose registration was made at a time, ""
	// when it is: for those who were erased or have withdrawn. nil: only events decide.
	MayImport func(ctx context.Context, subscriberKey string, at time.Time) (reason string, err error)
}

var sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Start starts an import, or goes on with the one of the same file in the same way. The error
// is of kind Invalid when the request is wrong.
func (d *Desk) Start(ctx context.Context, s Start) (Run, error) {
	if _, err := d.form(&s.Spec); err != nil {
		return Run{}, err
	}
	if !sha256Text.MatchString(s.SHA256) {
		return Run{}, invalid("sha256", "must be the SHA-256 of the file, in lower-case hexadecimal")
	}
	run, err := d.Store.StartImport(ctx, s)
	if err == nil && run.Position == 0 {
		d.Log.InfoContext(ctx, "import started", "import", run.ID, "form", s.Form)
	}
	return run, err
}

// List lists the newest imports.
func (d *Desk) List(ctx context.Context) (Runs, error) {
	runs, err := d.Store.ListImports(ctx)
	return Runs{Items: append([]Run{}, runs...)}, err
}

// Find returns an import, or an error of kind NotFound.
func (d *Desk) Find(ctx context.Context, id string) (Run, error) {
	return d.Store.FindImport(ctx, number(id))
}

// Refusals lists what an import has refused.
func (d *Desk) Refusals(ctx context.Context, id, cursor string) (Refusals, error) {
	if _, err := d.Find(ctx, id); err != nil {
		return Refusals{}, err
	}
	p, err := d.Store.ListRefusals(ctx, number(id), cursor)
	p.Items = append([]Refusal{}, p.Items...)
	return p, err
}

// Take takes the next rows of an import. When it is too early for them, nothing is done and
// the run says so; nor is it when they were taken before. The error is of kind Conflict when
// rows before them are missing.
func (d *Desk) Take(ctx context.Context, id string, p Portion) (Run, error) {
	run, err := d.Find(ctx, id)
	if err != nil || run.State == Done {
		return run, err
	}
	switch {
	case p.Position > run.Position:
		return run, &onramp.Error{Kind: onramp.Conflict, Message: fmt.Sprintf("the import is at line %d: send what comes after it", run.Position)}
	case p.Position < run.Position:
		return run, nil // these were taken, and the answer was lost
	}
	form, err := d.form(&run.Spec)
	if err != nil {
		return run, err
	}
	checked, err := d.check(ctx, form, &run.Spec, p.Rows)
	if err != nil {
		return run, err
	}
	checked.To, checked.End = p.Position, p.End
	if n := len(p.Rows); n > 0 {
		checked.To = p.Rows[n-1].Line
	}
	return d.Store.SaveImport(ctx, run, checked)
}

// Try says what an import would do with some rows, and stores nothing. What of them is
// older than something that is stored it does not know.
func (d *Desk) Try(ctx context.Context, t Trial) (Tried, error) {
	form, err := d.form(&t.Spec)
	if err != nil {
		return Tried{}, err
	}
	checked, err := d.check(ctx, form, &t.Spec, t.Rows)
	return Tried{Accepted: int64(len(checked.Accepted)), Refused: append([]Refusal{}, checked.Refused...)}, err
}

// form finds the form of an import, and checks the rest of the request.
func (d *Desk) form(s *Spec) (*onramp.Form, error) {
	form := d.Forms[s.Form]
	if form == nil {
		return nil, invalid("form", "must be the name of a form in the configuration")
	}
	if len(route(form, s)) == 0 {
		return nil, invalid("with_journeys", "must be set: the form's route has only journeys and messages")
	}
	for column, is := range s.Map {
		if is != "" && !isSpecial(is) && !takes(form, is) {
			return nil, invalid("map", fmt.Sprintf("maps %s to %s, which is no field of the form, nor %s, %s, %s or %s",
				strconv.Quote(column), strconv.Quote(is), ReceivedAt, IP, UserAgent, PageURL))
		}
	}
	return form, nil
}

// route is where what is imported goes.
func route(form *onramp.Form, s *Spec) (route []onramp.Destination) {
	for _, to := range form.Route {
		if s.WithJourneys || to.Kind == onramp.DataExtension {
			route = append(route, to)
		}
	}
	return route
}

func isSpecial(name string) bool {
	return slices.Contains([]string{ReceivedAt, IP, UserAgent, PageURL}, name)
}

func takes(form *onramp.Form, name string) bool {
	return slices.ContainsFunc(form.Fields, func(f onramp.Field) bool { return f.From == onramp.Submitted && f.Name == name })
}

// means is what a column of the file is: as the request maps it, a field by its name or by
// its column in the data extension, or something that Onramp fills in otherwise.
func means(form *onramp.Form, s *Spec, column string) (is string, known bool) {
	if is, mapped := s.Map[column]; mapped {
		return is, true
	}
	if takes(form, column) || isSpecial(column) {
		return column, true
	}
	for _, f := range form.Fields {
		if f.Column == "" || !strings.EqualFold(f.Column, column) {
			continue
		}
		switch f.From {
		case onramp.Submitted:
			return f.Name, true
		case onramp.FromReceivedAt:
			return ReceivedAt, true
		case onramp.FromIP:
			return IP, true
		case onramp.FromUserAgent:
			return UserAgent, true
		case onramp.FromPageURL:
			return PageURL, true
		case onramp.FromConstant:
			return "", true // the form has it
		}
	}
	return "", false
}

// check checks rows as those that a site submits.
func (d *Desk) check(ctx context.Context, form *onramp.Form, s *Spec, rows []Row) (c Checked, err error) {
	if len(rows) > MostRows {
		return c, invalid("rows", fmt.Sprintf("must be %d at most", MostRows))
	}
	for _, f := range d.Forms {
		if f == form || slices.ContainsFunc(f.Route, func(to onramp.Destination) bool {
			return to.Upserts() && slices.ContainsFunc(form.Route, func(o onramp.Destination) bool { return o.ID == to.ID })
		}) {
			c.Forms = append(c.Forms, f.Name)
		}
	}
	line := int64(0)
	for _, row := range rows {
		if row.Line <= line {
			return c, invalid("rows", "must be in the order of their lines")
		}
		line = row.Line
		one, refused, err := d.read(ctx, form, s, &row)
		if err != nil {
			return c, err
		}
		if c.Refused = append(c.Refused, refused...); len(refused) == 0 {
			c.Accepted = append(c.Accepted, one)
		}
	}
	return c, nil
}

// read makes a registration of a row, or says why it is none.
func (d *Desk) read(ctx context.Context, form *onramp.Form, s *Spec, row *Row) (a Accepted, refused []Refusal, err error) {
	refuse := func(field, reason string) { refused = append(refused, Refusal{row.Line, field, reason}) }
	if row.Wrong != "" {
		refuse("", NotRead+": "+row.Wrong)
		return a, refused, nil
	}
	now := d.Now().UTC().Truncate(time.Microsecond)
	submission := onramp.Submission{ReceivedAt: now}
	for _, column := range sortedColumns(row.Values) {
		is, known := means(form, s, column)
		value, ok := scalar(row.Values[column], s.Text)
		switch {
		case !known:
			refuse(column, "is no field of the form: map the column to one, or to nothing")
		case is == "":
		case !ok:
			refuse(column, "must be a text, a number, true, false or null")
		case !isSpecial(is) || takes(form, is):
			submission.Inputs = append(submission.Inputs, onramp.Input{Name: is, Value: value})
		default:
			if reason := setPast(&submission, is, strings.TrimSpace(value.Text), now); reason != "" {
				refuse(column, reason)
			}
		}
	}
	if len(refused) > 0 {
		return a, refused, nil
	}
	r, err := form.Accept(submission)
	if e, known := errors.AsType[*onramp.Error](err); known {
		for _, f := range e.Fields {
			refuse(f.Field, f.Message)
		}
		return a, refused, nil
	}
	if err != nil {
		return a, nil, err
	}
	a = Accepted{Line: row.Line, Registration: &r, OriginalAt: submission.ReceivedAt}
	r.ID, r.ReceivedAt, r.Route = onramp.NewID(now), now, route(form, s) // it is stored now: only its values are of the past
	reason, err := d.mayImport(ctx, &a)
	if reason != "" {
		refuse("", reason)
	}
	return a, refused, err
}

// mayImport says why a person is not brought back.
func (d *Desk) mayImport(ctx context.Context, a *Accepted) (reason string, err error) {
	left, err := d.Store.LeftAt(ctx, a.Registration.SubscriberKey)
	if err != nil || left.After(a.OriginalAt) {
		return Left, err
	}
	if d.MayImport == nil {
		return "", nil
	}
	return d.MayImport(ctx, a.Registration.SubscriberKey, a.OriginalAt)
}

// setPast takes what Onramp would fill in from the row.
func setPast(s *onramp.Submission, is, text string, now time.Time) (reason string) {
	if text == "" {
		return ""
	}
	switch is {
	case ReceivedAt:
		at, err := parseTime(text)
		if err != nil || at.After(now) {
			return "must be a time in the past, such as 2024-05-31T12:00:00Z"
		}
		s.ReceivedAt = at
	case IP:
		s.IP = text
	case UserAgent:
		s.UserAgent = text
	case PageURL:
		s.PageURL = text
	}
	return ""
}

// parseTime reads a time as people and programs write it; without a zone it is UTC.
func parseTime(text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at.UTC().Truncate(time.Microsecond), nil
	}
	normal, err := literal.Time(text, time.UTC)
	if err != nil {
		return time.Time{}, err
	}
	for _, layout := range []string{literal.Stored, time.DateOnly} {
		if at, err := time.Parse(layout, normal); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, literal.ErrTime
}

func sortedColumns(values map[string]json.RawMessage) []string {
	columns := make([]string, 0, len(values))
	for column := range values {
		columns = append(columns, column)
	}
	slices.Sort(columns)
	return columns
}

// scalar reads a value; texts of a CSV file are as those of a form post.
func scalar(value json.RawMessage, isText bool) (s onramp.Scalar, ok bool) {
	value = bytes.TrimSpace(value)
	switch {
	case len(value) == 0 || string(value) == "null":
		return onramp.Scalar{Kind: onramp.Null}, true
	case string(value) == "true":
		return onramp.Scalar{Kind: onramp.True}, true
	case string(value) == "false":
		return onramp.Scalar{Kind: onramp.False}, true
	case value[0] == '"':
		s.Kind = onramp.String
		if isText {
			s.Kind = onramp.Posted
		}
		return s, json.Unmarshal(value, &s.Text) == nil
	case value[0] == '{' || value[0] == '[':
		return s, false
	}
	return onramp.Scalar{Kind: onramp.Number, Text: string(value)}, true
}

func number(id string) int64 {
	n, _ := strconv.ParseInt(id, 10, 64) // 0 is nobody's
	return n
}

func invalid(field, message string) error {
	return &onramp.Error{Kind: onramp.Invalid, Message: field + " " + message, Fields: []onramp.FieldError{{Field: field, Message: message}}}
}
