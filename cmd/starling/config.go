package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Settings: print the defaults, check a file"}
	cmd.AddCommand(&cobra.Command{
		Use:   "defaults",
		Short: "Print all settings with their defaults, as a commented file",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := server.Load(config.Sources{})
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), config.Print(settings))
			return err
		},
	})
	var from sources
	check := &cobra.Command{
		Use:   "check",
		Short: "Check a file, the environment and flags together; print what is wrong",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := server.Load(from.all())
			if err != nil {
				return err
			}
			if err := settings.CheckWith(actions.NewRegistry()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return err
		},
	}
	from.flags(check)
	cmd.AddCommand(check)
	return cmd
}

// sources are the flags by which settings come in.
type sources struct {
	file string
	set  []string
}

func (s *sources) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "config", "", "a TOML `FILE` with settings (starling config defaults prints one)")
	cmd.Flags().StringArrayVar(&s.set, "set", nil, "a setting, as `KEY=VALUE` with a key like gateway.deadline; may be repeated")
}

func (s *sources) all() config.Sources {
	return config.Sources{File: s.file, Env: os.Environ(), Set: s.set}
}
