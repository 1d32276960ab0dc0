package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestMintAndVerify(t *testing.T) {
	key := NewKey()
	v, err := New(context.Background(), Config{Key: string(key), Issuer: "us", Audience: "starling", Leeway: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	token, err := MintWith(key, Minting{Participant: "ann", Scopes: []string{"spawn:any", "move:any"}, Issuer: "us", Audience: "starling", Lifetime: time.Minute}, now)
	if err != nil {
		t.Fatal(err)
	}
	who, err := v.Verify(token, now)
	if err != nil || who.Participant != "ann" || !slices.Equal(who.Scopes, []string{"spawn:any", "move:any"}) || !who.Expires.Equal(now.Add(time.Minute)) {
		t.Errorf("Verify = %+v, %v", who, err)
	}
	if _, err := v.Verify(token, now.Add(62*time.Second)); !errors.Is(err, ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
}

func TestRefusedTokens(t *testing.T) {
	key := NewKey()
	v, err := New(context.Background(), Config{Key: string(key), Issuer: "us", Audience: "starling"})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(method jwt.SigningMethod, with any, claims jwt.MapClaims) string {
		token, err := jwt.NewWithClaims(method, claims).SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := func(change jwt.MapClaims) jwt.MapClaims {
		claims := jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "starling", "exp": now.Add(time.Minute).Unix()}
		for name, value := range change {
			if value == nil {
				delete(claims, name)
			} else {
				claims[name] = value
			}
		}
		return claims
	}
	if _, err := v.Verify(sign(jwt.SigningMethodHS256, key, good(nil)), now); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	fine := sign(jwt.SigningMethodHS256, key, good(nil))
	for name, token := range map[string]string{
		"none":             "",
		"garbage":          "a.b.c",
		"giant":            strings.Repeat("a", MaxToken+1),
		"other key":        sign(jwt.SigningMethodHS256, NewKey(), good(nil)),
		"other hash":       sign(jwt.SigningMethodHS512, key, good(nil)),
		"alg none":         sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good(nil)),
		"signature cut":    fine[:len(fine)-4],
		"no exp":           sign(jwt.SigningMethodHS256, key, good(jwt.MapClaims{"exp": nil})),
		"not yet":          sign(jwt.SigningMethodHS256, key, good(jwt.MapClaims{"nbf": now.Add(time.Hour).Unix()})),
		"other issuer":     sign(jwt.SigningMethodHS256, key, good(jwt.MapClaims{"iss": "them"})),
		"other audience":   sign(jwt.SigningMethodHS256, key, good(jwt.MapClaims{"aud": "them"})),
		"no sub":           sign(jwt.SigningMethodHS256, key, good(jwt.MapClaims{"sub": nil})),
		"long sub":         sign(jwt.SigningMethodHS256, key, good(jwt.MapClaims{"sub": strings.Repeat("x", 65)})),
		"many scopes":      sign(jwt.SigningMethodHS256, key, good(jwt.MapClaims{"scope": strings.Repeat("a ", 65)})),
		"sub is no string": sign(jwt.SigningMethodHS256, key, good(jwt.MapClaims{"sub": 7})),
	} {
		if who, err := v.Verify(token, now); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	// A forged token that also expired must not be told "expired".
	forged := sign(jwt.SigningMethodHS256, NewKey(), good(jwt.MapClaims{"exp": now.Add(-time.Hour).Unix()}))
	if _, err := v.Verify(forged, now); !errors.Is(err, ErrInvalid) {
		t.Errorf("forged and expired: %v", err)
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func TestKeySet(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	edPublic, edKey, _ := ed25519.GenerateKey(rand.Reader)
	secret := NewKey()
	ecPoint, err := ecKey.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	set, _ := json.Marshal(map[string]any{"keys": []any{
		map[string]string{"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": encode(rsaKey.N.Bytes()), "e": encode(big.NewInt(int64(rsaKey.E)).Bytes())},
		map[string]string{"kty": "EC", "kid": "ec", "alg": "ES256", "crv": "P-256", "x": encode(ecPoint[1:33]), "y": encode(ecPoint[33:])},
		map[string]string{"kty": "OKP", "kid": "ed", "alg": "EdDSA", "crv": "Ed25519", "x": encode(edPublic)},
		map[string]string{"kty": "oct", "kid": "oct", "alg": "HS256", "k": encode(secret)},
	}})
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	defer server.Close()
	for name, config := range map[string]Config{"file": {KeySetFile: file}, "URL": {KeySetURL: server.URL}} {
		ctx, cancel := context.WithCancel(context.Background())
		v, err := New(ctx, config)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		check := func(kid string, method jwt.SigningMethod, key any, good bool) {
			token := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "ann", "exp": now.Add(time.Minute).Unix()})
			token.Header["kid"] = kid
			text, err := token.SignedString(key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(text, now); (err == nil) != good || err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s, key %s with %s: %v", name, kid, method.Alg(), err)
			}
		}
		check("rsa", jwt.SigningMethodRS256, rsaKey, true)
		check("ec", jwt.SigningMethodES256, ecKey, true)
		check("ed", jwt.SigningMethodEdDSA, edKey, true)
		check("oct", jwt.SigningMethodHS256, secret, false)           // symmetric keys have no place there
		check("rsa", jwt.SigningMethodHS256, rsaKey.N.Bytes(), false) // public key as a secret
		check("unknown", jwt.SigningMethodRS256, rsaKey, false)
		cancel()
	}
}

func TestConfig(t *testing.T) {
	for name, config := range map[string]Config{
		"nothing":   {},
		"two":       {Key: strings.Repeat("k", 32), KeySetFile: "x"},
		"short key": {Key: "short"},
		"no file":   {KeySetFile: filepath.Join(t.TempDir(), "missing")},
	} {
		if _, err := New(context.Background(), config); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, m := range map[string]Minting{
		"nobody": {Lifetime: time.Hour}, "long": {Participant: strings.Repeat("x", 65), Lifetime: time.Hour}, "no time": {Participant: "ann"},
	} {
		if _, err := MintWith(NewKey(), m, now); err == nil {
			t.Errorf("minted for %s", name)
		}
	}
}

// FuzzVerify: only what was signed with the key passes.
func FuzzVerify(f *testing.F) {
	key := []byte(strings.Repeat("k", MinKey))
	v, err := NewWithKey(key)
	if err != nil {
		f.Fatal(err)
	}
	good, _ := Mint(key, "ann", []string{"a"}, time.Hour, now)
	f.Add(good)
	f.Add("")
	f.Add("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.")
	f.Add(good + "x")
	f.Fuzz(func(t *testing.T, token string) {
		who, err := v.Verify(token, now)
		if err == nil && token != good {
			// Only another encoding of the same signed bytes could pass.
			if want := good[:strings.LastIndexByte(good, '.')]; !strings.HasPrefix(token, want) {
				t.Fatalf("passed: %q as %+v", token, who)
			}
		}
	})
}

// Participants with the same scopes share them in memory, up to a bound.
func TestScopesAreShared(t *testing.T) {
	key := NewKey()
	v, err := NewWithKey(key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	scopes := func(who string, wanted ...string) []string {
		token, err := Mint(key, who, wanted, time.Hour, now)
		if err != nil {
			t.Fatal(err)
		}
		identity, err := v.Verify(token, now)
		if err != nil || !slices.Equal(identity.Scopes, wanted) {
			t.Fatalf("scopes %q, want %q (%v)", identity.Scopes, wanted, err)
		}
		return identity.Scopes
	}
	for i := range 300 {
		scopes("ann", "spawn:any", fmt.Sprint("number:", i))
	}
	a, b := scopes("ann", "spawn:any", "number:7"), scopes("bob", "spawn:any", "number:7")
	if &a[0] != &b[0] {
		t.Error("the same scopes twice in memory")
	}
}
