package main

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/loadtest/yardstick"
)

// congestion is the yardstick's, as a Starling's by default.
const congestion = "cubic"

func yardstickCommand() *cobra.Command {
	var listen string
	var options yardstick.Options
	cmd := &cobra.Command{
		Use:   "yardstick",
		Short: "Serve a bare broadcast loop, for load tests to compare with",
		Long: `Serves the least that a server of a crowd can be: it reads an action and writes it to all who
watch the actor's cell, without authentication, rules, a log or a scheduler. It speaks the client
protocol just far enough for a load test, and what it costs is nearly all the kernel's TCP.
Figures of different machines compare as ratios to it: see "starling loadtest crowd --yardstick".

It takes every token, trusts its clients and keeps nothing: for one's own machine only.`,
		Example: `  starling loadtest yardstick --listen 127.0.0.1:8090 --wait 10ms`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			runtime.GOMAXPROCS(options.Pollers + 1) // a thread that waits in the kernel keeps its place
			debug.SetGCPercent(400)
			log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
			return yardstick.Serve(cmd.Context(), listen, options, func(address string) { log.Info("serving", "listen", address) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:0", "host:port of the websocket")
	flags.DurationVar(&options.Wait, "wait", 0, "from the first thing that a connection is to be told until it is written, with what joins it meanwhile; 0: at once")
	flags.IntVar(&options.Pollers, "pollers", yardstick.DefaultPollers, "threads that read and write")
	flags.StringVar(&options.Congestion, "congestion", congestion, "TCP congestion control of the connections, if the kernel has it; empty: the system's default")
	return cmd
}
