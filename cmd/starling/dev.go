package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/internal/version"
	"github.com/starling-vr/starling/loadtest/crowd"
	"github.com/starling-vr/starling/web"
)

type devOptions struct {
	sources
	listen  string
	data    string
	crowd   int
	trigger bool
	rate    float64
	seed    uint64
}

func devCommand() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process on embedded defaults, with a page and a crowd",
		Long: `Runs a whole Starling in one process: an embedded store, an owner, a gateway, a page to
look at and join through, and a synthetic crowd that walks around Taipei 101.
Anybody who reaches the address can join: it is for development.

With --trigger the trigger runs beside it: records of a simulated detector, made beforehand, fall
due by the clock, 100 a second unless trigger.rate says otherwise; its functions stand on the page
and in functions list.`,
		Example: "  starling dev --crowd 200\n  starling dev --crowd 0 --data ./world --listen 0.0.0.0:8080\n  starling dev --trigger --set trigger.rate=300",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	o.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "host:port of page, websocket, health and metrics")
	flags.StringVar(&o.data, "data", "", "directory of the world's file (default: a temporary one, removed at the end)")
	flags.IntVar(&o.crowd, "crowd", 0, "synthetic participants")
	flags.BoolVar(&o.trigger, "trigger", false, "run the trigger, too, on simulated records (some 4 % of a core at 1,000 records/s)")
	flags.Float64Var(&o.rate, "rate", 2, "actions per second of each of them, on average")
	flags.Uint64Var(&o.seed, "seed", 1, "of everything random in the crowd")
	return cmd
}

// settings are the embedded defaults, under what file, environment and --set say.
func (o *devOptions) settings(directory string) (*server.Settings, error) {
	from := o.all()
	durability := "memory"
	if o.data != "" {
		durability = "disk"
	}
	key := server.NewKey()
	roles := "gateway,owner,annotate"
	if o.trigger {
		roles += ",trigger"
	}
	from.Set = append([]string{
		"log.format=text", "log.level=warn", "store.kind=embedded", "store.directory=" + directory, "store.durability=" + durability,
		"auth.key=" + key, "region.roles=" + roles, "trigger.archive.directory=" + filepath.Join(directory, "events"), "gateway.resume_time=15s", "gateway.max_per_address=0", "listen=" + o.listen, "region.id=dev",
	}, from.Set...)
	return server.Load(from)
}

func (o *devOptions) run(ctx context.Context, out io.Writer) error {
	if o.crowd < 0 || o.rate <= 0 {
		return fmt.Errorf("--crowd %d --rate %g: want no less than 0 participants, and a rate above 0", o.crowd, o.rate)
	}
	directory := o.data
	if directory == "" {
		var err error
		if directory, err = os.MkdirTemp("", "starling-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(directory)
	}
	settings, err := o.settings(directory)
	if err != nil {
		return err
	}
	log, err := settings.Log.Logger(os.Stderr)
	if err != nil {
		return err
	}
	info := o.info(settings)
	running, err := server.Start(ctx, settings, server.Options{Log: log, Routes: func(mux *http.ServeMux, trigger string) {
		info.Trigger = trigger
		server.DevRoutes(mux, settings.Auth.Key, info)
		mux.Handle("/", web.Handler())
	}})
	if err != nil {
		return err
	}
	scheme := "http"
	if settings.TLS.Certificate != "" {
		scheme = "https"
	}
	o.greet(out, scheme+"://"+running.Address()+"/", running.PeerAddress(), directory, settings, info)

	people := crowd.New(crowd.Options{
		URL: "ws" + scheme[len("http"):] + "://" + running.Address() + server.Endpoint, Participants: o.crowd, Rate: o.rate, Seed: o.seed,
		Things: min(40, o.crowd/4), Area: crowd.Taipei(), Logger: log,
		Token: func(name string) (string, error) {
			return auth.Mint([]byte(settings.Auth.Key), name, server.DevScopes, 24*time.Hour, time.Now())
		},
	})
	walking, goHome := context.WithCancel(ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		people.Run(walking)
	}()
	err = wait(ctx, running)
	goHome()
	<-gone
	return err
}

func (o *devOptions) info(s *server.Settings) server.DevInfo {
	centre := crowd.Taipei().Centre
	info := server.DevInfo{
		Center:         server.DevCenter{Latitude: centre.Lat, Longitude: centre.Lng},
		CellResolution: s.World.CellResolution, DeadlineUs: s.Gateway.Deadline.Microseconds(), Crowd: o.crowd,
		Store: s.Store.Kind, Version: version.String(),
	}
	switch {
	case s.Store.Kind != "embedded":
		info.Survives = "what the store survives, at durability " + s.Store.Durability
	case o.data == "":
		info.Survives = "nothing survives the end of this process"
	default:
		info.Survives = "what was committed survives, the loss of power included"
		if s.Store.Durability == "memory" {
			info.Survives = "what was committed survives the end of the process, not the loss of power"
		}
	}
	return info
}

func (o *devOptions) greet(out io.Writer, url, peer, directory string, s *server.Settings, info server.DevInfo) {
	store := info.Store
	if store == "embedded" {
		store += " in " + directory
		if o.data == "" {
			store += " (temporary; --data DIR keeps it)"
		}
	}
	trigger := "off (--trigger runs it on simulated records)"
	if info.Trigger != "" {
		trigger = fmt.Sprintf("%g records/s of %s", s.Trigger.Rate, info.Trigger)
	}
	fmt.Fprintf(out, `
  Starling %s

  page       %s
  websocket  %s (docs/reference/protocol.md)
  documents  %sv1/annotate (docs/reference/annotate-api.md)
  key        %s
             %s token create NAME --key KEY
  store      %s
             %s
  trigger    %s
  operators  %s functions list --peer %s
  crowd      %d participants around Taipei 101

  Ctrl-C stops.

`, info.Version, url, "ws"+url[len("http"):len(url)-1]+server.Endpoint, url, s.Auth.Key, os.Args[0], store, info.Survives, trigger, os.Args[0], peer, o.crowd)
}
