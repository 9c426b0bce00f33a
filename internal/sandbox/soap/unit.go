package soap

import (
	"strconv"

	"onramp/internal/sandbox/account"
)

// unitKind is BusinessUnit, or Account, which has the same properties.
func unitKind(name string) kind {
	return kind{read: "accounts_read", list: func(k *call, units []*account.Unit) list { return listUnits(k, name, units) }}
}

func listUnits(k *call, kind string, units []*account.Unit) list {
	mid := func(u *account.Unit) string { return u.MID }
	isChild := func(u *account.Unit) bool { return u.MID != account.MID }
	created := func(u *account.Unit) string { return showDate(u.Folders[0].Created) }
	columns := []column[*account.Unit]{{property{name: "Client.ID", dataType: "Int32"}, mid}}
	columns = append(columns, base(mid, func(*account.Unit) string { return "" }, mid, created, created)...)
	columns = append(columns,
		column[*account.Unit]{property{name: "AccountType", dataType: "String"}, func(u *account.Unit) string {
			if isChild(u) {
				return "BUSINESS_UNIT"
			}
			return "ENTERPRISE_2"
		}},
		column[*account.Unit]{property{name: "ParentID", dataType: "Int32"}, func(u *account.Unit) string {
			if isChild(u) {
				return account.MID
			}
			return "0"
		}},
		column[*account.Unit]{property{name: "ParentName", dataType: "String"}, func(u *account.Unit) string {
			if isChild(u) {
				return k.account.Units[account.MID].Name
			}
			return ""
		}},
		column[*account.Unit]{property{name: "Name", dataType: "String"}, func(u *account.Unit) string { return u.Name }},
		column[*account.Unit]{property{name: "BusinessName", dataType: "String"}, func(u *account.Unit) string { return u.Name }},
		column[*account.Unit]{property{name: "IsActive", dataType: "Int32"}, func(*account.Unit) string { return "1" }},
		column[*account.Unit]{property{name: "MasterUnsubscribeBehavior", dataType: "String"}, func(*account.Unit) string { return "ENTIRE_ENTERPRISE" }})
	return listOf(kind, columns, units)
}

// listKind is List: the one that every business unit has.
func listKind() kind {
	return kind{read: "list_and_subscribers_read", list: listLists}
}

func listLists(_ *call, units []*account.Unit) list {
	id := func(u *account.Unit) string { return strconv.FormatInt(u.Folders[0].ID, 10) }
	fixed := func(value string) func(*account.Unit) string { return func(*account.Unit) string { return value } }
	created := func(u *account.Unit) string { return showDate(u.Folders[0].Created) }
	category := func(u *account.Unit) string { return strconv.FormatInt(u.RootID("mysubs"), 10) }
	columns := []column[*account.Unit]{
		{property{name: "Client.ID", dataType: "Int32"}, func(u *account.Unit) string { return u.MID }},
		{property{"Client.PartnerClientKey", "String", true}, fixed("")},
	}
	columns = append(columns, base(id, func(u *account.Unit) string { return derivedID("list", u.MID) },
		func(u *account.Unit) string { return "All Subscribers - " + category(u) }, created, created)...)
	columns = append(columns,
		column[*account.Unit]{property{name: "ListName", dataType: "String"}, fixed("All Subscribers")},
		column[*account.Unit]{property{name: "Category", dataType: "Int32"}, category},
		column[*account.Unit]{property{name: "Type", dataType: "String"}, fixed("Private")},
		column[*account.Unit]{property{name: "Description", dataType: "String"}, fixed("Contains all subscribers")},
		column[*account.Unit]{property{"AutomatedEmail.ID", "Int32", true}, fixed("")},
		column[*account.Unit]{property{name: "ListClassification", dataType: "String"}, fixed("ExactTargetList")})
	return listOf("List", columns, units)
}
