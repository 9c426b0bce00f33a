package soap

import "onramp/internal/sandbox/account"

// root is a folder that every business unit has from the start, for one kind of content.
type root struct {
	contentType, key, name, description string
	shared                              bool // the enterprise's alone
}

// roots are those with the names that recorded answers have; the account holds the first,
// and the others stay empty, since it holds none of their content. Programs read them
// before anything else, and expect that there are some.
func roots() []root {
	return []root{
		{contentType: contentType, key: "dataextension_default", name: "Data Extensions"},
		{contentType: "Hidden", key: "HiddenCategory_default", name: "HiddenCategory", description: "Hidden folder to store Hidden items"},
		{contentType: "SSJSActivity", key: "SSJSActivity_default", name: "Scripts"},
		{contentType: "asset", name: "Content Builder", description: "The root folder for assets"},
		{contentType: "asset-shared", name: "Shared Content", description: "The root shared folder for assets", shared: true},
		{contentType: "automations", name: "my automations"},
		{contentType: "cloudpages", name: "CloudPages", description: "The root folder for CloudPages"},
		{contentType: "contextual_suppression_list", key: "contextual_suppression_list_default", name: "Auto-Suppression Configuration"},
		{contentType: "journey", key: "journey_default", name: "my journeys", description: "The root folder for Journeys"},
		{contentType: "list", key: "list_default", name: "my lists"},
		{contentType: "mysubs", key: "mysubs_default", name: "my subscribers"},
		{contentType: "publication", key: "publication_default", name: "Publication Lists"},
		{contentType: "queryactivity", key: "queryactivity_default", name: "Query"},
		{contentType: "salesforcedataextension", key: "salesforcedataextension_default", name: "Salesforce Data Extensions"},
		{contentType: "shared_data", key: "shared_data_default", name: "Shared Items", shared: true},
		{contentType: "suppression_list", key: "suppression_list_default", name: "Suppression Lists"},
		{contentType: "triggered_send", key: "triggered_send_default", name: "Triggered Sends"},
		{contentType: "triggered_send_journeybuilder", key: "triggered_send_journeybuilder", name: "Journey Builder Sends"},
		{contentType: "userinitiatedsends", key: "userinitiatedsends_default", name: "User-Initiated"},
	}
}

// foldersOf are all folders of a business unit.
func foldersOf(u *account.Unit) []folderOf {
	all := roots()
	folders := []folderOf{{u.Folders[0], u, &all[0]}}
	for _, f := range u.Folders[1:] {
		folders = append(folders, folderOf{f, u, nil})
	}
	for _, r := range all[1:] {
		if !r.shared || u.MID == account.MID {
			began := u.Folders[0].Created
			folders = append(folders, folderOf{&account.Folder{ID: u.RootID(r.contentType), Name: r.name, Created: began, Modified: began}, u, &r})
		}
	}
	return folders
}
