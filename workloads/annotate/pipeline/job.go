package pipeline

import (
	"bytes"
	"sync"

	"github.com/starling-vr/starling/invoke/workflow"
	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/topic"
	"github.com/starling-vr/starling/workloads/annotate/text"
)

// Job is a document on its way through a workflow, with what its functions need
// besides. Fill in Source, ID, From and Format or Detect, and Submit it; Get gives
// one from the pipeline's pool and Put takes it back.
type Job struct {
	document.Document
	// From is where the document comes from; conditions may ask for it.
	From string
	// Detect lets parse find out whether Source is HTML.
	Detect bool
	// Run is of the workflow engine; Run.Done and Run.Sender are the caller's to set.
	Run workflow.Run[Job]
	// Room is storage for whoever submits: it stays with the job.
	Room []byte

	topics *topic.Set
	place  *workplace // from the first function on
	start  int        // of a part, in the text of the whole
}

// Get gives an empty job.
func (p *Pipeline) Get() *Job {
	if j, ok := p.jobs.Get().(*Job); ok {
		return j
	}
	return &Job{}
}

// Put takes a job back that nobody uses any more.
func (p *Pipeline) Put(j *Job) {
	if j.Run.Abandoned() {
		return // a function that hangs may still write into it
	}
	j.Clear()
	if cap(j.Room) <= keepAtMost {
		p.jobs.Put(j)
	}
}

// Clear empties the job. It keeps Room alone.
func (j *Job) Clear() {
	j.Reset()
	j.leave()
	j.From, j.Detect, j.topics, j.start = "", false, nil, 0
	j.Run.Document, j.Run.Done, j.Run.Payload = nil, nil, nil
	j.Run.Arrived, j.Run.Deadline, j.Run.Reserve, j.Run.Sender = 0, 0, 0, 0
}

// SetHTML says that Source is HTML.
func (j *Job) SetHTML() { j.Format = document.HTML }

// keepAtMost is the storage up to which a job, or a workplace, is kept for reuse.
const keepAtMost = 1 << 20

type jobs struct{ sync.Pool }

// looksLikeHTML says whether a text begins with markup.
func looksLikeHTML(b []byte) bool {
	b = bytes.TrimLeft(b[:min(len(b), 256)], " \t\r\n\ufeff")
	if len(b) < 3 || b[0] != '<' {
		return false
	}
	c := b[1] | 32
	return (c >= 'a' && c <= 'z' || b[1] == '!') && bytes.IndexByte(b, '>') > 0
}

// splitter cuts large documents between paragraphs.
func (p *Pipeline) splitter() *workflow.Splitter[Job] {
	return &workflow.Splitter[Job]{
		Above: p.options.SplitAbove,
		Split: func(j *Job, want int, parts []workflow.Part[Job]) ([]workflow.Part[Job], error) {
			starts := append([]int{0}, text.Cuts(j.Text, want, nil)...)
			for i, start := range starts {
				end := len(j.Text)
				if i+1 < len(starts) {
					end = starts[i+1]
				}
				part := p.Get()
				p.occupy(part)
				j.Slice(&part.Document, start, end)
				part.From, part.topics, part.start = j.From, j.topics, start
				parts = append(parts, workflow.Part[Job]{Document: part, Size: end - start})
			}
			return parts, nil
		},
		Join: func(j *Job, parts []workflow.Part[Job]) error {
			documents := make([]*document.Document, len(parts))
			starts := make([]int, len(parts))
			for i, part := range parts {
				documents[i], starts[i] = &part.Document.Document, part.Document.start
			}
			text.Join(&j.Document, documents, starts)
			return nil
		},
		Release: p.Put,
	}
}
