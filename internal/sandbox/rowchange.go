package sandbox

import (
	"cmp"
	"math/big"
	"net/http"
	"regexp"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// rowRoutes remove rows, add to numbers, and store rows a moment later. Scopes: as of the routes
// beside them.
func (s *Sandbox) rowRoutes() []wire.Route {
	list := []wire.Route{
		{Method: "POST", Pattern: "/hub/v1/dataevents/{id}/rowset/delete", JSON: true, Handle: s.deleteRows},
		{Method: "PUT", Pattern: "/hub/v1/dataevents/{id}/rows/{primaryKeys}/column/{column}/increment", Handle: s.incrementRow},
		{Method: "POST", Pattern: "/hub/v1/dataeventsasync/{id}/rowset", JSON: true, Handle: s.upsertRowsLater},
		{Method: "PUT", Pattern: "/hub/v1/dataeventsasync/{id}/rows/{primaryKeys}", JSON: true, Handle: s.upsertRowLater},
	}
	for i := range list {
		list[i].Scopes = []string{"data_extensions_write"}
	}
	return list
}

// step is by how much a number grows.
var step = regexp.MustCompile(`^-?[0-9]{1,10}$`)

// incrementRow answers PUT …/rows/{primaryKeys}/column/{column}/increment?step=N with
// 200 and no body, as documented. Undocumented: without a step it is 1; a row that there
// is not is made, as by the other routes for one row; a column that is no number is refused.
func (s *Sandbox) incrementRow(c *wire.Call) (wire.Answer, error) {
	by := cmp.Or(c.Request.URL.Query().Get("step"), "1")
	if !step.MatchString(by) {
		return wire.Answer{}, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidType, "Parameter {step} is invalid.")
	}
	now := s.lock()
	defer s.mu.Unlock()
	_, d, err := s.world.extension(c)
	if err != nil {
		return wire.Answer{}, err
	}
	column, ok := d.Column(c.Param("column"))
	if !ok || d.Columns[column].PrimaryKey || d.Columns[column].Type != table.TypeNumber && d.Columns[column].Type != table.TypeDecimal {
		return wire.Answer{}, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidType, "Parameter {column} is invalid.")
	}
	r, _, _, err := readRow(c, d, "{}")
	if err != nil {
		return wire.Answer{}, err
	}
	var old table.Value
	if at, ok := d.Find(r.Identity); ok {
		old = d.Rows[at].Cell(column)
	}
	r.Cells[column], r.Known = table.Value{Kind: table.KindNumber, Text: sum(old.Text, by, d.Columns[column].Scale)}, 1
	d.Examine(&r)
	problems, err := refuseAll(d, &r)
	if err != nil {
		return wire.Answer{}, err
	}
	if len(problems) > 0 {
		return wire.Answer{}, unsavable(d.ID, problems)
	}
	d.Save(&r, now)
	return wire.Answer{Status: http.StatusOK, ContentType: wire.JSONType}, nil
}

// sum adds two numbers, the first of which may be missing, with so many decimal places.
func sum(a, b string, scale int) string {
	total, term := new(big.Rat), new(big.Rat)
	if _, ok := total.SetString(a); !ok {
		total.SetInt64(0)
	}
	term.SetString(b) // it has digits only
	return total.Add(total, term).FloatString(scale)
}

// upsertRowsLater answers POST /hub/v1/dataeventsasync/{id}/rowset with 202 and the JSON
// string "", as documented: there is no request id to ask by. Undocumented: when rows are
// stored, and that bad ones are dropped without a word; they are stored as those of
// other asynchronous calls.
func (s *Sandbox) upsertRowsLater(c *wire.Call) (wire.Answer, error) {
	return s.upsertLater(c, func(d *table.Table) ([]table.SentRow, error) {
		rows, ok := d.ReadRowset(c.Body)
		if !ok {
			return nil, wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
		}
		return rows, nil
	})
}

// upsertRowLater answers PUT /hub/v1/dataeventsasync/{id}/rows/{primaryKeys} likewise.
func (s *Sandbox) upsertRowLater(c *wire.Call) (wire.Answer, error) {
	return s.upsertLater(c, func(d *table.Table) ([]table.SentRow, error) {
		r, _, _, err := readRow(c, d, string(c.Body))
		return []table.SentRow{r}, err
	})
}

func (s *Sandbox) upsertLater(c *wire.Call, read func(*table.Table) ([]table.SentRow, error)) (wire.Answer, error) {
	e, d, err := s.extension(c)
	if err != nil {
		return wire.Answer{}, err
	}
	rows, err := read(d)
	if err != nil {
		return wire.Answer{}, err
	}
	now := s.lock()
	defer s.mu.Unlock()
	life := jobTime
	if f := s.world.late(c, now, FaultJobTime).strike(nil); f != nil {
		life = f.delay()
	}
	s.world.jobs.queue(&job{extension: e, columns: d, count: len(rows), submitted: now, done: now.Add(life), rows: rows})
	return wire.JSON(http.StatusAccepted, ""), nil
}
