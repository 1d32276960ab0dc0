package regions

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
)

// certificates writes an authority and a certificate for 127.0.0.1.
func certificates(t *testing.T) TLSConfig {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := write("certificate.pem", "CERTIFICATE", der)
	return TLSConfig{Certificate: certificate, Key: write("key.pem", "PRIVATE KEY", private), Authority: certificate}
}

func TestMutualTLS(t *testing.T) {
	r := newRegion(t)
	files := certificates(t)
	start := func(id, role string) *process {
		cfg := quickConfig(id, role)
		cfg.TLS = files
		return r.startWith(cfg)
	}
	a, g := start("a", "owner"), start("g", "gateway")
	r.connected(a, g)
	g.actEverywhere(t, someShards(3))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for name, c := range map[string]struct {
		tls TLSConfig
		ok  bool
	}{
		"with a certificate":          {files, true},
		"without one":                 {TLSConfig{}, false},
		"of another authority's hand": {certificates(t), false},
	} {
		conn, err := DialOperator(g.ListenAddress(), c.tls)
		if err != nil {
			t.Fatal(err)
		}
		list, err := clusterv1.NewOperatorClient(conn).ListShards(ctx, &clusterv1.ListShardsRequest{})
		if (err == nil) != c.ok || c.ok && len(list.GetShards()) != 3 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
		_ = conn.Close()
	}
}
