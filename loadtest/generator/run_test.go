package generator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/internal/config"
	"github.com/starling-vr/starling/internal/server"
	"github.com/starling-vr/starling/internal/servertest"
	"github.com/starling-vr/starling/loadtest/generator"
	"github.com/starling-vr/starling/loadtest/report"
	"github.com/starling-vr/starling/loadtest/scenario"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "a key of thirty-two bytes or more"

func serve(t testing.TB, set ...string) *server.Server {
	t.Helper()
	settings, err := server.Load(config.Sources{Set: append(append(servertest.Patient(),
		"listen=127.0.0.1:0", "auth.key="+key, "store.kind=memory", "gateway.drain_time=200ms",
	), set...)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Start(t.Context(), settings, server.Options{Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

func token(participant int) (string, error) {
	return auth.Mint([]byte(key), "crowd-"+strconv.Itoa(participant), []string{"spawn:thing"}, time.Hour, time.Now())
}

func crowd(t testing.TB, name string, o scenario.Options) *scenario.Crowd {
	t.Helper()
	s, err := scenario.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := scenario.New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every delivery that the crowd expects is received, and counted once.
func TestEveryDeliveryArrives(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const warmup, duration = 300 * time.Millisecond, 1500 * time.Millisecond
	for _, name := range []string{"street", "arena", "sparse"} {
		t.Run(name, func(t *testing.T) {
			var shown []report.Second
			var last report.Snapshot
			r, err := generator.Run(t.Context(), generator.Config{
				Targets: []string{s.Address()}, Token: token, Warmup: warmup, Duration: duration, Deadline: time.Minute, Grace: time.Minute,
				Crowd: crowd(t, name, scenario.Options{Participants: 80, Seed: 1, Duration: warmup + duration}), Leave: true,
				Watch: func(s report.Snapshot) {
					if last = s; s.Second.At > 0 {
						shown = append(shown, s.Second)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v\n%+v %v", r.Counts, r.LatencyMS, r.Notes)
			if err := r.Check(); err != nil {
				t.Error(err)
			}
			if r.Offered < 100 || r.Achieved != r.Offered || r.DeliveriesReceived != r.DeliveriesExpected || r.DeliveriesMissed != 0 {
				t.Errorf("%+v", r.Counts)
			}
			if !reflect.DeepEqual(shown, r.Series) || last.Total != r.Counts {
				t.Errorf("shown was\n%+v\n%+v, measured\n%+v\n%+v", shown, last.Total, r.Series, r.Counts)
			}
		})
	}
}

// The same over TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, key, pool := certificate(t)
	s := serve(t, "tls.certificate="+certificate, "tls.key="+key)
	const warmup, duration = 300 * time.Millisecond, time.Second
	r, err := generator.Run(t.Context(), generator.Config{
		Targets: []string{"https://" + s.Address()}, TLS: &tls.Config{RootCAs: pool}, Token: token, Warmup: warmup, Duration: duration,
		Deadline: time.Minute, Grace: time.Minute, Leave: true,
		Crowd: crowd(t, "street", scenario.Options{Participants: 16, Seed: 2, Duration: warmup + duration}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Offered < 50 || r.DeliveriesReceived != r.DeliveriesExpected || r.Achieved != r.Offered {
		t.Errorf("%+v", r.Counts)
	}
}

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T) (certificate, private string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(t.TempDir(), name)
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		pool.AppendCertsFromPEM(text)
		return path
	}
	return write("certificate.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", encoded), pool
}
