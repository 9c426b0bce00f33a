package cli_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"onramp/internal/shell"
)

// block is a block of code in a document.
type block struct {
	note     string // in a comment above it, for the tests
	language string
	text     string
}

var blockShape = regexp.MustCompile("(?sm)^(?:<!-- ([^\n]*) -->\n)?```([a-z]+)\n(.*?)^```$")

// blocksOf are those of a document, in order.
func blocksOf(t *testing.T, document string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range blockShape.FindAllStringSubmatch(string(text), -1) {
		all = append(all, block{found[1], found[2], found[3]})
	}
	if n := strings.Count(string(text), "```"); n != 2*len(all) {
		t.Errorf("%s has %d marks of blocks, but only %d blocks at the beginning of a line that say their language", document, n, len(all))
	}
	return all
}

// reader is somebody who does what a document says, in a folder of their own.
type reader struct {
	t        *testing.T
	folder   string
	environ  []string
	running  map[string]*exec.Cmd // by the command's name
	spoken   *strings.Replacer    // what stands in the document, and what it is here
	unspoken *strings.Replacer
	flags    map[string]string // where programs that run on listen
	sandbox  string            // address that it gets
	seen     string            // all that was printed so far
}

// newReader is one whose programs listen at these addresses instead of the usual ones.
func newReader(t *testing.T, public, admin, sandbox string) *reader {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("the commands of the documents need it:", err)
		}
	}
	r := &reader{
		t: t, folder: t.TempDir(), running: map[string]*exec.Cmd{}, sandbox: sandbox,
		spoken: strings.NewReplacer("127.0.0.1:8080", public, "127.0.0.1:8081", admin, "127.0.0.1:8090", sandbox,
			"go run ./cmd/onramp", "onramp", "./onramp events trigger", "onramp events trigger --sandbox http://"+sandbox,
			"onramp events trigger", "onramp events trigger --sandbox http://"+sandbox, "./onramp ", "onramp "),
		unspoken: strings.NewReplacer(public, "127.0.0.1:8080", admin, "127.0.0.1:8081", sandbox, "127.0.0.1:8090"),
		flags: map[string]string{
			"demo":    " --public-listen " + public + " --admin-listen " + admin + " --sandbox-listen " + sandbox,
			"sandbox": " --listen " + sandbox,
		},
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(r.folder, "onramp")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.folder, "environment"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.environ = append(os.Environ(), "PATH="+r.folder+string(os.PathListSeparator)+os.Getenv("PATH"),
		"ONRAMP_PUBLIC_LISTEN="+public, "ONRAMP_ADMIN_LISTEN="+admin)
	t.Cleanup(func() {
		for name := range r.running {
			r.stop(name)
		}
	})
	return r
}

// shell is a command that runs lines of a shell with what lines before have exported.
func (r *reader) shell(lines string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", "set -euo pipefail\n. ./environment\n"+r.meant(lines))
	cmd.Dir, cmd.Env = r.folder, r.environ
	return cmd
}

var (
	deliveryID     = regexp.MustCompile(`\b[0-9a-v]{36}(?:\.[0-9]+)+`)
	registrationID = regexp.MustCompile(`\b[0-9a-v]{36}\b`)
	causeName      = regexp.MustCompile(`(?m)^[0-9a-f]{8}\b`)
	placeholder    = regexp.MustCompile(`\b(deliveries [a-z]+|registrations [a-z]+|--cause) (ID|CAUSE)\b`)
)

// meant puts what was printed last in the place of ID and CAUSE, as a reader does.
func (r *reader) meant(lines string) string {
	return placeholder.ReplaceAllStringFunc(r.spoken.Replace(lines), func(found string) string {
		before := found[:strings.LastIndexByte(found, ' ')+1]
		of := registrationID
		switch {
		case strings.HasPrefix(found, "--cause"):
			of = causeName
		case strings.HasPrefix(found, "deliveries"):
			of = deliveryID
		}
		all := of.FindAllString(r.seen, -1)
		if all == nil {
			r.t.Fatalf("%s: nothing that was printed before has one:\n%s", lines, r.seen)
		}
		return before + all[len(all)-1]
	})
}

var staysUp = regexp.MustCompile(`^(?:[A-Z_]+=\S* )*onramp (serve|demo|sandbox)\b[^\n]*$`)

// run does what a block of commands says. A program that stays up goes on in the background; one that
// was started before is stopped first.
func (r *reader) run(lines string) (said string) {
	r.t.Helper()
	line := strings.TrimSuffix(strings.TrimSpace(r.spoken.Replace(lines)), " &")
	if found := staysUp.FindStringSubmatch(line); found != nil {
		r.start(found[1], line)
		return ""
	}
	out, err := r.shell("exec timeout 30 bash -euo pipefail -c " + shell.Word(r.meant(lines)+"\nexport -p > "+filepath.Join(r.folder, "environment"))).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s\n%v: %s", lines, err, out)
	}
	said = r.unspoken.Replace(string(out))
	r.seen += said
	return said
}

func (r *reader) start(name, line string) {
	r.t.Helper()
	for other := range r.running {
		if other == name || other == "demo" || name == "demo" { // they use the same addresses
			r.stop(other)
		}
	}
	if !strings.Contains(line, "-listen") && !strings.Contains(line, "--listen") {
		line += r.flags[name]
	}
	cmd := r.shell("exec env " + line) // it may begin with variables
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.running[name] = cmd
	if name != "sandbox" {
		r.run("onramp readyz --wait 30s")
		return
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		if c, err := net.Dial("tcp", r.sandbox); err == nil {
			_ = c.Close()
			return
		} else if time.Now().After(deadline) {
			r.t.Fatalf("%s: %v", line, err)
		}
	}
}

func (r *reader) stop(name string) {
	cmd := r.running[name]
	if cmd == nil {
		return
	}
	delete(r.running, name)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		r.t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		r.t.Errorf("onramp %s: %v", name, err)
	}
}
