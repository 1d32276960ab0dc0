package workspace

import (
	"sync"
	"testing"
)

type space struct{ inUse bool }

func TestNobodySharesAWorkspace(t *testing.T) {
	made := 0
	var mu sync.Mutex
	p := New(func() *space {
		mu.Lock()
		defer mu.Unlock()
		made++
		return &space{}
	})
	var all sync.WaitGroup
	const workers = 2 * kept
	for range workers {
		all.Go(func() {
			for range 100 {
				s := p.Get()
				if s.inUse {
					t.Error("somebody else uses it")
				}
				s.inUse = true
				s.inUse = false
				p.Put(s)
			}
		})
	}
	all.Wait()
	if n := len(p.free); n == 0 || n > kept {
		t.Errorf("%d are kept", n)
	}
	if n := testing.AllocsPerRun(100, func() { p.Put(p.Get()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
