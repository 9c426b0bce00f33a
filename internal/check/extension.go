package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"onramp/internal/columns"
	"onramp/internal/onramp"
	"onramp/internal/spelling"
	"onramp/sfmc/metadata"
)

// extensionMenu is where a data extension is.
func extensionMenu(what string, under ...string) []string {
	return append([]string{"Contact Builder", "Data Extensions", what}, under...)
}

// extensions checks the data extensions that routes lead to.
func (c *Checks) extensions(ctx context.Context) ([]Finding, bool) {
	return c.eachDestination(ctx, onramp.DataExtension, c.extension), false
}

// eachDestination checks all destinations of a kind side by side.
func (c *Checks) eachDestination(ctx context.Context, kind onramp.DestinationKind, one func(ctx context.Context, to onramp.Destination) []Finding) []Finding {
	all := c.destinations(kind)
	each := make([][]Finding, len(all))
	var made sync.WaitGroup
	for i := range all {
		made.Go(func() { each[i] = one(ctx, all[i]) })
	}
	made.Wait()
	return slices.Concat(each...)
}

func (c *Checks) extension(ctx context.Context, to onramp.Destination) []Finding {
	found, err := c.account.DataExtension(ctx, to.Key)
	if errors.Is(err, metadata.ErrNotFound) {
		return []Finding{c.noExtension(ctx, to.Key)}
	}
	if err != nil {
		return []Finding{c.unanswered(to.Key, err, to)}
	}
	t := &table{DataExtension: found, menu: extensionMenu(found.Name, "Fields")}
	findings := slices.Concat(c.keyOf(t, to), c.columns(t, to), sendable(t, c.mails(to), c.sendKey(to)), retention(t))
	if len(findings) == 0 {
		findings = []Finding{ok(to.Key, fmt.Sprintf("it exists, and its %s fit", several(len(found.Fields), "column")))}
	}
	failed := slices.ContainsFunc(findings, func(f Finding) bool { return f.Level == Failure })
	if c.cfg.WriteProbe == nil || failed || slices.Contains(c.lacking, scopeExtensionsWrite) {
		return findings
	}
	return append(findings, c.probe(ctx, to))
}

// probe writes a marked row and removes it.
func (c *Checks) probe(ctx context.Context, to onramp.Destination) Finding {
	form := c.formsTo(to)[0]
	written, err := c.cfg.WriteProbe(ctx, form, to)
	unfit, isUnfit := errors.AsType[NoProbe](err)
	switch {
	case isUnfit:
		return warning(to.Key, fmt.Sprintf("no probe row was written by the form %s: %s", form.Name, unfit)).
			mend(Operator, "submit the form yourself to see its row arrive")
	case err == nil:
		return ok(to.Key, "a probe row was written and removed again")
	case written:
		return warning(to.Key, "a probe row was written but could not be removed: "+oneLine(err.Error())).
			mend(Admin, "remove it by hand").at(extensionMenu(to.Key, "Records")...)
	}
	return failure(to.Key, "a probe row could not be written: "+oneLine(err.Error())).
		mend(Operator, "compare the form with the data extension; a registration would be refused in the same way")
}

// noExtension is that there is none with a key.
func (c *Checks) noExtension(ctx context.Context, key string) Finding {
	f := failure(key, "the business unit has no data extension with this external key").
		mend(Operator, "set data_extension.key to the external key (not the name) of a data extension, or have onramp provision --apply create it").
		at(extensionMenu("External Key")...)
	all, err := c.account.DataExtensions(ctx)
	if err != nil {
		return f // it is only about a proposal
	}
	var keys []string
	for _, one := range all {
		if strings.EqualFold(one.Name, key) {
			f.Message += fmt.Sprintf("; the one with this name has the key %s", one.Key)
			return f
		}
		keys = append(keys, one.Key)
	}
	if near := spelling.Closest(key, keys); near != "" {
		f.Message += "; did you mean " + near + "?"
	}
	return f
}

// columns compares the columns with what each form sends. What is wrong for several
// forms is told once.
func (c *Checks) columns(t *table, to onramp.Destination) []Finding {
	var found []Finding
	for _, form := range c.formsTo(to) {
		t.form = form.Name
		for _, f := range t.compare(columns.Of(form, to)) {
			known := slices.ContainsFunc(found, func(k Finding) bool { return k.Object == f.Object })
			if !known {
				found = append(found, f)
			}
		}
	}
	return found
}

