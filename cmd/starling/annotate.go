package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/workloads/annotate/model"
	"github.com/starling-vr/starling/workloads/annotate/model/training"
)

func annotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "annotate",
		Short: "Train the models of document annotation and measure them",
	}
	cmd.AddCommand(annotateTrainCommand(), annotateEvaluateCommand())
	return cmd
}

// modelsFile is the file of trained models in a folder.
const modelsFile = "models.bin"

type trainOptions struct {
	data, out string
	training  training.Options
}

func annotateTrainCommand() *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train the models of annotation from labelled text",
		Long: "Trains all models of annotation from the files of a folder and writes them to models.bin in another.\n" +
			"docs/reference/models.md describes the files. The same files and seed give the same models.\n" +
			"Put in place of workloads/annotate/model/models.bin, the models become part of the next build.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "folder with the labelled text and the word vectors")
	f.StringVar(&o.out, "out", ".", "folder that models.bin is written to")
	f.Uint64Var(&o.training.Seed, "seed", 1, "seed of everything random")
	f.BoolVar(&o.training.HoldOut, "hold-out", false, "leave the development files out, to measure with them")
	_ = cmd.MarkFlagRequired("data")
	return cmd
}

func (o *trainOptions) run(cmd *cobra.Command) error {
	// Before the minute that training takes.
	if folder, err := os.Stat(o.out); err != nil || !folder.IsDir() {
		return fmt.Errorf("--out %s: there is no such folder", o.out)
	}
	began := time.Now()
	o.training.Progress = func(step string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%7.1f s  %s\n", time.Since(began).Seconds(), step)
	}
	weights, err := training.Train(cmd.Context(), training.Corpus{Folder: o.data}, o.training)
	if err != nil {
		return err
	}
	path := filepath.Join(o.out, modelsFile)
	file := weights.Encode()
	if err := os.WriteFile(path, file, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %.1f MB\n", path, float64(len(file))/1e6)
	return err
}

type evaluateOptions struct {
	data, models              string
	seed                      uint64
	development, asJSON, time bool
}

func annotateEvaluateCommand() *cobra.Command {
	var o evaluateOptions
	cmd := &cobra.Command{
		Use:   "evaluate",
		Short: "Measure how right the models of annotation are",
		Long: "Measures models with the test files of a folder (docs/reference/models.md describes them): tags word by word,\n" +
			"entities by exact span and kind, and sentiment by ten folds, for which it trains ten models.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "folder with the labelled text")
	f.StringVar(&o.models, "models", "", "file of models, instead of those that come with the program")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the training for sentiment")
	f.BoolVar(&o.development, "development", false, "measure with the development files, for models trained with --hold-out")
	f.BoolVar(&o.time, "time", false, "measure how long each function takes instead, on documents of 300 words")
	f.BoolVar(&o.asJSON, "json", false, "print JSON, with counts")
	_ = cmd.MarkFlagRequired("data")
	return cmd
}

func (o *evaluateOptions) run(cmd *cobra.Command) error {
	m, err := o.open()
	if err != nil {
		return err
	}
	if o.time {
		return o.measure(cmd.OutOrStdout(), m)
	}
	scores, err := training.Evaluate(cmd.Context(), training.Corpus{Folder: o.data}, m, o.development, training.Options{Seed: o.seed})
	if err != nil {
		return err
	}
	if o.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(scores)
	}
	return writeScores(cmd.OutOrStdout(), &scores)
}

func (o *evaluateOptions) measure(out io.Writer, m *model.Models) error {
	s, err := training.Time(training.Corpus{Folder: o.data}, m)
	if err != nil {
		return err
	}
	if o.asJSON {
		return json.NewEncoder(out).Encode(s)
	}
	for _, f := range []struct {
		name string
		us   float64
	}{{"vocabulary", s.Vocabulary}, {"part of speech", s.Speech}, {"entities", s.Entities}, {"sentiment", s.Sentiment}, {"embedding", s.Embedding}, {"all", s.All}} {
		fmt.Fprintf(out, "%-16s %7.1f us\n", f.name, f.us)
	}
	return nil
}

func (o *evaluateOptions) open() (*model.Models, error) {
	if o.models == "" {
		return model.Default()
	}
	file, err := os.ReadFile(o.models)
	if err != nil {
		return nil, err
	}
	m, err := model.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.models, err)
	}
	return m, nil
}

func writeScores(out io.Writer, s *training.Scores) error {
	share := func(name string, x training.Share) {
		fmt.Fprintf(out, "%-28s %6.2f %%  of %d\n", name, 100*x.Value(), x.Of)
	}
	spans := func(name string, x training.Spans) {
		fmt.Fprintf(out, "%-28s F1 %5.2f  precision %5.2f  recall %5.2f  of %d\n", name, 100*x.F1(), 100*x.Precision(), 100*x.Recall(), x.Wanted)
	}
	share("part of speech", s.Tags)
	share("  rare words", s.RareTags)
	share("  raw text", s.RawTags)
	spans("entities", s.AllEntities)
	for _, kind := range []string{"PER", "ORG", "LOC"} {
		spans("  "+kind, s.Entities[kind])
	}
	spans("  raw text", s.RawEntities)
	share("sentiment, ten folds", s.Sentiment)
	return nil
}
