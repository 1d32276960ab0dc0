package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
)

// certificateFiles makes a certificate for 127.0.0.1 that is its own authority.
func certificateFiles(t *testing.T) (certificate, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("certificate.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", encoded)
}

func TestTLSOfTheListenerAndOfThePeers(t *testing.T) {
	t.Parallel()
	certificate, key := certificateFiles(t)
	p, url, secret := dev(t, "--set", "tls.certificate="+certificate, "--set", "tls.key="+key)
	if !strings.HasPrefix(url, "https://") {
		t.Errorf("the page is at %s", url)
	}
	if status, body := fetch(t, url); status != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the page: %d %.100s", status, body)
	}
	spoken(t, join(t, url, mint(t, secret, "visitor"), starling.Options{}), "over TLS")
	p.terminate()

	_, _, peer := serve(t, "--node", "both", "--set", "store.kind=memory", "--set", "region.tls.certificate="+certificate,
		"--set", "region.tls.key="+key, "--set", "region.tls.authority="+certificate)
	out, err := run("", "shards", "owners", "--peer", peer, "--tls-certificate", certificate, "--tls-key", key, "--tls-authority", certificate)
	if err != nil || !strings.Contains(out, "both") {
		t.Errorf("over TLS: %q, %v", out, err)
	}
	if out, err = run("", "shards", "owners", "--peer", peer); err == nil || !strings.Contains(err.Error(), "--tls") {
		t.Errorf("without a certificate: %q, %v", out, err)
	}
	if _, err = run("", "shards", "owners", "--peer", peer, "--tls-key", key); err == nil || !strings.Contains(err.Error(), "authority") {
		t.Errorf("without all files: %v", err)
	}
}

func TestCertificateFilesThatAreNoneAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	_, key := certificateFiles(t)
	p := launch(t, nil, "dev", "--listen", "127.0.0.1:0", "--set", "tls.certificate="+key, "--set", "tls.key="+key)
	<-p.exited
	if p.status == nil || !strings.Contains(p.said(), "tls:") {
		t.Errorf("%v: %s", p.status, p.said())
	}
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func TestTokensOfAKeySet(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "RSA", "kid": "rsa", "alg": "RS256", "use": "sig", "n": encoded(rsaKey.N.Bytes()), "e": encoded(big.NewInt(int64(rsaKey.E)).Bytes())},
		{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "use": "sig", "x": encoded(edPublic)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	p := launch(t, nil, "serve", "--listen", "127.0.0.1:0", "--set", "store.kind=memory", "--set", "auth.key_set_file="+path,
		"--set", "gateway.drain_time=100ms")
	url := "http://" + p.find(`"listen":"([^"]+)"`)

	sign := func(method jwt.SigningMethod, kid string, key any) string {
		token := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "visitor-" + kid, "exp": time.Now().Add(time.Hour).Unix()})
		token.Header["kid"] = kid
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	spoken(t, join(t, url, sign(jwt.SigningMethodRS256, "rsa", rsaKey), starling.Options{}), "RS256")
	spoken(t, join(t, url, sign(jwt.SigningMethodEdDSA, "ed", edKey), starling.Options{}), "EdDSA")

	for name, token := range map[string]string{
		"HS256":                    mint(t, testKey, "visitor"),
		"HS256 with a public key":  sign(jwt.SigningMethodHS256, "ed", []byte(edPublic)),
		"a key that is not in it":  sign(jwt.SigningMethodEdDSA, "ed", ed25519.NewKeyFromSeed(make([]byte, 32))),
		"a name that is not in it": sign(jwt.SigningMethodEdDSA, "other", edKey),
	} {
		_, err := tryJoin(t, url, token, starling.Options{})
		var closed *starling.CloseError
		if !errors.As(err, &closed) || closed.Code != starlingv1.CloseCode_UNAUTHENTICATED {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.terminate()
}
