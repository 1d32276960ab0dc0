package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/workloads/trigger/detector"
	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/preset"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

func triggerNetworksCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "trigger", Short: "The trigger's networks: train them, judge them"}
	cmd.AddCommand(triggerTrainCommand(), triggerJudgeCommand())
	return cmd
}

func triggerTrainCommand() *cobra.Command {
	var net, out string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train a network on the simulated detector, and write its weights",
		Long: `Simulates events, trains the network in floats, tunes and quantises it to int8, sets its
threshold, and judges both by events that neither has seen. The same seed gives the same weights
on the same processor architecture. Takes a minute or two of one core.`,
		Example: "  starling trigger train --net jet --out jet.weights",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			recipe, err := training.RecipeFor(net)
			if err != nil {
				return err
			}
			trained, err := recipe.Train(seed, func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) })
			if err != nil {
				return err
			}
			file, err := trained.Network.Encode()
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, file, 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", out, trained.Quality.String())
			return err
		},
	}
	cmd.Flags().StringVar(&net, "net", "jet", "jet, image or image-deep")
	cmd.Flags().StringVar(&out, "out", "trigger.weights", "file to write")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "where random numbers begin")
	return cmd
}

func triggerJudgeCommand() *cobra.Command {
	var net, weights string
	var events int
	var seed uint64
	var conditions detector.Conditions
	cmd := &cobra.Command{
		Use:     "judge",
		Short:   "Judge a network by simulated events",
		Example: "  starling trigger judge --net jet --energy-scale 1.1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, recipe, err := preset.Network(net)
			if err == nil && weights != "" {
				n, err = readWeights(weights, recipe.Shape)
			}
			if err != nil {
				return err
			}
			if events < 1 {
				return fmt.Errorf("--events %d: want at least 1", events)
			}
			if !(conditions.PileUp >= 0) || !(conditions.EnergyScale > 0) {
				return fmt.Errorf("--pile-up %g --energy-scale %g: want no less than 0, and more than 0", conditions.PileUp, conditions.EnergyScale)
			}
			random := rand.New(rand.NewPCG(seed, 2))
			e := training.Evaluate(n, training.Simulate(recipe.Detector(conditions), events, 0.5, random))
			if math.IsNaN(e.AUC) {
				return fmt.Errorf("--events %d are too few: there must be signals and background among them", events)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s, %d operations: %v\n", &n.Shape, n.Shape.Operations(), &e)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&net, "net", "jet", "jet, image or image-deep")
	flags.StringVar(&weights, "weights", "", "file to judge instead of the one that comes with the program")
	flags.IntVar(&events, "events", 20000, "how many events to simulate, half of them signals")
	flags.Uint64Var(&seed, "seed", 2, "where random numbers begin")
	flags.Float64Var(&conditions.PileUp, "pile-up", 10, "mean number of soft particles from other collisions in a jet")
	flags.Float64Var(&conditions.EnergyScale, "energy-scale", 1, "by what measured energies are multiplied")
	return cmd
}

// readWeights reads a weights file for records as the shape's.
func readWeights(name string, shape network.Shape) (*network.Network, error) {
	file, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	n, err := network.Decode(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if n.Shape.Size != shape.Size {
		return nil, fmt.Errorf("%s: for records of %d bytes, not %d", name, n.Shape.Size, shape.Size)
	}
	return n, nil
}
