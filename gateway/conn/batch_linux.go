package conn

import "syscall"

// writeRing writes by the ring to those connections that pollers read.
func (b *BatchWriter) writeRing(outputs []Output) {
	for i := range outputs {
		o := &outputs[i]
		c, ok := o.Conn.(*polled)
		switch {
		case !ok || len(o.Frames) > gatheredAtOnce:
			b.writeAlone(o)
			continue
		// Several are held at once, so nothing here may wait for one.
		case !c.mu.TryLock():
			b.skipped = append(b.skipped, o)
			continue
		}
		if accepted, done := c.refuses(len(o.Frames)); done {
			c.mu.Unlock()
			o.Accepted = accepted
			continue
		}
		if !b.ring.fits(len(o.Frames)) {
			b.submit()
		}
		b.ring.add(c.fd, o.Frames)
		b.loaded = append(b.loaded, loaded{c, o})
	}
	b.submit()
	for i, o := range b.skipped {
		b.writeAlone(o)
		b.skipped[i] = nil
	}
	b.skipped = b.skipped[:0]
}

// submit writes what the ring holds. Where it does not say for certain that
// bytes went, a call for that socket alone does: that one also lets the kernel
// tell when a full socket drains.
func (b *BatchWriter) submit() {
	if len(b.loaded) == 0 {
		return
	}
	b.calls++
	sound := b.ring.submit()
	for i, l := range b.loaded {
		n, errno := b.ring.result(i)
		if errno == syscall.EAGAIN || errno == syscall.EINTR {
			b.calls++
			n, errno = writeSocket(int(l.conn.fd), l.output.Frames)
		}
		l.output.Accepted = l.conn.took(l.output.Frames, n, errno)
		l.conn.mu.Unlock()
		b.loaded[i] = loaded{}
	}
	b.loaded = b.loaded[:0]
	b.ring.reset()
	if !sound {
		b.Close()
	}
}
