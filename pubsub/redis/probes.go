package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/starling-vr/starling/internal/redisnodes"
)

const (
	probeEvery = time.Second
	// probeSilence is when a node through which no probe came counts as dead.
	probeSilence = 3 * time.Second
)

// probes publishes a message through every node each second and waits for it
// on the subscriber's side: the only proof that the bus works.
type probes struct {
	bus  *Bus
	id   string // of this process's channels
	zero time.Time

	mu    sync.Mutex
	tags  map[string]string    // node to a hash tag that it serves
	heard map[string]time.Time // node to when a probe came through it, or it was met
}

func newProbes(b *Bus) *probes {
	return &probes{bus: b, id: strconv.FormatUint(rand.Uint64(), 16), zero: time.Now(),
		tags: make(map[string]string), heard: make(map[string]time.Time)}
}

func (p *probes) run(ctx context.Context) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		p.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *probes) round(ctx context.Context) {
	now := time.Now()
	if ok, _ := p.healthy(); !ok {
		limited, cancel := context.WithTimeout(ctx, probeEvery)
		_ = p.bus.nodes.Refresh(limited)
		cancel()
	}
	names := p.names(now)
	p.bus.subscriber.keepProbes(names)
	p.bus.publisher.sweep(now)
	var sending sync.WaitGroup
	for address, name := range names {
		sending.Go(func() { p.send(ctx, address, name) })
	}
	sending.Wait()
}

// names gives each master a channel in one of its slots.
func (p *probes) names(now time.Time) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	masters := p.bus.nodes.Masters()
	names := make(map[string]string)
	for _, address := range masters {
		tag := p.tags[address]
		if tag == "" || p.bus.nodes.Owner(redisnodes.Slot(tag)) != address {
			tag = p.tagOf(address)
		}
		if tag == "" {
			continue // it serves no slot: nothing can come through it
		}
		p.tags[address] = tag
		if _, met := p.heard[address]; !met {
			p.heard[address] = now
		}
		names[address] = p.bus.config.Prefix + ":{" + tag + "}:" + p.id
	}
	for address := range p.heard {
		if !slices.Contains(masters, address) || names[address] == "" {
			delete(p.heard, address)
			delete(p.tags, address)
		}
	}
	return names
}

// tagOf finds a hash tag whose slot the node serves.
func (p *probes) tagOf(address string) string {
	for i := range 10_000 {
		tag := "probe-" + strconv.Itoa(i)
		if p.bus.nodes.Owner(redisnodes.Slot(tag)) == address {
			return tag
		}
	}
	return ""
}

// send publishes when it was sent, by this process's own clock.
func (p *probes) send(ctx context.Context, address, name string) {
	client, err := p.bus.nodes.Client(address)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeEvery)
	defer cancel()
	payload := binary.BigEndian.AppendUint64(nil, uint64(time.Since(p.zero)))
	// Whether it succeeds shows when it comes back.
	_ = client.Do(ctx, "SPUBLISH", name, payload).Err()
}

func (p *probes) received(address string, payload []byte) {
	if len(payload) != 8 {
		p.bus.metrics.malformed.Inc()
		return
	}
	now := time.Now()
	lag := now.Sub(p.zero) - time.Duration(binary.BigEndian.Uint64(payload))
	p.bus.metrics.lag.Observe(lag.Seconds())
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.heard[address]; known {
		p.heard[address] = now
	}
}

func (p *probes) healthy() (bool, string) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for address, at := range p.heard {
		if silent := now.Sub(at); silent > probeSilence {
			return false, fmt.Sprintf("no probe came through redis at %s for %.1f s", address, silent.Seconds())
		}
	}
	return true, ""
}
