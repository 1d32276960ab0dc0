// Package servertest has what tests of whole servers share.
package servertest

// Patient are settings of a server in whose region no process dies, for tests on
// machines that are busy with others, too: it takes longer to hold a process, a
// client or a shard for lost, and refuses nobody because it is late.
func Patient() []string {
	return []string{
		"gateway.handshake_time=1m", "gateway.open_time=1m", "gateway.route_time=1m", "gateway.refuse_overload=false",
		"gateway.resume_time=10m", "gateway.idle_time=10m", "gateway.slow_reader=5m",
		"region.directory.death=30s", "region.directory.margin=5s", "region.directory.timeout=10s",
	}
}
