package world

import "time"

// epochsBegin is where FirstEpoch counts from: later than the Unix time, so that
// epochs, which travel with every update, stay short.
var epochsBegin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// lastFirstEpoch leaves room for claims above a clock that is far off.
const lastFirstEpoch = 1 << 31

// FirstEpoch is what the first claim of a shard hands to Log.Claim as atLeast: the
// seconds since the beginning of 2026, within 0..2^31. A store that was lost
// whole so gives larger epochs than it ever gave, as long as a shard is claimed
// less than once a second on average and clocks do not go back by more than the
// store lived; readers that outlived it, who keep the highest epoch, follow.
func FirstEpoch(now time.Time) uint32 {
	return uint32(min(max(now.Unix()-epochsBegin.Unix(), 0), lastFirstEpoch))
}
