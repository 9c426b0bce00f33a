package hosted_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"onramp/internal/browsertest"
	"onramp/internal/tooltest"
)

// blocks are the examples of the cookbook in a language, which send to a gateway.
func blocks(t *testing.T, language, gateway string) (found []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/forms.md")
	if err != nil {
		t.Fatal(err)
	}
	_, cookbook, _ := strings.Cut(string(text), "\n## Cookbook\n")
	for _, rest := range strings.Split(cookbook, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(rest, "\n```")
		found = append(found, strings.ReplaceAll(block, "https://signup.example.com", gateway))
	}
	if len(found) == 0 {
		t.Fatalf("the cookbook has no block of %s", language)
	}
	return found
}

// wantAna is that one registration has come, of Ana.
func (s *site) wantAna(t *testing.T) {
	t.Helper()
	s.want(t, map[string]any{"EmailAddress": "ana@example.org", "FirstName": "Ana", "OptInStatus": true, "Source": "Website Registration"})
}

// want is that one registration has come, with these values beside those that a form
// fills by itself.
func (s *site) want(t *testing.T, want map[string]any) {
	t.Helper()
	values := s.values(t)
	for _, v := range values {
		for _, column := range []string{"RegistrationTimestamp", "IPAddress", "UserAgent", "PageURL"} {
			delete(v, column)
		}
	}
	if diff := cmp.Diff([]map[string]any{want}, values); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// The back ends of the cookbook, as far as their languages are at hand.
func TestCookbookBackEnds(t *testing.T) {
	t.Parallel()
	for language, run := range map[string][]string{
		"go": {"go", "run", "example.go"}, "python": {"python3", "example.python"}, "js": {"node", "example.mjs"}, "php": {"php", "example.php"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(run[0]); err != nil {
				tooltest.Missing(t, run[0], err)
			}
			s := newSite(t)
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			folder := t.TempDir()
			file := filepath.Join(folder, run[len(run)-1])
			if err := os.WriteFile(file, []byte(blocks(t, language, server.URL)[0]), 0o600); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), run[0], run[1:]...)
			command.Dir = folder
			if said, err := command.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			s.wantAna(t)
		})
	}
}

// The plain form of the cookbook, on a page of another site.
func TestCookbookHTML(t *testing.T) {
	t.Parallel()
	browser := browsertest.New(t)
	s := newSite(t)
	gateway := httptest.NewServer(s)
	t.Cleanup(gateway.Close)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><title>A site</title>" + blocks(t, "html", gateway.URL)[0]))
	}))
	t.Cleanup(page.Close)
	err := chromedp.Do(browser, chromedp.Navigate(page.URL),
		chromedp.SendKeys(chromedp.CSS("#email"), "ana@example.org"), chromedp.SendKeys(chromedp.CSS("#first_name"), "Ana"),
		chromedp.Click(chromedp.CSS("[name=opt_in]")), chromedp.Click(chromedp.CSS("button")), chromedp.WaitVisible(chromedp.CSS(".thanks")))
	if err != nil {
		t.Fatal(err)
	}
	s.wantAna(t)
}

func esbuild(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=tools.mod", "esbuild"}, args...)...)
	c.Dir = "../.."
	return c
}

