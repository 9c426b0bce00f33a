package provision

import (
	"context"
	"fmt"
	"strings"

	"onramp/internal/setup"
	"onramp/sfmc/metadata"
)

// root is the name of the topmost folder.
const root = "Data Extensions"

// folder is where data extensions are created.
type folder struct {
	planned bool
	id      int64 // 0: it is not there yet
}

// planFolder finds the folder, and adds a step if it is to be created.
func (p *plan) planFolder(ctx context.Context) error {
	if p.folder.planned {
		return nil
	}
	p.folder.planned = true
	top, found, err := p.findFolder(ctx)
	if err != nil || found != 0 {
		p.folder.id = found
		return err
	}
	p.add(setup.Create, Folder, p.cfg.Folder, "below "+root, func(ctx context.Context) error {
		id, err := p.cfg.Account.CreateFolder(ctx, metadata.Folder{ParentID: top, Name: p.cfg.Folder})
		if err != nil {
			return err
		}
		_, found, err := p.findFolder(ctx)
		if err == nil && found != id {
			err = ignored("there is no folder " + p.cfg.Folder)
		}
		p.folder.id = id
		return err
	})
	return nil
}

// findFolder finds the topmost folder, and the one that the configuration names; 0: there is
// none yet. Of several with the name it is the one right below the topmost folder.
func (p *plan) findFolder(ctx context.Context) (top, found int64, err error) {
	all, err := p.cfg.Account.Folders(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, f := range all {
		if f.ParentID == 0 && strings.EqualFold(f.Name, root) {
			top = f.ID
		}
	}
	if top == 0 {
		return 0, 0, &misplaced{fmt.Sprintf("there is no folder %s", root)}
	}
	if p.cfg.Folder == "" || strings.EqualFold(p.cfg.Folder, root) {
		return top, top, nil
	}
	var named []metadata.Folder
	for _, f := range all {
		switch {
		case !strings.EqualFold(f.Name, p.cfg.Folder):
		case f.ParentID == top:
			return top, f.ID, nil
		default:
			named = append(named, f)
		}
	}
	switch len(named) {
	case 0:
		return top, 0, nil
	case 1:
		return top, named[0].ID, nil
	}
	return 0, 0, &misplaced{fmt.Sprintf("there are %d folders with the name %s", len(named), p.cfg.Folder)}
}

// misplaced says that the folder can't be told.
type misplaced struct{ why string }

func (m *misplaced) Error() string { return m.why }
