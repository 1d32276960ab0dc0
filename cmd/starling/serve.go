package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/internal/server"
)

func serveCommand() *cobra.Command {
	var from sources
	var roles, node, listen, peerListen, peerAddress string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a gateway, an owner, annotation, the trigger, or all, against a store",
		Long: `Runs one process of a region. Settings come from a file (--config), the environment
(STARLING_…) and flags, the later winning; ` + "`starling config defaults`" + ` lists them.
SIGTERM drains: clients are sent elsewhere, shards handed over.`,
		Example: `  STARLING_AUTH_KEY=… starling serve --set store.redis.addresses=127.0.0.1:6379
  starling serve --roles owner --node owner-1 --config /etc/starling/starling.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources := from.all()
			for key, value := range map[string]string{
				"region.roles": roles, "region.id": node, "listen": listen,
				"region.listen": peerListen, "region.advertise": peerAddress,
			} {
				if value != "" {
					sources.Set = append(sources.Set, key+"="+value)
				}
			}
			settings, err := server.Load(sources)
			if err != nil {
				return err
			}
			log, err := settings.Log.Logger(os.Stderr)
			if err != nil {
				return err
			}
			running, err := server.Start(cmd.Context(), settings, server.Options{Log: log})
			if err != nil {
				return err
			}
			log.Info("serving", "node", running.Node(), "roles", settings.Region.Roles, "listen", running.Address(),
				"peer", running.PeerAddress(), "store", settings.Store.Kind, "durability", settings.Store.Durability)
			return wait(cmd.Context(), running)
		},
	}
	from.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&roles, "roles", "", "gateway, owner, annotate, trigger, or several with commas (region.roles)")
	flags.StringVar(&node, "node", "", "name of this process, unlike all others (region.id)")
	flags.StringVar(&listen, "listen", "", "host:port of websocket, health and metrics (listen)")
	flags.StringVar(&peerListen, "peer-listen", "", "host:port for the other processes (region.listen)")
	flags.StringVar(&peerAddress, "peer-address", "", "host:port at which they reach it (region.advertise)")
	return cmd
}

// wait serves until the process is told to stop, or cannot go on.
func wait(ctx context.Context, running *server.Server) error {
	select {
	case <-ctx.Done():
		return running.Stop()
	case err := <-running.Failed():
		return errors.Join(fmt.Errorf("cannot go on: %w", err), running.Stop())
	}
}
