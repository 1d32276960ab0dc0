package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/regions"
	"github.com/starling-vr/starling/world"
)

func shardsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shards",
		Short: "Shards and their owners: list, drain, undrain",
	}
	var peer operatorPort
	peer.register(cmd.PersistentFlags())
	cmd.AddCommand(
		&cobra.Command{
			Use:   "list",
			Short: "Show shards, owners, epochs, participants, actions per second, misses",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return peer.ask(cmd.Context(), func(ctx context.Context, o clusterv1.OperatorClient) error {
					reply, err := o.ListShards(ctx, &clusterv1.ListShardsRequest{})
					if err != nil {
						return err
					}
					return printShards(cmd, reply)
				})
			},
		},
		&cobra.Command{
			Use:   "owners",
			Short: "Show the processes of the region",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return peer.ask(cmd.Context(), func(ctx context.Context, o clusterv1.OperatorClient) error {
					reply, err := o.ListNodes(ctx, &clusterv1.ListNodesRequest{})
					if err != nil {
						return err
					}
					return printNodes(cmd, reply)
				})
			},
		},
		&cobra.Command{
			Use:   "drain OWNER",
			Short: "Make an owner hand all its shards over and take no new ones",
			Args:  cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return peer.ask(cmd.Context(), func(ctx context.Context, o clusterv1.OperatorClient) error {
					if _, err := o.Drain(ctx, &clusterv1.DrainRequest{Node: args[0]}); err != nil {
						return err
					}
					_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s drains; `starling shards list` shows what it still has\n", args[0])
					return err
				})
			},
		},
		&cobra.Command{
			Use:   "undrain OWNER",
			Short: "Call a drain off",
			Args:  cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return peer.ask(cmd.Context(), func(ctx context.Context, o clusterv1.OperatorClient) error {
					if _, err := o.Undrain(ctx, &clusterv1.UndrainRequest{Node: args[0]}); err != nil {
						return err
					}
					_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s takes shards again\n", args[0])
					return err
				})
			},
		},
	)
	return cmd
}

// operatorPort is where operators are answered.
type operatorPort struct {
	address string
	tls     regions.TLSConfig
}

func (p *operatorPort) register(flags *pflag.FlagSet) {
	flags.StringVar(&p.address, "peer", "127.0.0.1:7070", "peer port of any process of the region (region.advertise)")
	flags.StringVar(&p.tls.Certificate, "tls-certificate", "", "PEM file of a certificate of the region's authority (region.tls.certificate)")
	flags.StringVar(&p.tls.Key, "tls-key", "", "PEM file of its key (region.tls.key)")
	flags.StringVar(&p.tls.Authority, "tls-authority", "", "PEM file of the authority (region.tls.authority)")
}

func (p *operatorPort) ask(ctx context.Context, question func(context.Context, clusterv1.OperatorClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	connection, err := regions.DialOperator(p.address, p.tls)
	if err != nil {
		return err
	}
	defer connection.Close()
	return p.explain(question(ctx, clusterv1.NewOperatorClient(connection)))
}

// explain says what to do about an answer that did not come.
func (p *operatorPort) explain(err error) error {
	switch said := status.Convert(err); {
	case err == nil:
		return nil
	case said.Code() == codes.Unavailable || said.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("no answer from %s: %s (--peer names the peer port of any process of the region, which it logs as it starts; with region.tls the --tls flags are needed)", p.address, said.Message())
	default:
		return errors.New(said.Message())
	}
}

func printShards(cmd *cobra.Command, reply *clusterv1.ListShardsReply) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SHARD\tOWNER\tSTATE\tEPOCH\tSEQUENCE\tPARTICIPANTS\tENTITIES\tACTIONS/S\tMISSES/S\tMOVING TO")
	for _, s := range reply.Shards {
		id := world.ShardID{Place: world.PlaceID(s.GetShard().GetPlace()), Cell: s.GetShard().GetCell()}
		fmt.Fprintf(w, "%v\t%s\t%s\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%s\n", id, s.Owner, s.State, s.Epoch, s.Sequence,
			s.Sessions, s.Entities, s.ActionsPerSecond, s.MissesPerSecond, s.ShouldBe)
	}
	for _, owner := range reply.Silent {
		fmt.Fprintf(w, "?\t%s\tdoes not answer\n", owner)
	}
	return w.Flush()
}

func printNodes(cmd *cobra.Command, reply *clusterv1.ListNodesReply) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLES\tADDRESS\tSTATE\tSHARDS\tSESSIONS\tCONNECTIONS\tACTIONS/S")
	for _, n := range reply.Nodes {
		state := "alive"
		switch {
		case n.Left:
			state = "left"
		case !n.Alive:
			state = "dead"
		case n.Draining:
			state = "draining"
		}
		l := n.GetLoad()
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%.1f\n", n.Node, strings.Join(n.Roles, ","), n.Address, state,
			l.GetShards(), l.GetSessions(), l.GetConnections(), l.GetActionsPerSecond())
	}
	return w.Flush()
}
