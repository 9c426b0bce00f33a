package onramp

// Role is what an admin token may do.
type Role string

// The roles. Whoever has one of the others may read, too.
const (
	RoleRead    Role = "read"    // see how everything is, without personal values
	RoleOperate Role = "operate" // change deliveries, destinations, clients and the set-up
	RolePrivacy Role = "privacy" // see personal values, search in them, and act for a person: withdraw consent, export
)

// Roles lists all roles.
func Roles() []Role { return []Role{RoleRead, RoleOperate, RolePrivacy} }
