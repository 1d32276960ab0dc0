package main

import (
	"github.com/spf13/cobra"
)

func loadtestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "loadtest",
		Short: "Find out what a Starling carries: synthetic crowds, open loop",
	}
	cmd.AddCommand(crowdCommand(), sweepCommand(), compareCommand(), scenariosCommand(), planCommand(), calibrateCommand(), yardstickCommand(), triggerCommand(), triggerProcessCommand(), annotateLoadCommand(), table1Command(), mixCommand(), drawCommand())
	return cmd
}
