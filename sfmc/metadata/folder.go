package metadata

import (
	"context"
	"strings"
)

// Folder is a folder for data extensions.
type Folder struct {
	ID       int64
	ParentID int64 // 0: it is at the top, as "Data Extensions" is
	Name     string
}

// contentType is that of folders for data extensions.
const contentType = "dataextension"

// Folders lists the folders for data extensions, in no order that means anything: SOAP's
// Retrieve of DataFolder.
func (c *Client) Folders(ctx context.Context) ([]Folder, error) {
	found, err := c.retrieve(ctx, OpFolders, query{ObjectType: "DataFolder", Properties: []string{"ID", "ParentFolder.ID", "Name", "ContentType"}, Filter: equals("ContentType", contentType)})
	if err != nil {
		return nil, err
	}
	all := make([]Folder, len(found))
	for i, r := range found {
		all[i] = Folder{ID: int64(r.ID), ParentID: int64(r.ParentFolder.ID), Name: r.Name}
	}
	return all, nil
}

// soapFolder is a folder to create.
type soapFolder struct {
	Type          string `xml:"xsi:type,attr"`
	Name          string
	Description   string
	ContentType   string
	ParentID      int64 `xml:"ParentFolder>ID"`
	IsActive      bool
	IsEditable    bool
	AllowChildren bool
}

// CreateFolder creates a folder below another one and returns its id: SOAP's Create of
// DataFolder. Name and ParentID are needed; ID is not sent.
func (c *Client) CreateFolder(ctx context.Context, f Folder) (id int64, err error) {
	if strings.TrimSpace(f.Name) == "" || f.ParentID <= 0 {
		return 0, invalid(OpCreateFolder, "no name, or no folder above it")
	}
	made, err := c.change(ctx, OpCreateFolder, "Create", soapFolder{
		Type: "DataFolder", Name: f.Name, Description: f.Name, ContentType: contentType, ParentID: f.ParentID, IsActive: true, IsEditable: true, AllowChildren: true,
	})
	if err != nil {
		return 0, err
	}
	if made.NewID <= 0 {
		return 0, unfit(OpCreateFolder, "no id")
	}
	return int64(made.NewID), nil
}
