package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/loadtest/together"
)

func drawCommand() *cobra.Command {
	out := "."
	cmd := &cobra.Command{
		Use:     "draw RESULT...",
		Short:   "Draw results of table1 and of mix as SVG",
		Long:    "Draws results that starling loadtest table1 or mix wrote with --json, each as several SVG files, and prints their names.",
		Example: `  starling loadtest draw table1.json mix.json --out docs/images`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, results []string) error {
			for _, result := range results {
				files, err := together.Draw(result, out)
				if err != nil {
					return err
				}
				for _, file := range files {
					fmt.Fprintln(cmd.OutOrStdout(), file)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", out, "the folder (`DIR`) that the files are written to")
	return cmd
}
