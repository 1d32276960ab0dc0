package trial

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/starling-vr/starling/gateway/auth"
)

// KeyTokens signs tokens with a key (HS256), at least 32 bytes.
func KeyTokens(key []byte) Tokens { return keyTokens{key} }

type keyTokens struct{ key []byte }

// tokenLifetime is longer than any run.
const tokenLifetime = 24 * time.Hour

func (k keyTokens) Participant(i int) (string, error) {
	return auth.Mint(k.key, "loadtest-"+strconv.Itoa(i), []string{"spawn:thing"}, tokenLifetime, time.Now())
}

func (k keyTokens) PlaceMaker() (string, error) {
	return auth.Mint(k.key, "loadtest-places", []string{"place:create"}, tokenLifetime, time.Now())
}

// FileTokens reads tokens from a file: one a line, or JSON objects with a field
// token, as `starling token create --count N --json` writes. The first one makes
// the places.
func FileTokens(path string) (Tokens, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all fileTokens
	all.path = path
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		switch {
		case text == "":
			continue
		case text[0] == '{':
			var line struct {
				Token string `json:"token"`
			}
			if err := json.Unmarshal([]byte(text), &line); err != nil || line.Token == "" {
				return nil, fmt.Errorf("%s: line %d: want a JSON object with a token, or a token alone", path, n)
			}
			text = line.Token
		}
		all.tokens = append(all.tokens, text)
	}
	return &all, lines.Err()
}

type fileTokens struct {
	path   string
	tokens []string
}

func (f *fileTokens) Participant(i int) (string, error) {
	if i >= len(f.tokens) {
		return "", fmt.Errorf("%s has %d tokens, participant %d has none: `starling token create NAME --count N` makes more", f.path, len(f.tokens), i)
	}
	return f.tokens[i], nil
}

func (f *fileTokens) PlaceMaker() (string, error) { return f.Participant(0) }
