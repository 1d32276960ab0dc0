//go:build !linux

package arrival

// Receiver reads nothing here: who reads sockets this way needs Linux.
type Receiver struct{ Buffer []byte }
