package service

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/workloads/annotate/pipeline"
)

// Config are the settings of annotation.
type Config struct {
	Workflows   string `toml:"workflows" default:"" doc:"TOML file with the workflows: their functions, conditions, topics and deadlines. Empty: default (hard, 100 ms) and analysis (soft, 5 s). See docs/explanation/annotation.md."`
	MaxDocument int    `toml:"max_document" default:"4194304" doc:"Bytes of a document; larger ones are refused. At 4 MiB a document holds some 60 MB while it is annotated."`
	SplitAbove  int    `toml:"split_above" default:"65536" doc:"Bytes from which on a document is cut between paragraphs and annotated in parts, on as many cores as are free."`
	Streams     int    `toml:"streams" default:"1024" doc:"How many streams of documents, HTTP and gRPC, may be open at once."`
	InFlight    int    `toml:"in_flight" default:"1024" doc:"Documents of one stream that may be under way; then the stream is not read until answers went out."`
	Entities    int    `toml:"entities" default:"100000" doc:"How many entities the knowledge base keeps (about 300 bytes each); those not mentioned for longest are forgotten."`
	Subscribers int    `toml:"subscribers" default:"64" doc:"How many may listen to annotations as they are made."`
	Nice        int    `toml:"nice" default:"0" doc:"Niceness (0 to 19) of the whole process, Linux: the higher, the more other processes of the machine go before it; above 0 its threads do not take the processor from others when they wake up, either (SCHED_BATCH). Only where region.roles is annotate alone."`
	Keep        int64  `toml:"keep" default:"0" doc:"How many annotations are kept in the region's Redis (stream PREFIX:annotations) for documents that ask for it; the oldest go first. 0: none, and a document that asks is refused. Needs store.kind redis."`
}

// Check says what is wrong with the settings.
func (c *Config) Check() error {
	for _, least := range []struct {
		name  string
		value int
	}{{"max_document", c.MaxDocument}, {"split_above", c.SplitAbove}, {"streams", c.Streams}, {"in_flight", c.InFlight}, {"entities", c.Entities}} {
		if least.value < 1 {
			return fmt.Errorf("annotate: %s %d: want 1 or more", least.name, least.value)
		}
	}
	if c.MaxDocument > 1<<30 {
		return fmt.Errorf("annotate: max_document %d: want %d at most", c.MaxDocument, 1<<30)
	}
	if c.Subscribers < 0 || c.Keep < 0 {
		return errors.New("annotate: subscribers or keep is negative")
	}
	if c.Nice < 0 || c.Nice > 19 {
		return fmt.Errorf("annotate: nice %d: want 0 to 19", c.Nice)
	}
	_, err := c.definitions()
	return err
}

// Admit deploys the workflows on a scheduler until they are taken away again: it says
// what New would refuse them for.
func (c *Config) Admit(scheduler *invoke.Scheduler) (takeAway func(), err error) {
	definitions, err := c.definitions()
	if err != nil {
		return nil, err
	}
	p, err := pipeline.New(scheduler, pipeline.Options{SplitAbove: c.SplitAbove})
	if err != nil {
		return nil, err
	}
	if err := p.Deploy(definitions...); err != nil {
		p.Close()
		return nil, inSetting(err)
	}
	return p.Close, nil
}

// inSetting names the setting that an error of a workflow comes from.
func inSetting(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("annotate.workflows: %w", err)
}

func (c *Config) definitions() ([]pipeline.Definition, error) {
	if c.Workflows == "" {
		return pipeline.Defaults(), nil
	}
	file, err := os.ReadFile(c.Workflows)
	if err != nil {
		return nil, inSetting(err)
	}
	definitions, err := pipeline.ParseDefinitions(c.Workflows, file)
	return definitions, inSetting(err)
}

// Identity is who sends documents, as a token says.
type Identity struct {
	Name    string
	Scopes  []string
	Expires time.Time
}

// Deps are what the service works with.
type Deps struct {
	Scheduler *invoke.Scheduler
	// Verify says whose token it is. Its error's text is told to the client. Nil:
	// nobody is asked for a token.
	Verify     func(token string, now time.Time) (Identity, error)
	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Store keeps annotations; nil: none.
	Store Store
	// Pipeline has functions of its own, or models; may be the zero value.
	Pipeline pipeline.Options
}
