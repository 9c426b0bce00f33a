package soap

import (
	"slices"
	"strconv"

	"onramp/internal/sandbox/account"
)

// contentType is the only kind of folders that the account holds; of others there are
// roots alone.
const contentType = "dataextension"

func folderKind() kind {
	return kind{
		read: "data_extensions_read", write: "data_extensions_write",
		list: listFolders, create: createFolder, update: updateFolder, remove: removeFolder,
	}
}

// folderOf is a folder of a business unit.
type folderOf struct {
	*account.Folder
	unit *account.Unit
	root *root // nil: it is below one
}

func (f folderOf) id() string       { return strconv.FormatInt(f.ID, 10) }
func (f folderOf) objectID() string { return derivedID("folder", f.id()) }

// origin is what the folder's root is.
func (f folderOf) origin() root {
	if f.root == nil {
		return roots()[0]
	}
	return *f.root
}

// ofRoot is a property that only roots have a value for.
func ofRoot(get func(root) string) func(folderOf) string {
	return func(f folderOf) string {
		if f.root == nil {
			return ""
		}
		return get(*f.root)
	}
}

// parentName is the name of the folder that it is in, or "".
func (f folderOf) parentName() string {
	if p := f.unit.Folder(f.Parent); p != nil {
		return p.Name
	}
	return ""
}

func listFolders(_ *call, units []*account.Unit) list {
	none := func(folderOf) string { return "" }
	always := func(folderOf) string { return "true" }
	columns := []column[folderOf]{{property{name: "Client.ID", dataType: "Int32"}, func(f folderOf) string { return f.unit.MID }}}
	columns = append(columns, base(folderOf.id, folderOf.objectID, ofRoot(func(r root) string { return r.key }),
		func(f folderOf) string { return showDate(f.Created) }, func(f folderOf) string { return showDate(f.Modified) })...)
	columns = append(columns,
		column[folderOf]{property: property{name: "ParentFolder.PartnerKey", dataType: "String"}},
		column[folderOf]{property{name: "ParentFolder.ID", dataType: "Int32"}, func(f folderOf) string { return strconv.FormatInt(f.Parent, 10) }},
		column[folderOf]{property{name: "ParentFolder.ObjectID", dataType: "String"}, func(f folderOf) string { return folderOf{Folder: &account.Folder{ID: f.Parent}}.objectID() }},
		column[folderOf]{property{name: "ParentFolder.CustomerKey", dataType: "String"}, none},
		column[folderOf]{property{name: "ParentFolder.Name", dataType: "String"}, folderOf.parentName},
		column[folderOf]{property{name: "Name", dataType: "String"}, func(f folderOf) string { return f.Name }},
		column[folderOf]{property{name: "Description", dataType: "String"}, ofRoot(func(r root) string { return r.description })},
		column[folderOf]{property{name: "ContentType", dataType: "String"}, func(f folderOf) string { return f.origin().contentType }},
		column[folderOf]{property{name: "IsActive", dataType: "Boolean"}, always},
		column[folderOf]{property{name: "IsEditable", dataType: "Boolean"}, func(f folderOf) string { return strconv.FormatBool(f.root == nil) }},
		column[folderOf]{property{name: "AllowChildren", dataType: "Boolean"}, always})
	var folders []folderOf
	for _, u := range units {
		folders = append(folders, foldersOf(u)...)
	}
	return listOf("DataFolder", columns, folders)
}

// createFolder makes a folder. Recorded: the answer to one that is made, which has no
// echo. Undocumented: the words for all else.
func createFolder(w *write, o *node) result {
	parent, err := strconv.ParseInt(o.child("ParentFolder").value("ID"), 10, 64)
	name := o.value("Name")
	switch {
	case o.value("ContentType") != contentType:
		return failed(codeUnexpected, "Folders of the content type '"+o.value("ContentType")+"' are not available.")
	case name == "":
		return failed(codeUnexpected, "The Name property is required.")
	case err != nil || w.unit.Folder(parent) == nil:
		return failed(codeUnexpected, "The parent folder does not exist.")
	case w.folderNamed(name, parent) != nil:
		return failed(codeUnexpected, "A folder with the same name already exists.")
	}
	f := folderOf{w.unit.AddFolder(name, parent, w.now), w.unit, nil}
	return result{message: "Folder created successfully.", id: f.ID, guid: f.objectID()}
}

// folderNamed is the folder of a name in another one, or nil.
func (w *write) folderNamed(name string, parent int64) *account.Folder {
	for _, f := range w.unit.Folders {
		if f.Name == name && f.Parent == parent {
			return f
		}
	}
	return nil
}

// folder is the folder that an object names: by its ID or its ObjectID.
func (w *write) folder(o *node) *account.Folder {
	for _, f := range w.unit.Folders {
		of := folderOf{f, w.unit, nil}
		if o.value("ID") == of.id() || o.value("ID") == "" && o.value(objectID) == of.objectID() {
			return f
		}
	}
	return nil
}

// updateFolder renames a folder, or moves it. The root stays where it is.
func updateFolder(w *write, o *node) result {
	f := w.folder(o)
	if f == nil {
		return failed(codeUnexpected, "The folder does not exist.")
	}
	parent, name := f.Parent, f.Name
	if id := o.child("ParentFolder").value("ID"); id != "" {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n != parent && (parent == 0 || !w.canHold(n, f)) {
			return failed(codeUnexpected, "The parent folder does not exist, or can not hold the folder.")
		}
		parent = n
	}
	if n := o.value("Name"); n != "" {
		name = n
	}
	if other := w.folderNamed(name, parent); other != nil && other != f {
		return failed(codeUnexpected, "A folder with the same name already exists.")
	}
	f.Parent, f.Name, f.Modified = parent, name, w.now
	return result{message: "Folder updated successfully.", object: echo(o)}
}

// canHold reports whether there is a folder and another one can be moved into it: it must
// not be in that one.
func (w *write) canHold(id int64, moved *account.Folder) bool {
	for f := w.unit.Folder(id); f != nil; f = w.unit.Folder(f.Parent) {
		if f == moved {
			return false
		}
		if f.Parent == 0 {
			return true
		}
	}
	return false
}

func removeFolder(w *write, o *node) result {
	f := w.folder(o)
	switch {
	case f == nil:
		return failed(codeUnexpected, "The folder does not exist.")
	case f.Parent == 0:
		return failed(codeUnexpected, "The folder can not be deleted.")
	case w.holds(f):
		return failed(codeUnexpected, "The folder is not empty.")
	}
	w.unit.Folders = slices.DeleteFunc(w.unit.Folders, func(other *account.Folder) bool { return other == f })
	return result{message: "Folder deleted successfully."}
}

// holds reports whether there is something in a folder.
func (w *write) holds(f *account.Folder) bool {
	return slices.ContainsFunc(w.unit.Folders, func(other *account.Folder) bool { return other.Parent == f.ID }) ||
		slices.ContainsFunc(w.unit.AllExtensions(), func(e *account.Extension) bool { return e.Category == f.ID })
}
