package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"onramp/internal/columns"
	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/sfmc/metadata"
)

// extension is a data extension that forms write to.
type extension struct {
	want    metadata.DataExtension // without its columns
	columns []columns.Column
	have    *metadata.DataExtension // nil: there is none yet
}

// readExtensions finds the data extensions that the steps of all forms write to, and reads
// them. The one behind an event that exists is the event's, whatever the configuration
// would have made.
func (p *plan) readExtensions(ctx context.Context, events []*event) error {
	for i := range p.cfg.Forms {
		form := &p.cfg.Forms[i]
		for _, to := range form.Route {
			if to.Kind == onramp.DataExtension {
				p.extension(form, to, extensionKey(form, to))
			}
		}
	}
	for _, e := range events {
		for i := range p.cfg.Forms {
			form := &p.cfg.Forms[i]
			for _, to := range form.Route {
				if to.Kind == onramp.Journey && to.Key == e.key {
					e.extension = p.extension(form, to, cmp.Or(e.extensionKey, extensionKey(form, to)))
				}
			}
		}
	}
	for _, e := range p.extensions {
		have, err := p.cfg.Account.DataExtension(ctx, e.want.Key)
		if err != nil && !errors.Is(err, metadata.ErrNotFound) {
			return err
		}
		e.have = have
	}
	return nil
}

// extension notes that a form's step writes to a data extension, with others perhaps.
func (p *plan) extension(form *onramp.Form, to onramp.Destination, key string) *extension {
	want, sent := Desired(form, to), columns.Of(form, to)
	want.Key, want.Name, want.Fields = key, key, nil
	at := slices.IndexFunc(p.extensions, func(e *extension) bool { return strings.EqualFold(e.want.Key, key) })
	if at < 0 {
		e := &extension{want: want, columns: sent}
		p.extensions = append(p.extensions, e)
		return e
	}
	e := p.extensions[at]
	if !e.want.Sendable { // where forms differ, the first one decides
		e.want.Sendable, e.want.SendableField, e.want.SubscriberField = want.Sendable, want.SendableField, want.SubscriberField
	}
	e.columns = columns.Join(e.columns, sent)
	return e
}

func (e *extension) column(name string) *columns.Column {
	for i := range e.columns {
		if strings.EqualFold(e.columns[i].Name, name) {
			return &e.columns[i]
		}
	}
	return nil
}

// planExtension adds the steps for a data extension.
func (p *plan) planExtension(ctx context.Context, e *extension) error {
	if e.have == nil {
		return p.planCreation(ctx, e)
	}
	before := len(p.steps)
	p.compareKey(e)
	p.compareSending(e)
	for i := range e.columns {
		p.planColumn(e, &e.columns[i])
	}
	for _, f := range e.have.Fields {
		if f.Required && f.Default == "" && e.column(f.Name) == nil {
			p.leave(Column, e.name(f.Name), "left alone: it is required, and no form sends it; make it nullable in Marketing Cloud, or add a field for it")
		}
	}
	if len(p.steps) == before {
		p.keep(Extension, e.want.Key, fmt.Sprintf("%d columns", len(e.have.Fields)))
	}
	return nil
}

// name is that of a column in steps.
func (e *extension) name(column string) string { return e.want.Key + "." + column }

// shortest is the least length that a text column is created with: Marketing Cloud's own,
// so that a longer choice or constant needs no other column tomorrow.
const shortest = 50

// created is a column as it is created.
func created(c *columns.Column) metadata.Field {
	f := c.Field
	if f.Type == metadata.Text {
		f.Length = max(f.Length, shortest)
	}
	return f
}

func (p *plan) planCreation(ctx context.Context, e *extension) error {
	if err := p.planFolder(ctx); err != nil {
		return err
	}
	d := e.want
	var described []string
	for i := range e.columns {
		d.Fields = append(d.Fields, created(&e.columns[i]))
		described = append(described, describe(created(&e.columns[i])))
	}
	detail := strings.Join(described, ", ")
	if d.Sendable {
		detail += "; sendable by " + d.SendableField
	}
	p.add(setup.Create, Extension, d.Key, detail, func(ctx context.Context) error {
		d.CategoryID = p.folder.id
		return p.create(ctx, e, d)
	})
	return nil
}

// describe tells what a column is, such as "SubscriberKey Text(254) key".
func describe(f metadata.Field) string {
	text := f.Name + " " + kind(f)
	switch {
	case f.PrimaryKey:
		text += " key"
	case f.Required:
		text += " required"
	}
	return text
}

// kind is a column's type with its length, such as "Text(254)".
func kind(f metadata.Field) string {
	switch {
	case f.Type == metadata.Decimal && f.Length > 0:
		return fmt.Sprintf("%s(%d,%d)", f.Type, f.Length, f.Scale)
	case f.Length > 0 && (f.Type == metadata.Text || f.Type == metadata.EmailAddress):
		return fmt.Sprintf("%s(%d)", f.Type, f.Length)
	}
	return f.Type
}

// create makes a data extension, adds by SOAP what REST has ignored, and reads it back.
func (p *plan) create(ctx context.Context, e *extension, d metadata.DataExtension) error {
	id, err := p.cfg.Account.CreateDataExtension(ctx, d)
	if err != nil {
		return err
	}
	have, err := p.cfg.Account.DataExtension(ctx, d.Key)
	if errors.Is(err, metadata.ErrNotFound) {
		return ignored("there is no data extension " + d.Key)
	}
	if err != nil {
		return err
	}
	var lacking []metadata.Field
	for _, f := range d.Fields {
		if field(have, f.Name) == nil && !f.PrimaryKey {
			f.Required = false
			lacking = append(lacking, f)
		}
	}
	if lacking != nil {
		if err := p.cfg.Account.AddFields(ctx, d.Key, lacking); err != nil {
			return err
		}
		if have, err = p.cfg.Account.DataExtension(ctx, d.Key); err != nil {
			return err
		}
	}
	have.ID, e.have = cmp.Or(have.ID, id), have
	return differs(have, d)
}

