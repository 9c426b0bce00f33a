package hosted_test

import (
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
