package document

import "sync"

// keepAtMost is the storage in bytes up to which a pool keeps a document: that of
// some 15,000 words.
const keepAtMost = 1 << 20

// Pool keeps documents for reuse. The zero value is ready.
type Pool struct{ pool sync.Pool }

// Get gives an empty document.
func (p *Pool) Get() *Document {
	if d, ok := p.pool.Get().(*Document); ok {
		return d
	}
	return &Document{}
}

// Put takes a document that nobody uses any more.
func (p *Pool) Put(d *Document) {
	d.Reset()
	if d.Footprint() <= keepAtMost {
		p.pool.Put(d)
	}
}
