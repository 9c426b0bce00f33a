package hosted_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
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
	values := s.values(t)
	for _, v := range values {
		for _, column := range []string{"RegistrationTimestamp", "IPAddress", "UserAgent", "PageURL"} {
			delete(v, column)
		}
	}
	want := []map[string]any{{"EmailAddress": "ana@example.org", "FirstName": "Ana", "OptInStatus": true, "Source": "Website Registration"}}
	if diff := cmp.Diff(want, values); diff != "" {
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
				missing(t, run[0], err)
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
	browser := newBrowser(t)
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
		missing(t, "php", err)
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
