// Command onramp puts a website's registrations into Salesforce Marketing Cloud.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"onramp/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills
	os.Exit(cli.Main(ctx, os.Args[1:], cli.OS()))
}
