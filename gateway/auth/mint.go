package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Minting says what a token is to hold.
type Minting struct {
	Participant string
	Scopes      []string
	Issuer      string // "" for none
	Audience    string // "" for none
	Lifetime    time.Duration
}

// Mint signs a token for participant sub with scopes, good for ttl from now.
func Mint(key []byte, sub string, scopes []string, ttl time.Duration, now time.Time) (string, error) {
	return MintWith(key, Minting{Participant: sub, Scopes: scopes, Lifetime: ttl}, now)
}

// MintWith is Mint with issuer and audience.
func MintWith(key []byte, m Minting, now time.Time) (string, error) {
	switch {
	case len(key) < MinKey:
		return "", fmt.Errorf("mint: key has %d bytes, want at least %d", len(key), MinKey)
	case m.Participant == "" || len(m.Participant) > MaxParticipant:
		return "", fmt.Errorf("mint: participant must have 1..%d bytes", MaxParticipant)
	case m.Lifetime <= 0:
		return "", errors.New("mint: lifetime must be positive")
	case m.Lifetime < time.Second:
		return "", errors.New("mint: lifetime is below a second, which tokens cannot say")
	case len(m.Scopes) > MaxScopes:
		return "", fmt.Errorf("mint: more than %d scopes", MaxScopes)
	}
	for _, scope := range m.Scopes {
		if len(strings.Fields(scope)) != 1 {
			return "", fmt.Errorf("mint: scope %q: a scope is a word without spaces", scope)
		}
	}
	said := claims{Scope: strings.Join(m.Scopes, " "), RegisteredClaims: jwt.RegisteredClaims{
		Subject: m.Participant, Issuer: m.Issuer,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(m.Lifetime)),
	}}
	if m.Audience != "" {
		said.Audience = jwt.ClaimStrings{m.Audience}
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, said).SignedString(key)
}
