// Package version tells what this program was built from. Begin with Read. The Go command
// writes it into the program when it is built in a clone of the repository; no flags of the
// linker are needed.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// Build is what a program was built from. What is not known is empty.
type Build struct {
	Version  string     `json:"version"`          // of the tag, such as v1.2.3; a pseudo-version between two tags; or (devel)
	Commit   string     `json:"commit,omitempty"` // in hexadecimal digits
	Time     *time.Time `json:"time,omitempty"`   // of the commit
	Modified bool       `json:"modified"`         // files were changed since the commit
	Go       string     `json:"go"`               // the version of Go, such as go1.26.0
	Platform string     `json:"platform"`         // what it was built for, such as linux/amd64
}

// Read returns what this program was built from.
func Read() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok { // built without modules
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return From(info)
}

// From returns what the program with this build information was built from. The platform
// is that of the running program where the information has none.
func From(info *debug.BuildInfo) Build {
	b := Build{Version: info.Main.Version, Go: info.GoVersion}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	system, processor := runtime.GOOS, runtime.GOARCH
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			system = s.Value
		case "GOARCH":
			processor = s.Value
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
				b.Time = &at
			}
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	b.Platform = system + "/" + processor
	return b
}

// shortCommit is how many digits of a commit are shown to people.
const shortCommit = 12

// String is one line for people, without "onramp" before it.
func (b Build) String() string {
	text := fmt.Sprintf("%s %s %s", b.Version, b.Go, b.Platform)
	if b.Commit != "" {
		text += ", commit " + b.Commit[:min(shortCommit, len(b.Commit))]
	}
	if b.Time != nil {
		text += " of " + b.Time.UTC().Format(time.RFC3339)
	}
	if b.Modified {
		text += ", modified"
	}
	return text
}
