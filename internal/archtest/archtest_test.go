package archtest

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed says which packages of ours each package may import, tests left out.
// It is the drawing of ARCHITECTURE.md: change both together.
var allowed = map[string]string{
	"cmd/onramp":        "internal/cli",
	"internal/cli":      "internal/app internal/config internal/api internal/web internal/bench internal/keyset internal/onramp",
	"internal/app":      "internal/alert internal/api internal/hosted internal/ens internal/oauth internal/web internal/outbound internal/sink internal/pump internal/store internal/keyset internal/sandbox internal/config internal/onramp sfmc",
	"internal/api":      "internal/web internal/onramp",
	"internal/hosted":   "internal/web internal/onramp",
	"internal/ens":      "internal/web internal/onramp sfmc",
	"internal/oauth":    "internal/web internal/onramp",
	"internal/sink":     "internal/attempt internal/onramp",
	"internal/keyset":   "internal/onramp",
	"internal/web":      "internal/onramp",
	"internal/outbound": "internal/attempt internal/onramp sfmc",
	"internal/attempt":  "internal/onramp",
	"internal/pump":     "internal/onramp",
	"internal/alert":    "internal/onramp",
	"internal/store":    "internal/onramp",
	"internal/config":   "internal/onramp",
	"internal/onramp":   "",
	"internal/sandbox":  "", // never sfmc: if both used one struct, a wrong field name would pass every test
	"internal/bench":    "",
	"internal/archtest": "",
	"internal/crash":    "",
	"internal/pgtest":   "",
	"sfmc":              "", // never the sandbox, for the same reason
	"sfmc/sfmctest":     "internal/sandbox sfmc",
}

// plain lists packages that import nothing from outside the module but the
// standard library, and what is excepted.
var plain = map[string][]string{
	"sfmc":             nil,
	"internal/pump":    nil,
	"internal/bench":   nil,
	"internal/onramp":  {"golang.org/x/text/", "golang.org/x/net/idna"},
	"internal/sandbox": nil,
}

type listed struct {
	ImportPath, Doc string
	Imports         []string
}

func TestArchitecture(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Imports", "onramp/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for packages := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := packages.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "onramp/")
		seen[name] = true
		check(t, name, p)
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("%s is in the table and does not exist", name)
		}
	}
}

func check(t *testing.T, name string, p listed) {
	t.Helper()
	may, known := allowed[name]
	if !known {
		t.Errorf("%s is not in the table: add it, and the drawing", name)
	}
	if p.Doc == "" {
		t.Errorf("%s has no package comment", name)
	}
	exceptions, isPlain := plain[name]
	for _, imported := range p.Imports {
		ours, internal := strings.CutPrefix(imported, "onramp/")
		switch {
		case internal && !slices.Contains(strings.Fields(may), ours):
			t.Errorf("%s may not import %s", name, ours)
		case !internal && isPlain && strings.Contains(imported, ".") &&
			!slices.ContainsFunc(exceptions, func(e string) bool { return strings.HasPrefix(imported, e) }):
			t.Errorf("%s may not import %s: the standard library only", name, imported)
		}
	}
}