// differs says what of a data extension is not as it was to be created.
func differs(have *metadata.DataExtension, want metadata.DataExtension) error {
	for _, f := range want.Fields {
		is := field(have, f.Name)
		switch {
		case is == nil:
			return ignored("there is no column " + f.Name)
		case is.Type != f.Type:
			return ignored(fmt.Sprintf("the column %s is %s and not %s", f.Name, kind(*is), kind(f)))
		case is.PrimaryKey != f.PrimaryKey:
			return ignored("the primary key is another one: see the column " + f.Name)
		case isShort(is, f.Length):
			return ignored(fmt.Sprintf("the column %s is %s and not %s", f.Name, kind(*is), kind(f)))
		}
	}
	if want.Sendable && !have.Sendable {
		return ignored("the data extension is not sendable")
	}
	return nil
}

// isShort says whether a column is shorter than it must be.
func isShort(is *metadata.Field, length int) bool {
	return (is.Type == metadata.Text || is.Type == metadata.EmailAddress) && is.Length > 0 && is.Length < length
}

// field finds a column, as Marketing Cloud compares names; nil: there is none.
func field(d *metadata.DataExtension, name string) *metadata.Field {
	for i := range d.Fields {
		if strings.EqualFold(d.Fields[i].Name, name) {
			return &d.Fields[i]
		}
	}
	return nil
}

// planColumn adds the step for a column of a data extension that exists.
func (p *plan) planColumn(e *extension, c *columns.Column) {
	is, name := field(e.have, c.Name), e.name(c.Name)
	switch {
	case is == nil && c.PrimaryKey: // what else is wrong the primary key says
	case is == nil:
		p.planNewColumn(e, c)
	case !c.Takes(is.Type):
		p.leave(Column, name, fmt.Sprintf("left alone: it is %s, and the forms need %s; delete it in Marketing Cloud and run this again, or change the type of the field", kind(*is), kind(c.Field)))
	case is.Required && is.Default == "" && !c.Always:
		p.leave(Column, name, "left alone: it is required, and the forms don't always have a value; make it nullable in Marketing Cloud, or the field required")
	case isShort(is, c.Needs(is.Type)):
		p.planLonger(e, is, c.Needs(is.Type))
	}
}

func (p *plan) planNewColumn(e *extension, c *columns.Column) {
	f := created(c)
	f.Required = false // rows that exist have no value
	p.add(setup.Create, Column, e.name(f.Name), kind(f), func(ctx context.Context) error {
		if err := p.cfg.Account.AddFields(ctx, e.want.Key, []metadata.Field{f}); err != nil {
			return err
		}
		return p.readBack(ctx, e, f)
	})
}

func (p *plan) planLonger(e *extension, is *metadata.Field, length int) {
	f := *is
	f.Length = length
	p.add(setup.Update, Column, e.name(is.Name), kind(*is)+" becomes "+kind(f), func(ctx context.Context) error {
		if err := p.cfg.Account.LengthenField(ctx, e.want.Key, f); err != nil {
			return err
		}
		return p.readBack(ctx, e, f)
	})
}

// readBack says whether a column is now as it was to be.
func (p *plan) readBack(ctx context.Context, e *extension, f metadata.Field) error {
	have, err := p.cfg.Account.DataExtension(ctx, e.want.Key)
	if err != nil {
		return err
	}
	e.have = have
	return differs(have, metadata.DataExtension{Fields: []metadata.Field{f}})
}

// compareKey says what is wrong with the primary key, which nobody can change.
func (p *plan) compareKey(e *extension) {
	var have, want []string
	for _, f := range e.have.Fields {
		if f.PrimaryKey {
			have = append(have, f.Name)
		}
	}
	for i := range e.columns {
		if e.columns[i].PrimaryKey {
			want = append(want, e.columns[i].Name)
		}
	}
	fold := func(names []string) []string {
		return slices.Sorted(slices.Values(strings.Split(strings.ToLower(strings.Join(names, "\n")), "\n")))
	}
	if slices.Equal(fold(have), fold(want)) || want == nil {
		return
	}
	is := "it has no primary key"
	if have != nil {
		is = "its primary key is " + strings.Join(have, ", ")
	}
	p.leave(Extension, e.want.Key, fmt.Sprintf("left alone: %s, and key_column is %s; change key_column, or create another data extension", is, strings.Join(want, ", ")))
}

// compareSending says what is wrong with the send relationship.
func (p *plan) compareSending(e *extension) {
	const menu = " in Contact Builder → Data Extensions → the data extension → Edit"
	switch {
	case !e.want.Sendable:
	case !e.have.Sendable:
		p.leave(Extension, e.want.Key, "left alone: it is not sendable, so no email can go to its rows; tick Is Sendable and relate "+e.want.SendableField+" to Subscriber Key"+menu)
	case !strings.EqualFold(e.have.SendableField, e.want.SendableField):
		p.leave(Extension, e.want.Key, fmt.Sprintf("left alone: its send relationship begins at %s, and the subscriber key is in %s; change it%s", e.have.SendableField, e.want.SendableField, menu))
	}
}
