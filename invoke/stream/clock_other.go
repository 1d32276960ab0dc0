//go:build !amd64

package stream

func steadyCounter() bool { return false }

func counter() uint64 { return monotonicTicks() }

func peek() uint64 { return monotonicTicks() }
