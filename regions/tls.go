package regions

import (
	cryptotls "crypto/tls"

	"google.golang.org/grpc/credentials"
)

// tls is the process's mutual TLS, nil for none.
type tls struct{ config *cryptotls.Config }

func loadTLS(c TLSConfig) (*tls, error) {
	config, err := c.load()
	if config == nil {
		return nil, err
	}
	return &tls{config}, nil
}

// credentials are for connecting, nil for none.
func (t *tls) credentials() credentials.TransportCredentials {
	if t == nil {
		return nil
	}
	return credentials.NewTLS(t.config)
}
