// Package workspace keeps the working memory of models from one document to the
// next.
package workspace

// kept is how many workspaces wait for their next use at most: more than there are
// workers on most machines.
const kept = 64

// Pool keeps workspaces. Unlike a sync.Pool it is not emptied by the collector, so
// that a document allocates nothing, ever; it is for few and small ones.
type Pool[T any] struct {
	free  chan *T
	fresh func() *T
}

// New makes a pool that makes workspaces by fresh.
func New[T any](fresh func() *T) Pool[T] { return Pool[T]{make(chan *T, kept), fresh} }

// Get gives a workspace that nobody else uses.
func (p *Pool[T]) Get() *T {
	select {
	case w := <-p.free:
		return w
	default:
		return p.fresh()
	}
}

// Put takes a workspace that is not used any more.
func (p *Pool[T]) Put(w *T) {
	select {
	case p.free <- w:
	default:
	}
}
