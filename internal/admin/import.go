package admin

import (
	"net/http"

	"onramp/internal/importer"
)

// maxRows is the most that a portion of an import holds, in bytes.
const maxRows = 4 << 20

func (a *Admin) importRows(w http.ResponseWriter, r *http.Request) error {
	var p importer.Portion
	if err := readLargeJSON(r, &p, maxRows, `{"position":0,"rows":[{"line":2,"values":{"email":"ana@example.org"}}]}`); err != nil {
		return err
	}
	run, err := a.Desk.ImportRows(r.Context(), r.PathValue("id"), p)
	return write(w, run, err)
}

func (a *Admin) tryImport(w http.ResponseWriter, r *http.Request) error {
	var t importer.Trial
	if err := readLargeJSON(r, &t, maxRows, `{"form":"registration","rows":[{"line":2,"values":{"email":"ana@example.org"}}]}`); err != nil {
		return err
	}
	tried, err := a.Desk.Imports.Try(r.Context(), t)
	return write(w, tried, err)
}

func (a *Admin) listRefused(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	refused, err := a.Desk.Imports.Refusals(r.Context(), r.PathValue("id"), q.Get("cursor"))
	return write(w, refused, err)
}
