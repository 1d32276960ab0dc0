package service

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/starling-vr/starling/internal/redisnodes"
	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
)

func TestAnnotationsAreKeptInRedis(t *testing.T) {
	server := redistest.Start(t, redisproc.Options{})
	store, err := OpenRedis(t.Context(), RedisConfig{
		Config: redisnodes.Config{Addresses: []string{server.Address()}}, Key: "x:annotations", Length: 100, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if !store.Keep(fmt.Appendf(nil, "{\"id\":\"%d\"}\n", i)) {
			t.Fatal("no room")
		}
	}
	store.Close()
	if kept, lost := store.Counts(); kept != 1000 || lost != 0 {
		t.Errorf("kept %d, lost %d", kept, lost)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Address()})
	defer client.Close()
	entries, err := client.XRevRangeN(context.Background(), "x:annotations", "+", "-", 1).Result()
	if err != nil || len(entries) != 1 || entries[0].Values["annotations"] != `{"id":"999"}` {
		t.Errorf("%v %v", entries, err)
	}
	if n := client.XLen(context.Background(), "x:annotations").Val(); n < 100 || n > 300 {
		t.Errorf("%d are kept", n)
	}
}

func TestRedisThatIsAwayLosesAnnotationsAndNothingElse(t *testing.T) {
	server := redistest.Start(t, redisproc.Options{})
	store, err := OpenRedis(t.Context(), RedisConfig{
		Config: redisnodes.Config{Addresses: []string{server.Address()}, DialTimeout: 100 * time.Millisecond}, Key: "x", Length: 10, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	store.Keep([]byte("{}\n"))
	store.Close()
	if kept, lost := store.Counts(); kept != 0 || lost != 1 {
		t.Errorf("kept %d, lost %d", kept, lost)
	}
	if _, err := OpenRedis(t.Context(), RedisConfig{Config: redisnodes.Config{Addresses: []string{"127.0.0.1:1"}}}); err == nil {
		t.Error("no error of a Redis that is not there")
	}
}
