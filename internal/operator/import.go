package operator

import (
	"context"

	"onramp/internal/importer"
	"onramp/internal/onramp"
)

// StartImport starts an import of a file; see [importer.Desk.Start].
func (d *Desk) StartImport(ctx context.Context, s importer.Start) (importer.Run, error) {
	return audited(ctx, d, change{what: "imports.start", role: onramp.RoleOperate, object: s.Form}, func(ctx context.Context) (importer.Run, error) {
		return d.Imports.Start(ctx, s)
	})
}

// ImportRows takes the next rows of an import; see [importer.Desk.Take].
func (d *Desk) ImportRows(ctx context.Context, id string, p importer.Portion) (importer.Run, error) {
	return audited(ctx, d, change{what: "imports.rows", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (importer.Run, error) {
		return d.Imports.Take(ctx, id, p)
	})
}
