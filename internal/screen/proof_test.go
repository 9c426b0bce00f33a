package screen_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"onramp/internal/onramp"
	"onramp/internal/screen"
	"onramp/internal/tooltest"
)

// solve finds the solution of a challenge, as a browser does, and makes the payload.
func solve(t testing.TB, c screen.Challenge) string {
	t.Helper()
	return payload(t, c, solution(t, c))
}

func solution(t testing.TB, c screen.Challenge) int64 {
	t.Helper()
	for number := range c.MaxNumber + 1 {
		if sum := sha256.Sum256(fmt.Appendf(nil, "%s%d", c.Salt, number)); hex.EncodeToString(sum[:]) == c.Challenge {
			return number
		}
	}
	t.Fatal("there is no solution")
	return 0
}

func payload(t testing.TB, c screen.Challenge, number int64) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"algorithm": c.Algorithm, "challenge": c.Challenge, "number": number, "salt": c.Salt, "signature": c.Signature, "took": 12,
	})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(text)
}

func (d *door) challenge() screen.Challenge {
	d.t.Helper()
	c, err := d.guard.Challenge()
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// A proof of work is of this form, not expired, and used once: also after a restart, and
// except by who repeats the same submission.
func TestProofOfWork(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.ProofOfWork = screen.ProofAlways })
	check := func(what, key, proof, want string) {
		t.Helper()
		if got := d.submitFrom("192.0.2.1", key, "email", "ana@example.org", "altcha", proof); got != want {
			t.Errorf("%s: %q, not %q", what, got, want)
		}
	}
	const no = "proof_of_work"
	c := d.challenge()
	if !c.Required || c.MaxNumber != 50_000 || c.Algorithm != "SHA-256" {
		t.Errorf("%+v", c)
	}
	check("none", "", "", no)
	good := solve(t, c)
	check("good", "", good, "")
	check("again", "", good, no)
	kept := solve(t, d.challenge())
	check("good, with a key", "k1", kept, "")
	check("the same submission again", "k1", kept, "")
	check("another submission", "k2", kept, no)
	exchange(t, d.memory)
	d.open()
	check("again, after a restart", "k2", kept, no)
	check("the same submission, after a restart", "k1", kept, "")

	late := solve(t, d.challenge())
	wrong := d.challenge()
	check("a wrong number", "", payload(t, wrong, -1), no)
	elsewhere := d.quiet()
	elsewhere.form = onramp.NewForm(onramp.Form{Name: "other", Fields: d.form.Fields}, "secret")
	elsewhere.cfg.Forms = map[string]*onramp.Form{"registration": elsewhere.form}
	elsewhere.open()
	check("of another form", "", solve(t, elsewhere.challenge()), no)
	// the first digit of the number, moved to the end of the salt, gives the same digest
	spliced := d.challenge()
	number := solution(t, spliced)
	for number < 10 || strconv.Itoa(int(number))[1] == '0' { // which would be lost at the beginning of the rest
		spliced = d.challenge()
		number = solution(t, spliced)
	}
	digits := strconv.Itoa(int(number))
	rest, err := strconv.ParseInt(digits[1:], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	spliced.Salt += digits[:1]
	check("spliced", "", payload(t, spliced, rest), no)
	other := newDoor(t, func(s *screen.Settings) { s.ProofOfWork = screen.ProofAlways })
	check("of another gateway", "", solve(t, other.challenge()), no)
	for _, text := range []string{"x", "e30=", base64.StdEncoding.EncodeToString([]byte(`null`)), strings.Repeat("A", 5000)} {
		check("no payload", "", text, no)
	}
	d.at = d.at.Add(10 * time.Minute)
	check("expired", "", late, no)
}

