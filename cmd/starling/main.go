// Command starling runs and operates Starling.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "starling:", err)
		status := 1
		if coded := (*statusError)(nil); errors.As(err, &coded) {
			status = coded.status
		}
		os.Exit(status)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "starling",
		Short:         "A geo-distributed action backend for virtual and augmented reality",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(devCommand(), serveCommand(), shardsCommand(), functionsCommand(), tokenCommand(), configCommand(), annotateCommand(), triggerNetworksCommand(), loadtestCommand(), versionCommand())
	explain(cmd)
	return cmd
}
