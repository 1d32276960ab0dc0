package redisnodes

import "testing"

func TestNetwork(t *testing.T) {
	for address, want := range map[string][2]string{
		"127.0.0.1:6379":       {"tcp", "127.0.0.1:6379"},
		"unix:/run/redis.sock": {"unix", "/run/redis.sock"},
		"unix:redis.sock":      {"unix", "redis.sock"},
		"unix:6379":            {"unix", "6379"},
		"unixhost:6379":        {"tcp", "unixhost:6379"},
	} {
		if network, at := Network(address); network != want[0] || at != want[1] {
			t.Errorf("%s: %s %s, want %v", address, network, at, want)
		}
	}
}
