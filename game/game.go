// Package game runs Starling with a game's own functions.
//
//	func main() {
//		registry := actions.NewRegistry()
//		if err := registry.Register(actions.Function{Name: "tag", Run: tag}); err != nil {
//			log.Fatal(err)
//		}
//		game.Main(registry)
//	}
package game

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
	trigger "github.com/starling-vr/starling/workloads/trigger/service"
)

// Game is what a program adds to Starling. The zero value adds nothing.
type Game struct {
	// Registry has the functions of actions; nil: the built-in ones. Every owner of a
	// world must run the same.
	Registry *actions.Registry
	// Trigger brings the records for processes with the role trigger, e.g. by a
	// stream.Ring that a detector's reader fills; nil: a simulated detector does.
	Trigger *trigger.Feed
}

// Main is [Game.Main] of a game that has functions only.
func Main(registry *actions.Registry) { (&Game{Registry: registry}).Main() }

// Serve is [Game.Serve] of a game that has functions only.
func Serve(ctx context.Context, registry *actions.Registry, arguments []string) error {
	return (&Game{Registry: registry}).Serve(ctx, arguments)
}

// Main is the main function of a game's server: `starling serve` with what the game adds.
// It reads --config FILE, STARLING_… variables and --set section.key=value, serves until
// SIGTERM or SIGINT, and ends the process.
func (g *Game) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := g.Serve(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Serve runs a process with what the game adds until ctx ends, then hands its shards
// over. The arguments are those of Main. Errors say which setting or function cannot
// work.
func (g *Game) Serve(ctx context.Context, arguments []string) error {
	registry := g.Registry
	if registry == nil {
		registry = actions.NewRegistry()
	}
	flags := pflag.NewFlagSet("game", pflag.ContinueOnError)
	file := flags.String("config", "", "a TOML `FILE` with settings (starling config defaults prints one)")
	set := flags.StringArray("set", nil, "a setting, as `KEY=VALUE` with a key like gateway.deadline; may be repeated")
	check := flags.Bool("check", false, "say what is wrong with the settings and the contracts of the functions, and end")
	if err := flags.Parse(arguments); errors.Is(err, pflag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w (--help lists the flags)", err)
	}
	settings, err := server.Load(config.Sources{File: *file, Env: os.Environ(), Set: *set})
	if err != nil {
		return err
	}
	if *check {
		err := settings.CheckWith(registry, g.Trigger)
		if err == nil {
			fmt.Println("ok")
		}
		return err
	}
	log, err := settings.Log.Logger(os.Stderr)
	if err != nil {
		return err
	}
	running, err := server.Start(ctx, settings, server.Options{Log: log, Registry: registry, Trigger: g.Trigger})
	if err != nil {
		return err
	}
	log.Info("serving", "node", running.Node(), "listen", running.Address(), "functions", registry.Names())
	select {
	case <-ctx.Done():
		return running.Stop()
	case err := <-running.Failed():
		return errors.Join(fmt.Errorf("cannot go on: %w", err), running.Stop())
	}
}
