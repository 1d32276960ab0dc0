package shard

import "time"

// Limits bound what participants may do. The zero value of a field means its
// default.
type Limits struct {
	Speed              float64       // metres per second that an avatar may move for long; default 12
	SpeedBurst         float64       // metres that it may move at once; default 30
	RelocateEvery      time.Duration // how often Move.relocate is granted; default 60 s
	Reach              float64       // metres within which an avatar touches, grabs, drops and spawns; default 20
	HeldThings         int           // things that one avatar may hold; default 8
	SpawnedThings      int           // entities that one session may have spawned and not despawned, in one shard; default 100
	CellEntities       int           // entities in one cell for Spawn to be allowed; default 2000
	Sessions           int           // sessions in one shard; default 20000
	Entities           int           // entities in one shard for Spawn to be allowed; default 100000
	TextBytes          int           // of Speak.text; default 500
	VoiceBytes         int           // of Speak.voice; default 1200
	ArgumentBytes      int           // of Call.arguments; default 4096
	PayloadBytes       int           // of an event's payload and of an outcome's result; default 4096
	Held               int           // actions of a session that may wait for the ones before; default 64
	HeldFor            time.Duration // how long they may; default 100 ms
	Strangers          int           // actions that may wait for their session to arrive, in one shard; default 1024
	ForwardPatience    time.Duration // how long a forwarded action may be under way at least, and how long the session's later ones wait for it; default 1 s
	Resume             time.Duration // how long a session outlives its gateway's last renewal; default 30 s
	Hysteresis         float64       // metres beyond its cell at which an entity changes its shard; default 3
	ForgetParticipants time.Duration // how long the register remembers who is gone; default 10 min
	Resend             time.Duration // longest time after which parcels that were not acknowledged are sent again; the first time it is 100 ms; default 1 s
}

func orDefault[T int | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	orDefault(&l.Speed, 12)
	orDefault(&l.SpeedBurst, 30)
	orDefault(&l.RelocateEvery, time.Minute)
	orDefault(&l.Reach, 20)
	orDefault(&l.HeldThings, 8)
	orDefault(&l.SpawnedThings, 100)
	orDefault(&l.CellEntities, 2000)
	orDefault(&l.Sessions, 20_000)
	orDefault(&l.Entities, 100_000)
	orDefault(&l.TextBytes, 500)
	orDefault(&l.VoiceBytes, 1200)
	orDefault(&l.ArgumentBytes, 4096)
	orDefault(&l.PayloadBytes, 4096)
	orDefault(&l.Held, 64)
	orDefault(&l.HeldFor, 100*time.Millisecond)
	orDefault(&l.Strangers, 1024)
	orDefault(&l.ForwardPatience, time.Second)
	orDefault(&l.Resume, 30*time.Second)
	orDefault(&l.Hysteresis, 3)
	orDefault(&l.ForgetParticipants, 10*time.Minute)
	orDefault(&l.Resend, time.Second)
	return l
}
