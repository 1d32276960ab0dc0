// Package workflow runs graphs of functions over documents, each graph with one
// end-to-end deadline, on the workers of an invoke.Scheduler.
//
// A Function is registered once with an Engine and may be used by several
// workflows. It stays a unit of its own: it has its own account in each workflow,
// its own declared run time, bound and memory, and it fails alone. At run time the
// functions of a workflow are fused: one worker runs them one after another, in
// topological order, on one document that they share by reference. Nothing is
// queued, copied or allocated between two functions.
//
//	engine, err := workflow.New[Document](scheduler, workflow.Options{})
//	err = engine.Register(workflow.Function[Document]{Name: "tokens", Needs: []string{"clean"}, Run: tokens})
//	flow, err := engine.Deploy(workflow.Graph[Document]{
//		Name: "moderation", Deadline: 100 * time.Millisecond, Hard: true, Rate: 4000, Burst: 200,
//		Steps: []workflow.Step[Document]{
//			{Function: "clean"},
//			{Function: "tokens"},
//			{Function: "sentiment", When: func(d *Document) bool { return d.English() }},
//			{Function: "summary", Shed: 1},
//		},
//	})
//	err = flow.Submit(&workflow.Run[Document]{Document: d, Size: words, Done: done})
//
// # Order
//
// Between documents the scheduler goes by the earliest deadline. Within one, what a
// step needs comes before it, required steps before optional ones, and those that
// are shed first come last.
//
// # Deadlines
//
// The engine learns each function's run time as a line over the document's size, and
// from these the end of a document that arrives: what is due before it, over the
// workers, and its own. A document that cannot meet a hard deadline is refused at
// arrival, retryable, unless its size alone is the reason. When the predicted end of
// anything that waits lies behind its deadline, optional steps are shed in their
// declared order, as few as suffice. The deadline is shared out along the critical
// path in proportion to the learned run times; see Workflow.Shares.
//
// # Failures
//
// A step that returns an error, panics, runs past its bound or keeps more memory
// than declared ends with a *FunctionError for that document. Steps that need it do
// not run, others do. A step that hangs cannot be stopped: its document is answered,
// and another worker takes the place of the one that is held until the step returns.
//
// # Large documents
//
// Above Splitter.Above a document is cut into parts. Functions that are Mapped run
// on the parts, on as many workers as are free; what they need runs before on the
// whole, and the rest after the parts are joined.
package workflow
