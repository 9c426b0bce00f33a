// Package browsertest gives tests a Chromium each, for what a visitor sees and does. Only
// tests import it.
package browsertest

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"onramp/internal/tooltest"
)

// New starts a Chromium with an empty profile, which ends with the test, and after two
// minutes at the latest.
func New(t *testing.T) context.Context {
	t.Helper()
	path := tooltest.Program(t, "chromium")
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-features", "BackForwardCache")) // a page from it is never loaded, for which chromedp waits
	limited, cancel := context.WithTimeout(allocator, 2*time.Minute)
	browser, closeTab := chromedp.NewContext(limited)
	t.Cleanup(func() {
		if err := chromedp.Cancel(browser); err != nil {
			t.Errorf("close browser: %v", err)
		}
		closeTab()
		cancel()
		stop()
	})
	return browser
}

// Ask gets something out of the browser.
func Ask[T any](t *testing.T, browser context.Context, a chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(browser, a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// SetScript switches script in the page on or off.
func SetScript(on bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}
