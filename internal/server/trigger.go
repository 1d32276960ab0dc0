package server

import (
	"context"
	"runtime"
	"sync"

	"github.com/starling-vr/starling/invoke"
	trigger "github.com/starling-vr/starling/workloads/trigger/service"
)

// startTrigger lets records fall due; nobody has to be told of, so it needs no listener.
func (s *Server) startTrigger(feed *trigger.Feed) (err error) {
	if err := s.startScheduler(); err != nil {
		return err
	}
	s.threads = moreThreads(s.settings.Trigger.Threads(feed))
	s.trigger, err = trigger.New(s.settings.Trigger, trigger.Deps{Scheduler: s.scheduler, Log: s.log, Registerer: s.metrics, Feed: feed})
	return err
}

// stopTrigger ends it: no more records, what was selected goes through the chain until
// ctx ends, the archive is closed.
func (s *Server) stopTrigger(ctx context.Context) {
	if s.trigger != nil {
		if err := s.trigger.Close(ctx); err != nil {
			s.log.Error("stopping the trigger", "error", err)
		}
		s.trigger = nil
	}
	s.threads()
	s.threads = func() {}
}

// triggerSource says where the trigger's records come from; empty without a trigger.
func (s *Server) triggerSource() string {
	if s.trigger == nil {
		return ""
	}
	return s.trigger.Source()
}

// threads guards what of GOMAXPROCS is the trigger's, in a process with several servers.
var threads sync.Mutex

// moreThreads lets Go run on so many threads more than before, until they are given
// back. A poller keeps its thread also while it sleeps.
func moreThreads(n int) (giveBack func()) {
	change := func(by int) {
		threads.Lock()
		defer threads.Unlock()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + by)
	}
	change(n)
	return func() { change(-n) }
}

// admitTrigger says why a scheduler cannot hold the trigger beside what is deployed on
// it, with the arithmetic.
func (s *Settings) admitTrigger(on *invoke.Scheduler, feed *trigger.Feed) error {
	giveBack := moreThreads(s.Trigger.Threads(feed))
	defer giveBack()
	return s.Trigger.Admit(on, feed)
}
