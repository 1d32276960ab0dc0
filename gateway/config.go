// Package gateway is the edge: it keeps the participants' websockets, knows who
// they are, routes what they do to the owners of their shards, and tells them
// what happens in the cells they watch.
package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/creasty/defaults"
)

// Config of a gateway. Start from DefaultConfig.
type Config struct {
	Node string `toml:"-"` // id of this process, as owners know it

	Origins        []string `toml:"origins" default:"[]" doc:"allowed values of a browser's Origin header, like \"https://play.example.org\"; empty: the host that serves the page; \"*\": any"`
	MaxConnections int      `toml:"max_connections" default:"20000" doc:"connections in all; more are closed as FULL; 0: no limit"`
	MaxPerAddress  int      `toml:"max_per_address" default:"64" doc:"connections from one IP address; more are closed as ADDRESS_LIMIT; 0: no limit"`
	LimitLoopback  bool     `toml:"limit_loopback" default:"false" doc:"hold loopback addresses to max_per_address too; off, so that a load generator on this machine can connect"`

	MaxMessage    int           `toml:"max_message" default:"16384" doc:"bytes of a message from a client; a larger one closes the connection as TOO_LARGE"`
	MessageRate   float64       `toml:"message_rate" default:"100" doc:"messages per second that a connection may send; above it actions are refused as RATE"`
	MessageBurst  int           `toml:"message_burst" default:"200" doc:"messages that a connection may send at once"`
	FloodAfter    int           `toml:"flood_after" default:"400" doc:"messages over the rate, without a pause, after which the connection is closed as FLOOD"`
	MaxInFlight   int           `toml:"max_in_flight" default:"64" doc:"actions of a session that may be unanswered; more are refused as RATE"`
	MaxRing       int           `toml:"max_ring" default:"3" doc:"largest ring of cells around its own that a client may watch, 0..3"`
	SocketBuffer  int           `toml:"socket_buffer" default:"262144" doc:"bytes that the kernel may keep unsent for a connection; larger hides slow readers longer"`
	HandshakeTime time.Duration `toml:"handshake_time" default:"5s" doc:"time for a valid Hello after the upgrade; then the connection is closed as NO_HELLO"`
	PingAfter     time.Duration `toml:"ping_after" default:"15s" doc:"silence after which the gateway pings"`
	IdleTime      time.Duration `toml:"idle_time" default:"40s" doc:"silence after which a connection is closed as IDLE; above ping_after plus a round trip"`
	SlowReader    time.Duration `toml:"slow_reader" default:"10s" doc:"time a connection may take nothing before it is closed as SLOW_READER"`

	Deadline    time.Duration `toml:"deadline" default:"15ms" doc:"D: from an action's arrival here to the sockets of those who see it"`
	FlushShare  time.Duration `toml:"flush_share" default:"4ms" doc:"how long a write may wait for company once the gateway has something to do; when it is busy, as long as the deadline leaves; 0: never"`
	ResumeTime  time.Duration `toml:"resume_time" default:"30s" doc:"how long a session outlives its connection; the same for all processes"`
	RouteTime   time.Duration `toml:"route_time" default:"2s" doc:"how long an action is kept for a shard that moves before the client gets UNAVAILABLE"`
	ResendAfter time.Duration `toml:"resend_after" default:"500ms" doc:"silence of an owner after which an action is sent to it again, under its number"`
	OpenTime    time.Duration `toml:"open_time" default:"8s" doc:"time for owners to open a session; then the connection is closed as UNREACHABLE"`
	RenewEvery  time.Duration `toml:"renew_every" default:"2s" doc:"how often owners are told which sessions are present; far below resume_time"`

	RefuseOverload bool `toml:"refuse_overload" default:"true" doc:"while a queue stands, refuse actions over an equal share as BUSY, retryable: while many updates keep leaving three quarters of deadline old or more, or actions wait ever longer for their outcome; not for a moment's standstill, nor while other processes have the processors, nor where refusing makes nothing better"`

	DrainTime      time.Duration `toml:"drain_time" default:"10s" doc:"over how long a draining gateway sends its clients away"`
	ReconnectAfter time.Duration `toml:"reconnect_after" default:"1s" doc:"base of the time that close reasons ask a client to wait; with jitter, up to twice this"`
	Reader         string        `toml:"reader" default:"epoll" doc:"how websockets are read: epoll (Linux, without TLS: few goroutines read for all connections; elsewhere the same as portable) or portable (a goroutine for each)"`
	Pollers        int           `toml:"pollers" default:"0" doc:"goroutines that read for all connections, with reader epoll; 0: one for each four processors"`
	Writer         string        `toml:"writer" default:"io_uring" doc:"how connections that pollers read are written to: io_uring (one system call for many, where the kernel has it and lets this process use it; else as writev) or writev (one for each)"`
	BudgetEntities float64       `toml:"budget_entities" default:"500" doc:"updates and events per second that a participant is told of; above it those near come at full rate and the rest thinned out; 0: no bound"`
	BudgetBytes    float64       `toml:"budget_bytes" default:"65536" doc:"the same in bytes per second; 0: no bound"`
	BudgetNear     int           `toml:"budget_near" default:"24" doc:"entities around a participant over its budget that come at full rate, about"`
	Hubs           int           `toml:"hubs" default:"0" doc:"goroutines that write to clients, each with its part of the cells; 0: one per processor"`
}