// react is the page of a site that shows the React example, as one script. React lies in
// the folder that ONRAMP_TEST_REACT names, as in node_modules.
func react(t *testing.T, gateway string) string {
	t.Helper()
	modules := os.Getenv("ONRAMP_TEST_REACT")
	if modules == "" {
		tooltest.Missing(t, "react", errors.New("ONRAMP_TEST_REACT does not name a folder with react, react-dom and scheduler"))
	}
	folder := t.TempDir()
	page := filepath.Join(folder, "page.jsx")
	for file, source := range map[string]string{
		filepath.Join(folder, "SignUp.jsx"): blocks(t, "jsx", gateway)[0],
		page: `import { StrictMode } from "react";
			import { createRoot } from "react-dom/client";
			import { SignUp } from "./SignUp";
			createRoot(document.querySelector("#root")).render(<StrictMode><SignUp /></StrictMode>);`,
	} {
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := esbuild(t, "--version").CombinedOutput(); err != nil { // what it says when it is fetched first is no problem
		t.Fatalf("%v: %s", err, said)
	}
	bundle := esbuild(t, page, "--bundle", "--jsx=automatic", "--log-level=warning")
	bundle.Env = append(os.Environ(), "NODE_PATH="+modules)
	var problems bytes.Buffer
	bundle.Stderr = &problems
	script, err := bundle.Output()
	if err != nil || problems.Len() > 0 {
		t.Fatalf("%v: %s", err, &problems)
	}
	return `<div id="root"></div><script nonce="r4nd0m">` + string(script) + `</script>`
}

// The React component of the cookbook, on a page of another site: a mistake stands at its
// field, and whatever else goes wrong the visitor can try again.
func TestCookbookReact(t *testing.T) {
	t.Parallel()
	page := react(t, "GATEWAY")
	browser := browsertest.New(t)
	w := newWorld(t, map[string]string{"/": page}, unchanged)
	w.before = func(rw http.ResponseWriter) bool {
		switch w.posts.Load() {
		case 2: // the gateway itself
			rw.Header().Set("Access-Control-Allow-Origin", w.origin)
			rw.WriteHeader(http.StatusServiceUnavailable)
			_, _ = rw.Write([]byte(`{"status":503}`))
			return true
		case 3: // something before it, which the page may not read
			rw.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	const button, alert = chromedp.CSS("button:enabled"), `form > [role=alert]:last-child`
	steps(t, browser, "send a wrong address", chromedp.Navigate(w.origin+"/"), chromedp.WaitVisible(button),
		chromedp.SendKeys(chromedp.CSS("#email"), "ana@example"), chromedp.Click(chromedp.CSS("[name=opt_in]")),
		chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS("[aria-invalid=true]")))
	if diff := cmp.Diff([]string{"email: must be a valid email address"}, browsertest.Ask(t, browser, chromedp.Evaluate[[]string](marks))); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	if got := text(t, browser, alert); got != "(none)" {
		t.Errorf("beside the field it says %q", got)
	}
	steps(t, browser, "correct it", chromedp.SendKeys(chromedp.CSS("#email"), ".org"))
	for posts := range int64(2) {
		steps(t, browser, "send in vain", chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS(alert)), chromedp.WaitVisible(button))
		if got, n := text(t, browser, alert), w.posts.Load(); got != "Your registration could not be taken. Please try again." || n != posts+2 {
			t.Errorf("after %d requests it says %q", n, got)
		}
		if diff := cmp.Diff([]string{}, browsertest.Ask(t, browser, chromedp.Evaluate[[]string](marks))); diff != "" {
			t.Errorf("marks (-want +got):\n%s", diff)
		}
	}
	steps(t, browser, "send", chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	if got := text(t, browser, "[role=status]"); got != "Thank you." {
		t.Errorf("it says %q", got)
	}
	w.want(t, map[string]any{"EmailAddress": "ana@example.org", "OptInStatus": true, "Source": "Website Registration"})
	w.sees(t, browser)
}

// wordpress is what the example for Contact Form 7 needs of it and of WordPress, as they
// document it. A hook gets as many arguments as it has asked for.
const wordpress = `<?php
$hooks = [];
function add_action($name, $callback, $priority = 10, $accepted_args = 1) {
	global $hooks;
	$hooks[$name] = [$callback, $accepted_args];
}
function do_action_ref_array($name, $args) {
	global $hooks;
	[$callback, $accepted] = $hooks[$name];
	call_user_func_array($callback, array_slice($args, 0, $accepted));
}
class WP_Error {}
function is_wp_error($thing) { return $thing instanceof WP_Error; }
function wp_json_encode($value) { return json_encode($value); }
function wp_remote_post($url, $args = []) {
	$lines = [];
	foreach ($args['headers'] as $name => $value) $lines[] = "$name: $value";
	$context = stream_context_create(['http' => [
		'method' => 'POST', 'header' => $lines, 'content' => $args['body'], 'timeout' => $args['timeout'], 'ignore_errors' => true,
	]]);
	$body = @file_get_contents($url, false, $context);
	if ($body === false) return new WP_Error();
	return ['body' => $body, 'response' => ['code' => (int) explode(' ', $http_response_header[0])[1]]];
}
function wp_remote_retrieve_response_code($response) { return is_wp_error($response) ? '' : $response['response']['code']; }
class WPCF7_ContactForm {}
class WPCF7_Submission {
	private $response = '';
	function __construct(private $posted) {}
	function get_posted_data($name = '') { return $name === '' ? $this->posted : $this->posted[$name] ?? null; }
	function get_posted_data_hash() { return md5(json_encode($this->posted)); }
	function set_response($response) { $this->response = $response; return true; }
	function get_response() { return $this->response; }
}
`

// submitted sends a form as Contact Form 7 does, as often as there are addresses.
const submitted = `
$outcomes = [];
foreach (array_slice($argv, 1) as $address) {
	$submission = new WPCF7_Submission(['your-email' => $address, 'your-name' => 'Ana']);
	$abort = false;
	do_action_ref_array('wpcf7_before_send_mail', [new WPCF7_ContactForm(), &$abort, $submission]);
	$outcomes[] = ['Abort' => $abort, 'Says' => $submission->get_response()];
}
echo json_encode($outcomes);
`

// outcome is what becomes of a submission of Contact Form 7.
type outcome struct {
	Abort bool
	Says  string
}

// A visitor of a site with WordPress is told when the registration was not taken.
func TestCookbookWordPress(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("php"); err != nil {
		tooltest.Missing(t, "php", err)
	}
	refused := outcome{true, "Your registration could not be taken. Please check what you have entered, and try again."}
	for name, row := range map[string]struct {
		posted []string
		before http.HandlerFunc // answers in place of the gateway
		want   []outcome
		stored []any
	}{
		"taken":         {[]string{"ana@example.org"}, nil, []outcome{{}}, []any{"ana@example.org"}},
		"sent twice":    {[]string{"ana@example.org", "ana@example.org"}, nil, []outcome{{}, {}}, []any{"ana@example.org"}},
		"wrong, mended": {[]string{"ana@", "ana@example.org"}, nil, []outcome{refused, {}}, []any{"ana@example.org"}},
		"unavailable": {[]string{"ana@example.org"}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}, []outcome{refused}, nil},
		"no answer": {[]string{"ana@example.org"}, func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, []outcome{refused}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			handler := http.Handler(s)
			if row.before != nil {
				handler = row.before
			}
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			example := strings.TrimPrefix(blocks(t, "php", server.URL)[1], "<?php\n")
			file := filepath.Join(t.TempDir(), "wordpress.php")
			if err := os.WriteFile(file, []byte(wordpress+example+submitted), 0o600); err != nil {
				t.Fatal(err)
			}
			said, err := exec.CommandContext(t.Context(), "php", append([]string{file}, row.posted...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			var got []outcome
			if err := json.Unmarshal(said, &got); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("the visitor sees (-want +got):\n%s", diff)
			}
			var stored []any
			for _, v := range s.values(t) {
				stored = append(stored, v["EmailAddress"])
				if v["FirstName"] != "Ana" {
					t.Errorf("the first name is %v", v["FirstName"])
				}
			}
			if diff := cmp.Diff(row.stored, stored); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}
