// Package starling is the Go client of Starling: it keeps a participant's
// session over broken connections, numbers actions so that each takes effect
// exactly once, and holds a view of the entities around.
//
//	client, err := starling.Dial(ctx, "ws://localhost:8080/v1/ws", starling.Options{
//		Token: starling.StaticToken(token),
//		Start: starling.Geographic(25.0339, 121.5645, 0),
//	})
//	if err != nil { … }
//	defer client.Close()
//	outcome, err := client.Speak(ctx, "hello")
//
// One goroutine per client reads; writes are made by whoever acts, several
// actions in one system call where they coincide. Callbacks come from the
// reading goroutine, in the order of the wire, and must not block.
//
// The protocol is written down in docs/reference/protocol.md.
package starling