// In quiet times nobody has to prove anything; in a surge everybody has, and the task gets
// harder. Who has proved it gets past the form's limit.
func TestProofAdapts(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(s *screen.Settings) { s.ProofOfWork, s.Limits.Form = screen.ProofAuto, perMinute(50) })
	if c := d.challenge(); c.Required || d.submit("email", "ana@example.org") != "" {
		t.Errorf("quiet: %+v", c)
	}
	if got := d.submit("email", "ana@example.org", "altcha", "nonsense"); got != "" {
		t.Errorf("quiet, with nonsense: %q", got)
	}
	last := int64(0)
	for _, row := range []struct {
		more int
		most int64
	}{{51, 200_000}, {150, 800_000}, {700, 3_200_000}} {
		for range row.more {
			d.come("192.0.2.1")
		}
		c := d.challenge()
		if !c.Required || c.MaxNumber != row.most || c.MaxNumber <= last {
			t.Errorf("after %d more: %+v", row.more, c)
		}
		last = c.MaxNumber
	}
	if got := d.submit("email", "bot@example.org"); got != "proof_of_work" {
		t.Errorf("without: %q", got)
	}
	quiet := d.quiet()
	for i := range 60 { // more than the limit of the form
		if got := d.submit("email", fmt.Sprintf("person%d@example.org", i), "altcha", solve(t, quiet.challenge())); got != "" {
			t.Fatalf("person %d: %q", i, got)
		}
	}
	d.at = d.at.Add(11 * time.Minute)
	if c := d.challenge(); c.Required || c.MaxNumber != 50_000 {
		t.Errorf("it is over: %+v", c)
	}
}

// quiet is another process with the same key, to which nobody comes: its challenges are
// easier to solve than those of a surge.
func (d *door) quiet() *door {
	d.t.Helper()
	other := *d
	other.open()
	return &other
}

// The challenges are ALTCHA's: its own library solves and verifies them, and what it has
// solved is taken. ONRAMP_TEST_ALTCHA names a folder in which altcha-lib is installed.
func TestAltchaLibrary(t *testing.T) {
	t.Parallel()
	node := tooltest.Program(t, "node")
	folder := os.Getenv("ONRAMP_TEST_ALTCHA")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "altcha-lib")); folder == "" || err != nil {
		tooltest.Missing(t, "altcha", fmt.Errorf("ONRAMP_TEST_ALTCHA does not name a folder with altcha-lib: %w", err))
	}
	d := newDoor(t, func(s *screen.Settings) { s.ProofOfWork = screen.ProofAlways })
	challenge, err := json.Marshal(d.challenge())
	if err != nil {
		t.Fatal(err)
	}
	const script = `
const { createRequire } = await import("node:module");
const { pathToFileURL } = await import("node:url");
const from = createRequire(process.argv[1] + "/x.js");
const { solveChallenge } = await import(pathToFileURL(from.resolve("altcha-lib/v1")).href).catch(() => import(pathToFileURL(from.resolve("altcha-lib")).href));
const c = JSON.parse(process.argv[2]);
const { number } = await solveChallenge(c.challenge, c.salt, c.algorithm, c.maxnumber).promise;
console.log(btoa(JSON.stringify({ algorithm: c.algorithm, challenge: c.challenge, number, salt: c.salt, signature: c.signature })));`
	out, err := exec.CommandContext(t.Context(), node, "--input-type=module", "-e", script, folder, string(challenge)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := d.submit("email", "ana@example.org", "altcha", strings.TrimSpace(string(out))); got != "" {
		t.Errorf("what the library has solved is suspected of %q: %s", got, out)
	}
}

// What strangers send as a solution, as a time or as the answer of a hook is read without
// harm, and nothing that was not made here is taken.
func FuzzProof(f *testing.F) {
	d := newDoor(f, func(s *screen.Settings) { s.ProofOfWork = screen.ProofAlways })
	c := d.challenge()
	good := solve(f, c)
	f.Add(good)
	f.Add("")
	f.Add(base64.StdEncoding.EncodeToString([]byte(`{"algorithm":"SHA-256","number":1e3,"salt":"a?expires=99999999999&form=registration&","challenge":"","signature":""}`)))
	f.Fuzz(func(t *testing.T, text string) {
		d.t = t
		var s struct{ Challenge string }
		plain, err := base64.StdEncoding.DecodeString(text)
		known := err == nil && json.Unmarshal(plain, &s) == nil && s.Challenge == c.Challenge
		if got := d.submitFrom("192.0.2.1", "k", "email", "ana@example.org", "altcha", text); got == "" && !known {
			t.Errorf("%q is taken", text)
		}
	})
}

func FuzzStamp(f *testing.F) {
	d := newDoor(f, func(s *screen.Settings) { s.MinFillTime = time.Second })
	stamp := d.guard.Stamp()
	d.at = d.at.Add(time.Minute)
	f.Add(stamp)
	f.Add("")
	f.Add(strings.Repeat("A", 32))
	f.Fuzz(func(t *testing.T, text string) {
		d.t = t
		if got := d.submit("email", "ana@example.org", "_time", text); got == "" && text != stamp {
			t.Errorf("%q is taken", text)
		}
	})
}
