package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onramp/internal/app"
	"onramp/internal/bundle"
	"onramp/internal/cli/frame"
	"onramp/internal/durable"
	"onramp/internal/operator"
	"onramp/internal/version"
)

// bundleTimeout is how long a gateway may take: its checks have limits of their own.
const bundleTimeout = 3 * time.Minute

func (c *command) debug() *cobra.Command {
	var file string
	var request operator.BundleRequest
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Write a file for a bug report, without secrets and personal data",
		Long: `Writes a .tar.gz that you can attach to a public bug report: version and build, system and
limits, the configuration, status, checks, failed deliveries grouped by cause, counts by
table, the newest lines of the log, profiles of the goroutines and the memory, and metrics.
Its README.txt lists the files.

All texts that are not known to be harmless are replaced: secrets, addresses, names of
people, forms, hosts and files, quoted values. Registrations, events, requests and bodies
of answers are left out. Please look through it all the same before you publish it.

It asks the running gateway, with the admin token. If none answers, it makes a smaller
bundle from the configuration and the database, which it only reads.`,
		Example: "  onramp debug bundle\n  onramp debug bundle --offline --file /tmp/bug.tar.gz",
		Args:    cobra.NoArgs,
	}
	c.outputFlag(cmd)
	c.adminFlag(cmd)
	cmd.Flags().StringVar(&file, "file", "", `file to write; one that exists is kept (default "onramp-debug-TIME.tar.gz")`)
	cmd.Flags().BoolVar(&request.Offline, "offline", false, "leave out the checks that call Marketing Cloud and other systems")
	cmd.RunE = frame.Run(func(ctx context.Context, _ []string) error { return c.writeBundle(ctx, file, request) })
	return frame.Group("debug", "Collect what a bug report needs", cmd)
}

// writtenBundle is what debug bundle prints.
type writtenBundle struct {
	File    string   `json:"file"`
	Bytes   int      `json:"bytes"`
	Gateway bool     `json:"gateway"` // whether it was asked
	Files   []string `json:"files"`
}

func (c *command) writeBundle(ctx context.Context, file string, request operator.BundleRequest) error {
	now := time.Now().UTC()
	if file == "" {
		file = "onramp-debug-" + now.Format("20060102T150405.000Z") + ".tar.gz"
	}
	files, asked, err := c.collectBundle(ctx, request)
	if err != nil {
		return err
	}
	written := writtenBundle{File: file, Gateway: asked}
	for _, f := range files {
		written.Files = append(written.Files, f.Name)
	}
	var packed bytes.Buffer
	if err := bundle.Write(&packed, "onramp-debug", files, now); err != nil {
		return err
	}
	written.Bytes = packed.Len()
	err = durable.CreateFile(file, packed.Bytes(), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: give another --file", file)
	}
	if err != nil {
		return fmt.Errorf("write the debug bundle: %w", err)
	}
	if c.output == "json" {
		return c.printJSON(written)
	}
	if !asked {
		fmt.Fprintln(c.Stderr, "No gateway answers: the bundle is made from the configuration and the database.")
	}
	fmt.Fprintf(c.Stdout, "Wrote %s (%d kB): %s.\nLook through it before you publish it; README.txt says what was removed.\n",
		filepath.Clean(file), (written.Bytes+999)/1000, strings.Join(written.Files, ", "))
	return nil
}

// collectBundle has the running gateway make the files; asked says that there is one. One whose admin
// API is closed can't be asked.
func (c *command) collectBundle(ctx context.Context, request operator.BundleRequest) (files []bundle.File, asked bool, err error) {
	admin, err := c.admin()
	if err == nil {
		var made operator.Bundle
		admin.http = &http.Client{Timeout: bundleTimeout}
		err = admin.call(ctx, http.MethodPost, "/api/debug/bundle", request, &made)
		_, away := errors.AsType[*url.Error](err)
		if err == nil || !away && admin.token != "" || ctx.Err() != nil {
			return made.Files, true, err
		}
	}
	files, err = app.CollectBundle(ctx, c.configPath(), c.Environ, request.Offline, version.Read().Version)
	return files, false, c.missing(err)
}
