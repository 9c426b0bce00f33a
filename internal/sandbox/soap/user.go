package soap

import (
	"strconv"

	"onramp/internal/sandbox/account"
)

// The one user, as REST's userinfo has it. Undocumented: the number of the time zone.
const (
	userName  = "sandbox-api-user"
	userEmail = "sandbox@example.org"
	zoneID    = "10"
	zoneName  = "(GMT-06:00) Central Time (No Daylight Saving)"
)

// userKind is AccountUser: the account has one user, who is behind its packages.
func userKind() kind { return kind{read: "users_read", list: listUsers} }

// listUsers lists users with the properties that recorded answers have. A user is the
// enterprise's, whatever business units are asked about.
func listUsers(k *call, _ []*account.Unit) list {
	id := strconv.Itoa(account.UserID)
	u := k.account.Units[account.MID]
	fixed := func(name, dataType, value string) column[*account.Unit] {
		return column[*account.Unit]{property{name: name, dataType: dataType}, func(*account.Unit) string { return value }}
	}
	columns := []column[*account.Unit]{fixed("Client.ID", "Int32", account.MID), fixed("Client.ModifiedBy", "Int32", id)}
	began := func(u *account.Unit) string { return showDate(u.Folders[0].Created) }
	columns = append(columns, base(func(*account.Unit) string { return id }, func(*account.Unit) string { return "" },
		func(*account.Unit) string { return userName }, began, began)...)
	columns = append(columns,
		fixed("AccountUserID", "Int32", id), fixed("UserID", "String", userName), fixed("Name", "String", "Sandbox API User"),
		fixed("Email", "String", userEmail), fixed("MustChangePassword", "Boolean", "false"), fixed("ActiveFlag", "Boolean", "true"),
		column[*account.Unit]{property: property{name: "UserPermissions.ID", dataType: "Int32", optional: true}},
		fixed("Delete", "Int32", "0"), fixed("LastSuccessfulLogin", "DateTime", ""), fixed("IsAPIUser", "Boolean", "true"),
		fixed("NotificationEmailAddress", "String", userEmail), fixed("IsLocked", "Boolean", "false"),
		fixed("DefaultBusinessUnit", "Int32", account.MID), fixed("Locale.LocaleCode", "String", "en-US"), fixed("TimeZone.ID", "Int32", zoneID),
		fixed("TimeZone.Name", "String", zoneName),
		column[*account.Unit]{property: property{name: "Roles", dataType: "String", optional: true}})
	return listOf("AccountUser", columns, []*account.Unit{u})
}

// accessKind is AccountUserAccount: the business units that a user may work in, which are
// all.
func accessKind() kind { return kind{read: "users_read", list: listAccess} }

func listAccess(k *call, _ []*account.Unit) list {
	id := func(*account.Unit) string { return strconv.Itoa(account.UserID) }
	mid := func(u *account.Unit) string { return u.MID }
	columns := []column[*account.Unit]{{property{name: "Client.ID", dataType: "Int32"}, func(*account.Unit) string { return account.MID }}}
	columns = append(columns, base[*account.Unit](nil, func(*account.Unit) string { return "" }, nil, nil, nil)...)
	columns = append(columns,
		column[*account.Unit]{property{name: "AccountUser.AccountUserID", dataType: "Int32"}, id},
		column[*account.Unit]{property{name: "AccountUser.UserID", dataType: "String"}, func(*account.Unit) string { return userName }},
		column[*account.Unit]{property{name: "Account.ID", dataType: "Int32"}, mid},
		column[*account.Unit]{property{name: "Account.Name", dataType: "String"}, func(u *account.Unit) string { return u.Name }})
	return listOf("AccountUserAccount", columns, k.units())
}
