package soap

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

const (
	// maxBatch is the largest batch, and the one that is not asked for.
	maxBatch = 2500
	// readingLife is how long a request can be continued. Undocumented.
	readingLife = 30 * time.Minute
	// maxReadings bounds the memory: the oldest is forgotten.
	maxReadings = 50
)

// reading is a Retrieve that can be continued.
type reading struct {
	id      string // the RequestID of its answers
	owner   wire.Token
	list    list
	objects []int // those that are still to come
	asked   []int // properties
	batch   int
	expires time.Time
}

// readings are those that can be continued, oldest first.
type readings struct{ list []*reading }

// take finds a reading and forgets it; another token of the same package does, too.
func (rs *readings) take(id string, t wire.Token, now time.Time) *reading {
	for i, r := range rs.list {
		if r.id == id && r.owner.Client == t.Client && r.owner.Unit == t.Unit && now.Before(r.expires) {
			rs.list = slices.Delete(rs.list, i, i+1)
			return r
		}
	}
	return nil
}

func (rs *readings) keep(r *reading) {
	if len(rs.list) == maxReadings {
		rs.list = slices.Delete(rs.list, 0, 1)
	}
	rs.list = append(rs.list, r)
}

// problem is why nothing is retrieved: it stands in OverallStatus.
type problem string

func (p problem) Error() string { return string(p) }

// retrieve answers Retrieve. A mistake of the request's form is a fault, one in what it
// asks for stands in OverallStatus.
func (k *call) retrieve(body, response *node) error {
	r, err := k.reading(body.child("RetrieveRequest"))
	if p, ok := errors.AsType[problem](err); ok {
		response.add(text("OverallStatus", "Error: "+string(p)), text("RequestID", wire.NewGUID()))
		return nil
	}
	if err != nil {
		return err
	}
	page, status := r.objects, "OK"
	if len(page) > r.batch {
		page, status = page[:r.batch], "MoreDataAvailable"
		r.objects, r.expires = r.objects[r.batch:], k.now.Add(readingLife)
		k.readings.keep(r)
	}
	response.add(text("OverallStatus", status), text("RequestID", r.id))
	for _, object := range page {
		response.add(r.list.result(object, r.asked))
	}
	return nil
}

// reading is what a request asks for: anew, or more of what it asked for before.
// Undocumented: what is said of a request that cannot be continued.
func (k *call) reading(q *node) (*reading, error) {
	if id := q.value("ContinueRequest"); id != "" {
		if r := k.readings.take(id, k.token, k.now); r != nil {
			return r, nil
		}
		return nil, problem("The request " + id + " can not be continued.")
	}
	l, err := k.list(q)
	if err != nil {
		return nil, err
	}
	r := &reading{id: wire.NewGUID(), owner: k.token, list: l, batch: maxBatch}
	if n, err := strconv.Atoi(q.child("Options").value("BatchSize")); err == nil && n > 0 {
		r.batch = min(n, maxBatch)
	}
	if names := q.texts("Properties"); !l.exact || !slices.Equal(names, []string{"*"}) {
		r.asked, err = l.indexes(names)
	} else {
		l.length = 0 // known from a tenant: no row, and OK
	}
	if err != nil {
		return nil, err
	}
	pass := func(int) bool { return true }
	if q.has("Filter") {
		pass, err = l.filter(q.child("Filter"))
	}
	if err != nil {
		return nil, err
	}
	for object := range l.length {
		if pass(object) {
			r.objects = append(r.objects, object)
		}
	}
	return r, nil
}

// list is what there is of the object type that a request asks for.
func (k *call) list(q *node) (list, error) {
	name := q.value("ObjectType")
	units, err := k.unitsFor(q)
	if err != nil {
		return list{}, err
	}
	if reference, isRow := rowReference(name); isRow {
		return k.rows(units, reference)
	}
	t := k.kinds[name]
	if t.list == nil {
		return list{}, problem(unsupported(name))
	}
	if !k.token.Allows(t.read) {
		return list{}, problem(lacksPermission)
	}
	return t.list(k, units), nil
}

// unitsFor are the business units that a request is about.
func (k *call) unitsFor(q *node) ([]*account.Unit, error) {
	if all := q.value("QueryAllAccounts"); strings.EqualFold(all, "true") || all == "1" {
		return k.units(), nil
	}
	var units []*account.Unit
	for _, client := range q.all("ClientIDs") {
		u, ok := k.unitWith(clientID(client))
		if !ok {
			return nil, problem(lacksPermission)
		}
		units = append(units, u)
	}
	if len(units) == 0 {
		units = []*account.Unit{k.unit}
	}
	return units, nil
}

// clientID is the MID in an element of the type ClientID, which has two names for it.
func clientID(client *node) string {
	if id := client.value("ID"); id != "" {
		return id
	}
	return client.value("ClientID")
}

// indexes finds the properties that are asked for. The words for one that there is not
// are recorded; those for none are not.
func (l list) indexes(names []string) ([]int, error) {
	if len(names) == 0 {
		return nil, problem("At least one property must be requested.")
	}
	if l.properties == nil {
		return nil, nil
	}
	var asked []int
	var unknown []string
	for _, name := range names {
		i, ok := l.index(name)
		if !ok {
			unknown = append(unknown, name)
			continue
		}
		asked = append(asked, i)
	}
	switch {
	case unknown == nil:
		return asked, nil
	case l.exact: // SQL Server's own words, which clients look for
		return nil, problem(fmt.Sprintf("Invalid column name '%s'.", unknown[0]))
	}
	return nil, problem(fmt.Sprintf("The Request Property(s) %s do not match with the fields of %s retrieve", strings.Join(unknown, ", "), l.kind))
}
