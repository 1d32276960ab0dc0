package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/starling-vr/starling/internal/config"
)

// explain makes a command and those below it say what to do about a command line
// that they do not understand.
func explain(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(explainFlag)
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		}
		cmd.Args = cobra.ArbitraryArgs
		cmd.Annotations = map[string]string{group: ""}
	}
	for _, below := range cmd.Commands() {
		explain(below)
	}
}

// group marks commands that only have others below them.
const group = "group"

func isGroup(cmd *cobra.Command) bool {
	_, is := cmd.Annotations[group]
	return is
}

func unknownCommand(cmd *cobra.Command, name string) error {
	var known []string
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() {
			known = append(known, below.Name())
		}
	}
	otherwise := "there are " + strings.Join(known, ", ")
	return fmt.Errorf("%s has no command %q%s (%s --help tells more)", cmd.CommandPath(), name, config.Suggestion(name, known, otherwise), cmd.CommandPath())
}

func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return fmt.Errorf("%w (%s --help tells what it takes)", err, cmd.CommandPath())
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	return fmt.Errorf("%s has no flag --%s%s", cmd.CommandPath(), unknown.GetSpecifiedName(),
		config.Suggestion(unknown.GetSpecifiedName(), known, cmd.CommandPath()+" --help lists all"))
}
