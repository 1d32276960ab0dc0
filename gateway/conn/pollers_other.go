//go:build !linux

package conn

import "net"

// pollers are for Linux alone.
type pollers struct{}

func newPollers(*Options) (*pollers, error) { return nil, nil }

func (*pollers) adopt(net.Conn, bool) (opened, error) { return nil, nil }

func (*pollers) wakeUps() uint64 { return 0 }

func (*pollers) collect() {}

func (*pollers) rest(bool) {}

func (*pollers) close() {}
