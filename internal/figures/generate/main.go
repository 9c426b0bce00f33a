// Command generate measures this machine and makes the pages with figures; with
// -footprint it only prints what the program takes at rest, and exits with 1 beyond the bars, and with
// -pages it makes the pages again out of docs/figures.json, after a change of what is around a block.
// With FIGURES_SHORT=1 it measures for a moment only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	"onramp/internal/figures"
)

func main() {
	log.SetFlags(0)
	footprint := flag.Bool("footprint", false, "print the footprint only")
	pages := flag.Bool("pages", false, "make the pages again, without measuring")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *footprint, *pages)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, footprint, pages bool) (err error) {
	if pages {
		f, err := figures.Load(".")
		if err != nil {
			return err
		}
		return f.Write(".")
	}
	folder, err := os.MkdirTemp("", "onramp-figures-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	r := &figures.Run{Root: ".", Folder: folder, Short: os.Getenv("FIGURES_SHORT") == "1", Log: os.Stderr}
	if footprint {
		report, err := r.Footprint(ctx)
		if err != nil {
			return err
		}
		return errors.Join(report.WriteText(os.Stdout), missed(report.Misses()))
	}
	f, err := r.Collect(ctx)
	if err != nil {
		return err
	}
	err = f.Write(r.Root)
	if !r.Short { // in a moment, limits mean nothing
		err = errors.Join(err, missed(f.Misses()))
	}
	return err
}

func missed(misses []string) error {
	if len(misses) == 0 {
		return nil
	}
	return fmt.Errorf("missed:\n%s", strings.Join(misses, "\n"))
}
