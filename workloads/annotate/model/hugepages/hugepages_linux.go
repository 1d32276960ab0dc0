package hugepages

import "golang.org/x/sys/unix"

// advise asks for huge pages, at once where memory is there already. A system that has
// none to give goes on with small ones.
func advise(room []byte) {
	_ = unix.Madvise(room, unix.MADV_HUGEPAGE)
	_ = unix.Madvise(room, unix.MADV_COLLAPSE)
}
