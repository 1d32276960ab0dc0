// Package regions joins the processes of one region: who is there (directory),
// which owner serves which shard, and how everything reaches it (peer).
//
// A Node is one process's part in that. For an owner's host it is the
// actions.Assignment and the actions.Network; a gateway sends through its
// Router and subscribes to its Bus.
package regions

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/creasty/defaults"

	"github.com/starling-vr/starling/regions/directory"
	"github.com/starling-vr/starling/regions/peer"
)

// Config holds a node's settings.
type Config struct {
	ID        string   `toml:"id" default:"" doc:"Name of this process in the region, unlike all others. Empty: the host's name and a random number."`
	Roles     []string `toml:"roles" default:"[\"gateway\",\"owner\"]" doc:"What this process does: gateway (serves clients), owner (runs shards), annotate (annotates documents), trigger (decides about records of a detector)."`
	Listen    string   `toml:"listen" default:"127.0.0.1:0" doc:"Address of the peer port, host:port. Whoever reaches it can act as any process of the region: keep it private, or set the tls files."`
	Advertise string   `toml:"advertise" default:"" doc:"host:port at which other processes reach the peer port. Empty: the address listened on."`

	TLS TLSConfig `toml:"tls" doc:"Mutual TLS between the processes."`

	HintTime    time.Duration `toml:"hint_time" default:"1s" doc:"How long an owner's word that another one serves a shard is followed against the directory."`
	ReleaseTime time.Duration `toml:"release_time" default:"10s" doc:"How long to wait for an owner to hand a shard over when asked."`
	MoveAtOnce  int           `toml:"move_at_once" default:"4" doc:"Shards that an owner hands over at the same time. Each stands still while it moves."`

	Directory directory.Config `toml:"directory" doc:"Leases."`
	Peer      peer.Config      `toml:"peer" doc:"Streams between processes."`
}

// DefaultConfig gives the defaults that the tags name.
func DefaultConfig() (c Config) {
	defaults.MustSet(&c)
	return c
}

// Check says what is wrong with the settings.
func (c Config) Check() error {
	if c.ID != "" {
		if err := directory.CheckID(c.ID); err != nil {
			return err
		}
	}
	if _, err := c.roles(); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if c.Advertise != "" {
		if _, _, err := net.SplitHostPort(c.Advertise); err != nil {
			return fmt.Errorf("advertise: %w", err)
		}
	}
	if c.HintTime <= 0 || c.ReleaseTime <= 0 || c.MoveAtOnce < 1 {
		return errors.New("hint_time, release_time and move_at_once must be above 0")
	}
	if err := c.TLS.check(); err != nil {
		return err
	}
	return errors.Join(c.Directory.Check(), c.Peer.Check())
}

func (c Config) roles() ([]directory.Role, error) {
	if len(c.Roles) == 0 {
		return nil, errors.New("roles: want gateway, owner, annotate, trigger or several of them")
	}
	roles := make([]directory.Role, len(c.Roles))
	for i, text := range c.Roles {
		r, err := directory.ParseRole(text)
		if err != nil {
			return nil, err
		}
		roles[i] = r
	}
	return roles, nil
}

// TLSConfig names the files of mutual TLS. All or none.
type TLSConfig struct {
	Certificate string `toml:"certificate" default:"" doc:"PEM file of this process's certificate, good for server and client use, with the host of advertise among its names."`
	Key         string `toml:"key" default:"" doc:"PEM file of its key."`
	Authority   string `toml:"authority" default:"" doc:"PEM file of the authority that signed the certificates of all processes of the region, and nothing else."`
}

func (c TLSConfig) check() error {
	if some := c.Certificate != "" || c.Key != "" || c.Authority != ""; some && (c.Certificate == "" || c.Key == "" || c.Authority == "") {
		return errors.New("tls: want certificate, key and authority, or none of them")
	}
	return nil
}

// load reads the files; nil if none are named.
func (c TLSConfig) load() (*cryptotls.Config, error) {
	if c.Certificate == "" {
		return nil, nil
	}
	certificate, err := cryptotls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	authority, err := os.ReadFile(c.Authority)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("tls: no certificate in %s", c.Authority)
	}
	return &cryptotls.Config{
		Certificates: []cryptotls.Certificate{certificate}, RootCAs: pool,
		ClientCAs: pool, ClientAuth: cryptotls.RequireAndVerifyClientCert, MinVersion: cryptotls.VersionTLS13,
	}, nil
}
