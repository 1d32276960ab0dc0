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
	var roles string
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a file, the environment and flags together; print what is wrong",
		Long: `Checks what serve would be started with, and prints all that is wrong, not only the
first. What only a role needs is checked for the roles in region.roles: contracts of
functions with owner, contracts, functions and topics of workflows with annotate, network and
contracts with trigger; all of them together must fit this machine. A file of workflows that the
settings name is read in any case.`,
		Example: `  starling config check starling.toml
  starling config check starling.toml --roles annotate
  starling config check --roles trigger --set trigger.archive.directory=events --set trigger.rate=20e6`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, arguments []string) error {
			if len(arguments) == 1 {
				if from.file != "" && from.file != arguments[0] {
					return fmt.Errorf("two files, %s and --config %s: name one", arguments[0], from.file)
				}
				from.file = arguments[0]
			}
			if roles != "" {
				from.set = append(from.set, "region.roles="+roles)
			}
			settings, err := server.Load(from.all())
			if err != nil {
				return err
			}
			if err := settings.CheckWith(actions.NewRegistry(), nil); err != nil {
				return err
			}
			if err := settings.Annotate.Check(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return err
		},
	}
	from.flags(check)
	check.Flags().StringVar(&roles, "roles", "", "gateway, owner, annotate, trigger, or several with commas (region.roles)")
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
