// Package notices holds the licenses of the software that the program is built
// with, which have to go with it.
//
// After a change of a dependency run "go generate ./internal/notices". A test fails
// when a module that is linked into the program is missing.
package notices

import _ "embed"

//go:generate sh -c "go run ./generate >new && mv new THIRD_PARTY_NOTICES"

// Text is all notices.
//
//go:embed THIRD_PARTY_NOTICES
var Text string
