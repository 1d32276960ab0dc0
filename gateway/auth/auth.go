// Package auth says who a client is: it checks the JSON Web Token of a Hello
// and mints tokens for development and operators.
//
// Claims: "sub" is the participant (1..64 bytes), "scope" what it may do
// (space-separated words), "exp" until when (needed; enforced during the
// connection too), "nbf", "iss" and "aud" as configured.
package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// Limits of what a token may hold.
const (
	MaxToken       = 8 << 10 // bytes
	MaxParticipant = 64      // bytes of "sub"
	MaxScopes      = 64
	MinKey         = 32 // bytes of an HS256 key (RFC 7518, section 3.2)
)

// Identity is what a token says.
type Identity struct {
	Participant string
	Scopes      []string // shared with others: not to be changed
	Expires     time.Time
}

// Verifier checks tokens. Errors wrap ErrExpired or ErrInvalid; their texts may
// be told to the client.
type Verifier interface {
	Verify(token string, now time.Time) (Identity, error)
}

// Errors of Verify.
var (
	ErrExpired = errors.New("token expired")
	ErrInvalid = errors.New("token not valid")
)

// Config says which tokens are good. Exactly one of Key, KeySetURL and
// KeySetFile must be set.
type Config struct {
	Key        string        `toml:"key" default:"" doc:"secret key for HS256 tokens, at least 32 bytes; prefer the environment over the file"`
	KeySetURL  string        `toml:"key_set_url" default:"" doc:"URL of a JSON Web Key Set (RS256, ES256, EdDSA and their kin); fetched again when an unknown key appears"`
	KeySetFile string        `toml:"key_set_file" default:"" doc:"file with a JSON Web Key Set"`
	Issuer     string        `toml:"issuer" default:"" doc:"required iss claim; empty: any"`
	Audience   string        `toml:"audience" default:"" doc:"required aud claim; empty: any"`
	Leeway     time.Duration `toml:"leeway" default:"2s" doc:"clock difference to the issuer that is forgiven"`
}

var publicKeyMethods = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// New makes the Verifier that config describes. ctx ends the renewal of a key
// set from a URL.
func New(ctx context.Context, config Config) (Verifier, error) {
	set := 0
	for _, source := range []string{config.Key, config.KeySetURL, config.KeySetFile} {
		if source != "" {
			set++
		}
	}
	if set != 1 {
		return nil, errors.New("auth: set exactly one of key, key_set_url and key_set_file")
	}
	v := &verifier{config: config}
	switch {
	case config.Key != "":
		if len(config.Key) < MinKey {
			return nil, fmt.Errorf("auth: key has %d bytes, want at least %d", len(config.Key), MinKey)
		}
		key := []byte(config.Key)
		v.methods = []string{"HS256"}
		v.key = func(*jwt.Token) (any, error) { return key, nil }
	case config.KeySetURL != "":
		set, err := keyfunc.NewDefaultCtx(ctx, []string{config.KeySetURL})
		if err != nil {
			return nil, fmt.Errorf("auth: key set %s: %w", config.KeySetURL, err)
		}
		v.useKeySet(set)
	default:
		text, err := os.ReadFile(config.KeySetFile)
		if err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
		set, err := keyfunc.NewJWKSetJSON(json.RawMessage(text))
		if err != nil {
			return nil, fmt.Errorf("auth: key set %s: %w", config.KeySetFile, err)
		}
		v.useKeySet(set)
	}
	return v, nil
}

// NewWithKey makes a Verifier of HS256 tokens.
func NewWithKey(key []byte) (Verifier, error) {
	return New(context.Background(), Config{Key: string(key), Leeway: 2 * time.Second})
}

type verifier struct {
	config  Config
	methods []string
	key     jwt.Keyfunc
	scopes  scopeSets
}

// useKeySet takes public keys only: a symmetric key in a set that anyone may
// read, or a public key used as an HMAC secret, must never pass.
func (v *verifier) useKeySet(set keyfunc.Keyfunc) {
	v.methods = publicKeyMethods
	v.key = func(token *jwt.Token) (any, error) {
		key, err := set.Keyfunc(token)
		if err != nil {
			return nil, err
		}
		if _, symmetric := key.([]byte); symmetric {
			return nil, errors.New("a symmetric key has no place in a key set")
		}
		if private, ok := key.(ed25519.PrivateKey); ok {
			return private.Public(), nil
		}
		return key, nil
	}
}

type claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope,omitempty"`
}

// Verify implements Verifier.
func (v *verifier) Verify(token string, now time.Time) (Identity, error) {
	if token == "" {
		return Identity{}, fmt.Errorf("%w: there is none", ErrInvalid)
	}
	if len(token) > MaxToken {
		return Identity{}, fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxToken)
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(v.methods), jwt.WithExpirationRequired(), jwt.WithStrictDecoding(),
		jwt.WithLeeway(v.config.Leeway), jwt.WithTimeFunc(func() time.Time { return now }),
	}
	if v.config.Issuer != "" {
		options = append(options, jwt.WithIssuer(v.config.Issuer))
	}
	if v.config.Audience != "" {
		options = append(options, jwt.WithAudience(v.config.Audience))
	}
	var said claims
	_, err := jwt.NewParser(options...).ParseWithClaims(token, &said, v.key)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return Identity{}, ErrExpired
	case err != nil:
		return Identity{}, fmt.Errorf("%w: %s", ErrInvalid, reason(err))
	}
	return v.identity(&said)
}

func (v *verifier) identity(said *claims) (Identity, error) {
	who := said.Subject
	if who == "" || len(who) > MaxParticipant || !utf8.ValidString(who) {
		return Identity{}, fmt.Errorf("%w: sub must be 1..%d bytes of UTF-8", ErrInvalid, MaxParticipant)
	}
	scopes := v.scopes.of(said.Scope)
	if len(scopes) > MaxScopes {
		return Identity{}, fmt.Errorf("%w: more than %d scopes", ErrInvalid, MaxScopes)
	}
	return Identity{Participant: who, Scopes: scopes, Expires: said.ExpiresAt.Time}, nil
}

// reason tells a client which check failed and nothing of the keys.
func reason(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{jwt.ErrTokenMalformed, "malformed"},
		{jwt.ErrTokenUnverifiable, "no key of ours fits it"},
		{jwt.ErrTokenSignatureInvalid, "signature or method not accepted"},
		{jwt.ErrTokenNotValidYet, "not valid yet"},
		{jwt.ErrTokenInvalidIssuer, "another issuer"},
		{jwt.ErrTokenInvalidAudience, "another audience"},
		{jwt.ErrTokenRequiredClaimMissing, "a required claim (exp) is missing"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "refused"
}

// NewKey makes a random key for HS256.
func NewKey() []byte {
	key := make([]byte, MinKey)
	_, _ = rand.Read(key) // never fails
	return key
}
