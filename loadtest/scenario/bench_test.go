package scenario_test

import (
	"testing"

	"github.com/starling-vr/starling/loadtest/scenario"
)

// Next and Affected of one action: below 2 us and without allocation.
func BenchmarkNext(b *testing.B) {
	for _, name := range scenario.Names() {
		b.Run(name, func(b *testing.B) {
			s, err := scenario.Load(name)
			if err != nil {
				b.Fatal(err)
			}
			c, err := scenario.New(s, scenario.Options{Seed: 1, Participants: 4000})
			if err != nil {
				b.Fatal(err)
			}
			for range 100_000 {
				a, _ := c.Next()
				c.Affected(&a)
			}
			b.ReportAllocs()
			for b.Loop() {
				a, ok := c.Next()
				if !ok {
					b.Fatal()
				}
				c.Affected(&a)
			}
		})
	}
}
