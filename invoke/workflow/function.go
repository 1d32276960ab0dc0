package workflow

import "time"

// Function is a unit that is deployed, metered and fails by itself. D is the
// document that functions share by reference.
type Function[D any] struct {
	// Name identifies the function; unique in an engine.
	Name string
	// Needs names the functions whose results it uses. A workflow that has this
	// function has to have those, too.
	Needs []string
	// Run does the work on run.Document. It runs on a worker and should not block.
	// An error is told to the document's submitter as a *FunctionError. A panic is
	// recovered and told the same way.
	Run func(run *Run[D]) error
	// RunTime is the 99th percentile of the run time for a document of
	// Options.ReferenceSize. 0 means learned. Admission and predictions reckon with it
	// until better is known.
	RunTime time.Duration
	// Bound is the longest that a run may take for a document of ReferenceSize, and in
	// proportion for larger ones: beyond it the function hangs. Default: 100 times
	// RunTime, at least the workflow's deadline and at least 1 s.
	Bound time.Duration
	// Memory is how many bytes a run holds for a document of ReferenceSize, and in
	// proportion for larger ones. 0 means not known.
	Memory int64
	// Leak is how many bytes a run may add to what a document of ReferenceSize holds, and
	// in proportion for larger ones. If *D has a method Footprint() int (bytes of storage
	// held), a run that makes it grow by more leaks. Default: Memory. 0 of both means not
	// checked.
	Leak int64
	// Mapped says that the function may run on parts of a large document; see
	// Splitter.
	Mapped bool
}

// Step is the use of a function in a workflow.
type Step[D any] struct {
	// Function is the name of a registered function.
	Function string
	// After names steps that have to end before, whether they ran or not, besides
	// those that the function needs. A step must be after all that its When reads.
	After []string
	// When says whether the step runs for this document; nil means always. A step
	// whose needs did not run does not run either. It must be short.
	When func(*D) bool
	// Condition tells When in words, for descriptions.
	Condition string
	// Shed makes the step optional: 1 is shed first, then 2 and so on. 0 is required.
	Shed int
}

// Part is a part of a large document.
type Part[D any] struct {
	Document *D
	// Size is the part's share of the document's size.
	Size int
}

// Splitter cuts large documents for the functions that are Mapped.
type Splitter[D any] struct {
	// Above is the size from which on documents are split. Required.
	Above int
	// Split appends the parts of a document to parts, as many as it finds good and
	// want if it can. Fewer than two mean that it stays whole.
	Split func(document *D, want int, parts []Part[D]) ([]Part[D], error)
	// Join puts the results of the parts together into the document. It is not
	// called if a required function failed on a part. An error fails the document.
	Join func(document *D, parts []Part[D]) error
	// Release takes each part back in the end. May be nil.
	Release func(*D)
}

// Graph is a workflow to deploy.
type Graph[D any] struct {
	// Name identifies the workflow; unique among the functions of the scheduler.
	Name string
	// Steps are the functions, in any order.
	Steps []Step[D]
	// Deadline is when the result is due, from arrival. Required.
	Deadline time.Duration
	// Hard says that a late result is worthless: a document that cannot meet the
	// deadline is refused, at arrival if that shows then. A soft one runs late and
	// counts as missed.
	Hard bool
	// Displace lets a document that there is no time for take the place of the largest one
	// that waits, if that is larger; that one is refused as TooLate then, though it had been
	// taken. So as many documents as possible are in time when not all can be, and large
	// ones are refused rather than small ones. Only of hard workflows, and beyond the
	// guarantee.
	Displace bool
	// Rate is the guaranteed number of documents per second, Burst how many may come
	// at once within the guarantee; see invoke.Contract. 0 is best effort.
	Rate  float64
	Burst int
	// MissTarget is the tolerated share of documents within the guarantee that are
	// late.
	MissTarget float64
	// Memory is how many bytes a document holds while it runs. Default: the most of its
	// functions, which share it.
	Memory int64
	// Queue is how many documents may wait. Default: invoke's.
	Queue int
	// Begin is called by the worker that begins a document, before the first step: it may
	// give the document what only those that run need. No step answers for what the
	// document grows by then. It must be short and not panic. May be nil.
	Begin func(*D)
	// Splitter cuts large documents. Nil: they stay whole.
	Splitter *Splitter[D]
}
