package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-vr/starling/gateway/auth"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Tokens for participants"}
	cmd.AddCommand(tokenCreateCommand())
	return cmd
}

func tokenCreateCommand() *cobra.Command {
	var key, issuer, audience string
	var scopes []string
	var lifetime time.Duration
	var count int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create PARTICIPANT",
		Short: "Sign a token, or with --count many",
		Long: `Signs an HS256 token for a participant with the key that the gateways check (auth.key).
With --count N it signs tokens for PARTICIPANT-0 .. PARTICIPANT-(N-1), one a line.
PARTICIPANT "-" reads participants from standard input, one a line.

Scopes: spawn:KIND spawn:any despawn:any move:any set:any place:create place:any
annotate:subscribe, and those that places and a game's own functions ask for.`,
		Example: `  starling token create alice --key "$STARLING_AUTH_KEY" --scope spawn:ball --lifetime 24h
  starling token create tester --count 5000 --json > tokens.ndjson`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				key = os.Getenv("STARLING_AUTH_KEY")
			}
			if key == "" {
				return errors.New("no key: give --key or set STARLING_AUTH_KEY (`starling dev` prints its own)")
			}
			participants, err := participantsOf(args[0], count, cmd.InOrStdin())
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			now := time.Now()
			for _, participant := range participants {
				token, err := auth.MintWith([]byte(key), auth.Minting{
					Participant: participant, Scopes: scopes, Issuer: issuer, Audience: audience, Lifetime: lifetime,
				}, now)
				if err != nil {
					return err
				}
				if asJSON {
					line, err := json.Marshal(map[string]any{"participant": participant, "token": token, "expires": now.Add(lifetime).Unix()})
					if err != nil {
						return err
					}
					token = string(line)
				}
				if _, err := fmt.Fprintln(out, token); err != nil {
					return err
				}
			}
			return out.Flush()
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&key, "key", "", "the secret key of HS256, at least 32 bytes (default: STARLING_AUTH_KEY)")
	flags.StringSliceVar(&scopes, "scope", nil, "what the participant may do; may be repeated")
	flags.DurationVar(&lifetime, "lifetime", time.Hour, "how long the token is good for")
	flags.StringVar(&issuer, "issuer", "", "the iss claim")
	flags.StringVar(&audience, "audience", "", "the aud claim")
	flags.IntVar(&count, "count", 0, "sign so many tokens, for PARTICIPANT-0 and so on")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object a line: participant, token, expires (Unix seconds)")
	return cmd
}

func participantsOf(name string, count int, in io.Reader) ([]string, error) {
	if name == "-" {
		if count != 0 {
			return nil, errors.New("--count does not go with names from standard input")
		}
		var names []string
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" {
				names = append(names, line)
			}
		}
		if len(names) == 0 && lines.Err() == nil {
			return nil, errors.New("no participants on standard input")
		}
		return names, lines.Err()
	}
	if count < 0 {
		return nil, fmt.Errorf("--count %d: want 1 or more", count)
	}
	if count == 0 {
		return []string{name}, nil
	}
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", name, i)
	}
	return names, nil
}
