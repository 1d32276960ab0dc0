package pipeline

import (
	"sync"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/keyphrase"
	"github.com/starling-vr/starling/workloads/annotate/knowledge"
)

// workplace is the storage that a document needs while functions work on it. Documents
// that wait have none, so that there are about as many as workers: what a worker writes to
// is what it wrote to for the document before, and in its cache.
type workplace struct {
	of      *workplaces
	storage document.Storage
	finder  keyphrase.Finder
	linker  knowledge.Linker
}

type workplaces struct{ sync.Pool }

// occupy gives a job a workplace.
func (p *Pipeline) occupy(j *Job) {
	if j.place != nil {
		return
	}
	place, ok := p.workplaces.Get().(*workplace)
	if !ok {
		place = &workplace{of: &p.workplaces}
		place.finder.Rarity = p.models.Vocabulary.Words.Rarity
		place.linker.Base = p.Knowledge
	}
	j.place, j.Storage = place, place.storage
}

// leave gives the job's workplace back; the job is to be empty.
func (j *Job) leave() {
	place := j.place
	if place == nil {
		return
	}
	place.storage = j.Storage
	j.place, j.Storage = nil, document.Storage{}
	if place.storage.Footprint() <= keepAtMost {
		place.of.Put(place)
	}
}