// keyOf compares the primary key with key_column.
func (c *Checks) keyOf(t *table, to onramp.Destination) []Finding {
	var primary []string
	for _, f := range t.Fields {
		if f.PrimaryKey {
			primary = append(primary, f.Name)
		}
	}
	same := len(primary) == len(to.KeyColumns) && !slices.ContainsFunc(to.KeyColumns, func(key string) bool {
		return !slices.ContainsFunc(primary, func(p string) bool { return strings.EqualFold(p, key) })
	})
	wanted := strings.Join(to.KeyColumns, ", ")
	switch {
	case same:
		return nil
	case len(primary) == 0:
		return []Finding{failure(t.Key, "it has no primary key, so that no row can be updated").
			mend(Admin, "make "+wanted+" the primary key").at(t.menu...)}
	}
	return []Finding{failure(t.Key, fmt.Sprintf("its primary key is %s, but key_column is %s", strings.Join(primary, ", "), wanted)).
		mend(Operator, fmt.Sprintf("set key_column: [%s] for this step, or ask the admin to make %s the primary key", strings.Join(primary, ", "), wanted)).at(t.menu...)}
}

// sendable says whether emails can be sent to the rows. mails: that is what they are for;
// key is the column with the subscriber key, "" where it can't be told.
func sendable(t *table, mails bool, key string) []Finding {
	f := warning(t.Key, "")
	if mails {
		f.Level = Failure
	}
	relate := fmt.Sprintf("relate %s to Subscriber Key", cmp.Or(key, t.SendableField, "the column with the subscriber key"))
	switch {
	case !t.Sendable:
		f.Message = "it is not sendable: no email can be sent to its rows, and no journey can use it"
		return []Finding{f.mend(Admin, "tick Is Sendable, and "+relate).at(extensionMenu(t.Name, "Edit", "Is Sendable")...)}
	case t.SubscriberField != "" && !isSubscriberKey(t.SubscriberField):
		f.Message = fmt.Sprintf("its send relationship leads to %s, not to Subscriber Key", t.SubscriberField)
	case key != "" && t.SendableField != "" && !strings.EqualFold(key, t.SendableField):
		f.Message = fmt.Sprintf("its send relationship begins at the column %s, but the subscriber key is in %s", t.SendableField, key)
	default:
		return nil
	}
	return []Finding{f.mend(Admin, relate).at(extensionMenu(t.Name, "Edit", "Send Relationship")...)}
}

// isSubscriberKey knows both names that Marketing Cloud has for it.
func isSubscriberKey(field string) bool {
	return slices.Contains([]string{"subscriberkey", "subscriber key"}, strings.ToLower(strings.TrimPrefix(field, "_")))
}

// retention says that rows are deleted after some time.
func retention(t *table) []Finding {
	r := t.Retention
	if r.Period == 0 && r.Until.IsZero() {
		return nil
	}
	what := "all rows are deleted"
	switch {
	case r.Rows:
		what = "each row is deleted"
	case r.DeleteAtEnd:
		what = "the data extension is deleted with all rows"
	}
	when := fmt.Sprintf("after %d %s", r.Period, strings.ToLower(r.Unit))
	if r.Period == 0 {
		when = "on " + r.Until.UTC().Format("2006-01-02")
	}
	return []Finding{warning(t.Key, "its retention policy says that "+what+" "+when).
		mend(Admin, "turn the retention policy off, unless that is what you want").at(extensionMenu(t.Name, "Edit", "Retention Policy")...)}
}

// mails says whether something of the forms that write to a data extension sends emails.
func (c *Checks) mails(to onramp.Destination) bool {
	for _, form := range c.formsTo(to) {
		if slices.ContainsFunc(form.Route, func(d onramp.Destination) bool { return d.Kind == onramp.Journey || d.Kind == onramp.Message }) {
			return true
		}
	}
	return false
}

// sendKey is the column of a destination that holds the subscriber key, "" where the
// forms differ or have none.
func (c *Checks) sendKey(to onramp.Destination) string {
	var keys []string
	for _, form := range c.formsTo(to) {
		keys = append(keys, columns.Subscriber(form, to))
	}
	if keys = slices.Compact(keys); len(keys) != 1 {
		return ""
	}
	return keys[0]
}
