package version_test

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"testing"

	"onramp/internal/version"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	here := runtime.GOOS + "/" + runtime.GOARCH
	for _, test := range []struct {
		name       string
		info       debug.BuildInfo
		text, json string
	}{
		{
			"a tag",
			debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Path: "onramp", Version: "v1.2.3"}, Settings: []debug.BuildSetting{
				{Key: "GOARCH", Value: "arm64"},
				{Key: "GOOS", Value: "linux"},
				{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
				{Key: "vcs.time", Value: "2026-12-01T12:00:00Z"},
				{Key: "vcs.modified", Value: "false"},
			}},
			"v1.2.3 go1.26.0 linux/arm64, commit 0123456789ab of 2026-12-01T12:00:00Z",
			`{"version":"v1.2.3","commit":"0123456789abcdef0123456789abcdef01234567","time":"2026-12-01T12:00:00Z",` +
				`"modified":false,"go":"go1.26.0","platform":"linux/arm64"}`,
		},
		{
			"changed files",
			debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.4-0.20261201120000-0123456789ab+dirty"}, Settings: []debug.BuildSetting{
				{Key: "GOARCH", Value: "amd64"}, {Key: "GOOS", Value: "windows"}, {Key: "vcs.revision", Value: "short"}, {Key: "vcs.modified", Value: "true"},
			}},
			"v1.2.4-0.20261201120000-0123456789ab+dirty go1.26.0 windows/amd64, commit short, modified",
			`{"version":"v1.2.4-0.20261201120000-0123456789ab+dirty","commit":"short","modified":true,"go":"go1.26.0","platform":"windows/amd64"}`,
		},
		{
			"no repository, and a time that is none",
			debug.BuildInfo{GoVersion: "go1.26.0", Settings: []debug.BuildSetting{{Key: "vcs.time", Value: "today"}}},
			"(devel) go1.26.0 " + here,
			`{"version":"(devel)","modified":false,"go":"go1.26.0","platform":"` + here + `"}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := version.From(&test.info)
			if b.String() != test.text {
				t.Errorf("got the text\n%s\nwant\n%s", b, test.text)
			}
			if data, err := json.Marshal(b); err != nil || string(data) != test.json {
				t.Errorf("got the JSON\n%s, %v\nwant\n%s", data, err, test.json)
			}
		})
	}
}
