// Package torture runs a crowd against real processes of Starling on a real
// Redis, does to them what operators fear at an instant drawn from a seed, lets
// everything go quiet, and holds what every client was told and saw against the
// logs of all shards (package check).
//
//	report, err := torture.Execute(ctx, torture.Scenarios["owner-killed"], torture.Options{Binary: path, Seed: 7})
package torture
