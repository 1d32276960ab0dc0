package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
	"github.com/starling-vr/starling/world"
)

// The layouts that were compared, with the same guarantee: see
// docs/decisions/redis-log-layout.md.
const layouts = `#!lua name=starling_layouts
local function held(tail, prefix)
  return tail and string.sub(tail, 1, #prefix) == prefix and string.sub(tail, -1) ~= ' '
end
redis.register_function('layout_stream', function(keys, args)
  local tail = redis.call('GET', keys[1])
  if not held(tail, args[1]) then return tail or '' end
  redis.call('XADD', keys[2], args[3] .. '-1', 'd', args[4])
  redis.call('SET', keys[1], args[2] .. string.sub(tail, #args[1] + 1))
  return 1
end)
redis.register_function('layout_hash', function(keys, args)
  local tail = redis.call('GET', keys[1])
  if not held(tail, args[1]) then return tail or '' end
  redis.call('HSET', keys[2], args[3], args[4])
  redis.call('SET', keys[1], args[2] .. string.sub(tail, #args[1] + 1))
  return 1
end)
redis.register_function('drop_hash', function(keys, args)
  for n = tonumber(args[1]), tonumber(args[2]) do redis.call('HDEL', keys[1], n) end
  return 1
end)`

func cpuSeconds(b *testing.B, client *goredis.Client) float64 {
	b.Helper()
	info := client.Info(b.Context(), "cpu").Val()
	var total float64
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user_main_thread" || name == "used_cpu_sys_main_thread" {
			seconds, _ := strconv.ParseFloat(value, 64)
			total += seconds
		}
	}
	return total
}

func BenchmarkLayout(b *testing.B) {
	for _, size := range []int{200, 2000, 20000} {
		for _, layout := range []string{"stream", "hash"} {
			b.Run(fmt.Sprintf("%s/%dB", layout, size), func(b *testing.B) { benchmarkLayout(b, layout, size) })
		}
	}
}

// benchmarkLayout keeps at most 1000 entries, as between two snapshots.
func benchmarkLayout(b *testing.B, layout string, size int) {
	server := redistest.Start(b, redisproc.Options{})
	client := server.Client()
	defer client.Close()
	ctx := b.Context()
	if err := client.FunctionLoad(ctx, layouts).Err(); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, size)
	client.Set(ctx, "tail", "1 7 0 owner", 0)
	sequence, dropped := 0, 0
	var dropping float64
	before := cpuSeconds(b, client)
	for b.Loop() {
		reply, err := client.Do(ctx, "FCALL", "layout_"+layout, 2, "tail", "log",
			fmt.Sprintf("1 7 %d ", sequence), fmt.Sprintf("1 7 %d ", sequence+1), sequence+1, data).Int()
		if err != nil || reply != 1 {
			b.Fatal(reply, err)
		}
		if sequence++; sequence-dropped == 2000 {
			b.StopTimer()
			start := cpuSeconds(b, client)
			drop(b, ctx, client, layout, dropped+1, dropped+1000)
			dropping += cpuSeconds(b, client) - start
			dropped += 1000
			b.StartTimer()
		}
	}
	b.StopTimer()
	b.ReportMetric((cpuSeconds(b, client)-before-dropping)/float64(b.N)*1e6, "redis-us/op")
	b.ReportMetric(float64(client.MemoryUsage(ctx, "log", 0).Val())/float64(max(sequence-dropped, 1)), "B/entry")
	if dropped > 0 {
		b.ReportMetric(dropping/float64(dropped)*1e6, "redis-us/drop")
	}
}

func drop(b *testing.B, ctx context.Context, client *goredis.Client, layout string, from, to int) {
	var err error
	if layout == "stream" {
		err = client.XTrimMinID(ctx, "log", fmt.Sprintf("%d-0", to+1)).Err()
	} else {
		err = client.Do(ctx, "FCALL", "drop_hash", 1, "log", from, to).Err()
	}
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	server := redistest.Start(b, redisproc.Options{})
	disk := redistest.Start(b, redisproc.Options{AppendOnly: true})
	for _, c := range []struct {
		durability world.Durability
		address    string
	}{{world.DurabilityMemory, server.Address()}, {world.DurabilityDisk, disk.Address()}} {
		for _, shards := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d shards", c.durability, shards), func(b *testing.B) {
				benchmarkAppend(b, open(b, config(c.durability, c.address)), shards)
			})
		}
	}
}

// benchmarkAppend has so many shards append at once; ns/op is per append.
func benchmarkAppend(b *testing.B, log world.Log, shards int) {
	type writer struct {
		shard world.ShardID
		tail  world.Tail
	}
	writers := make(chan *writer, shards)
	for i := range shards {
		w := &writer{shard: world.ShardID{Place: world.PlaceID(i + 1)}}
		tail, err := log.Claim(b.Context(), w.shard, "owner", 7, 0)
		if err != nil {
			b.Fatal(err)
		}
		w.tail = tail
		writers <- w
	}
	data := make([]byte, 2000)
	b.ReportAllocs()
	b.SetParallelism(max(shards/2, 1))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w := <-writers
			tail, err := log.Append(b.Context(), w.shard, w.tail, data)
			if err != nil {
				b.Error(err)
				return
			}
			w.tail = tail
			writers <- w
		}
	})
}
