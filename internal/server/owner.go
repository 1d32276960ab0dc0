package server

import (
	"fmt"
	"time"

	"github.com/starling-vr/starling/actions"
	"github.com/starling-vr/starling/actions/builtin"
)

// Owner holds the settings of the shards.
type Owner struct {
	Speed           float64       `toml:"speed" default:"12" doc:"Metres per second that an avatar may move for long."`
	SpeedBurst      float64       `toml:"speed_burst" default:"30" doc:"Metres that it may move at once."`
	RelocateEvery   time.Duration `toml:"relocate_every" default:"1m" doc:"How often an avatar may be set down elsewhere after a jump of its positioning system."`
	Reach           float64       `toml:"reach" default:"20" doc:"Metres within which an avatar touches, grabs and drops."`
	HeldThings      int           `toml:"held_things" default:"8" doc:"Things that one avatar may hold."`
	SpawnedThings   int           `toml:"spawned_things" default:"100" doc:"Entities that one session may have spawned and not despawned."`
	Hysteresis      float64       `toml:"hysteresis" default:"3" doc:"Metres beyond its cell at which an entity changes its shard, so that nobody oscillates on a border."`
	SnapshotBatches int           `toml:"snapshot_batches" default:"4096" doc:"Batches after which a shard writes a snapshot and its log is cut. Fewer: faster loads, heavier writes."`
	RetainLogs      bool          `toml:"retain_logs" default:"false" doc:"Never cut logs, for those who check histories. They grow without bound."`
	UnloadAfter     time.Duration `toml:"unload_after" default:"1m" doc:"How long an idle shard stays in memory."`
	Workers         int           `toml:"workers" default:"0" doc:"Functions that run at the same time; 0: one per processor. More than there are processors promises what the machine cannot hold."`
	WorkLimit       time.Duration `toml:"work_limit" default:"0s" doc:"Longest run of the function work, which keeps a processor busy as load tests ask for; 0: there is no such function. Never in production."`
}

func (o Owner) check() error {
	if o.Speed <= 0 || o.SpeedBurst <= 0 || o.Reach <= 0 || o.Hysteresis < 0 || o.HeldThings < 0 || o.SpawnedThings < 0 ||
		o.SnapshotBatches < 1 || o.UnloadAfter <= 0 || o.RelocateEvery <= 0 || o.Workers < 0 || o.WorkLimit < 0 {
		return fmt.Errorf("owner: speed, speed_burst, reach, snapshot_batches, unload_after and relocate_every must be above 0, the rest not below")
	}
	return nil
}

// withWork adds the function for load tests, if it is wanted.
func (o Owner) withWork(registry *actions.Registry) error {
	if o.WorkLimit == 0 {
		return nil
	}
	return registry.Register(actions.Function{Name: builtin.WorkName, Run: builtin.Work(o.WorkLimit)})
}

func (o Owner) limits(resume time.Duration) actions.Limits {
	return actions.Limits{
		Speed: o.Speed, SpeedBurst: o.SpeedBurst, RelocateEvery: o.RelocateEvery, Reach: o.Reach,
		HeldThings: o.HeldThings, SpawnedThings: o.SpawnedThings, Hysteresis: o.Hysteresis, Resume: resume,
	}
}
