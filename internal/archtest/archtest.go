// Package archtest fails when an import points the wrong way or a package lacks
// its comment. The rules are drawn in ARCHITECTURE.md.
package archtest
