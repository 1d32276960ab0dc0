package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/loadtest/scenario"
)

func scenariosCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "scenarios", Short: "Scenarios that come with Starling: list, show"}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "List the scenarios with a line on each",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				for _, name := range scenario.Names() {
					s, err := scenario.Load(name)
					if err != nil {
						return err
					}
					fmt.Fprintf(out, "%s\t%s\n", name, s.Description)
				}
				return out.Flush()
			},
		},
		&cobra.Command{
			Use:     "show NAME",
			Short:   "Print the file of a scenario, to copy and change",
			Example: "  starling loadtest scenarios show safari-zone > my-event.toml",
			Args:    cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				text, err := scenario.Source(args[0])
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			},
		},
	)
	return cmd
}
