package check

// FinalOf is what the frames of a history amount to.
func FinalOf(h *History) *View {
	f := &follower{checker: newChecker(Input{})}
	view := newViewer()
	for _, e := range h.Events {
		switch e.Kind {
		case Welcomed:
			f.session, f.avatar, f.place, f.ring = e.Session, e.Avatar, e.Place, e.Ring
			view.reset()
		case Saw:
			view.apply(e.Frame)
		}
	}
	return view.final(f)
}

// Rules are all rules.
var Rules = []Rule{
	LogBroken, SessionNumbers, SessionTwoHomes, SessionLost, OutcomeNotInLog, OutcomeDiffers, OutcomeForged, ActionDiffers,
	EffectMissing, EffectTwice, EffectRefused, EntityTwoHomes, EntityLost, EntityAway, HandoverCount, VersionWrong, HolderMissing,
	StepOrder, ParcelNumbers, ParcelForged, ParcelOrder, ParcelLost, DeliveredEarly, FrameChain, FrameDiffers, SeenNotInLog,
	ViewWentBack, BaselineStale, EventTwice, FinalMissing, FinalStale, FinalGhost,
}