// Values of Config.Reader.
const (
	ReaderEpoll    = "epoll"
	ReaderPortable = "portable"
)

// Values of Config.Writer.
const (
	WriterRing = "io_uring"
	WriterEach = "writev"
)

// DefaultConfig gives the defaults that the tags name.
func DefaultConfig() (c Config) {
	defaults.MustSet(&c)
	return c
}

// Validate says what is wrong with the config.
func (c *Config) Validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("gateway: "+format, args...))
		}
	}
	check(c.Node != "", "node is missing")
	check(c.MaxConnections >= 0 && c.MaxPerAddress >= 0, "limits of connections must not be negative")
	check(c.MaxMessage >= 1024, "max_message %d is below 1024", c.MaxMessage)
	check(c.MessageRate > 0 && c.MessageBurst > 0 && c.FloodAfter > 0, "message_rate, message_burst and flood_after must be positive")
	check(c.MaxInFlight > 0 && c.MaxInFlight <= 64, "max_in_flight %d: want 1..64, which is what owners remember", c.MaxInFlight)
	check(c.MaxRing >= 0 && c.MaxRing <= 3, "max_ring %d: want 0..3", c.MaxRing)
	check(c.SocketBuffer >= 4096, "socket_buffer %d is below 4096", c.SocketBuffer)
	for name, d := range map[string]time.Duration{
		"handshake_time": c.HandshakeTime, "ping_after": c.PingAfter, "slow_reader": c.SlowReader, "deadline": c.Deadline,
		"resume_time": c.ResumeTime, "route_time": c.RouteTime, "resend_after": c.ResendAfter, "open_time": c.OpenTime,
		"renew_every": c.RenewEvery, "drain_time": c.DrainTime, "reconnect_after": c.ReconnectAfter,
	} {
		check(d > 0, "%s must be positive", name)
	}
	check(c.IdleTime > c.PingAfter, "idle_time %v must be above ping_after %v", c.IdleTime, c.PingAfter)
	check(c.FlushShare >= 0 && c.FlushShare < c.Deadline, "flush_share %v must be below deadline %v", c.FlushShare, c.Deadline)
	check(c.RenewEvery*3 <= c.ResumeTime, "renew_every %v must be at most a third of resume_time %v", c.RenewEvery, c.ResumeTime)
	check(c.BudgetEntities == 0 || c.BudgetEntities >= 25, "budget_entities %v: want 0 or at least 25", c.BudgetEntities)
	check(c.BudgetBytes == 0 || c.BudgetBytes >= 4096, "budget_bytes %v: want 0 or at least 4096", c.BudgetBytes)
	check(c.BudgetNear >= 1 && c.BudgetNear <= 1000, "budget_near %d: want 1..1000", c.BudgetNear)
	check(c.Hubs >= 0, "hubs must not be negative")
	check(c.Reader == ReaderEpoll || c.Reader == ReaderPortable, "reader %q: want %s or %s", c.Reader, ReaderEpoll, ReaderPortable)
	check(c.Writer == WriterRing || c.Writer == WriterEach, "writer %q: want %s or %s", c.Writer, WriterRing, WriterEach)
	check(c.Pollers >= 0, "pollers must not be negative")
	return errors.Join(wrong...)
}
