// Package service is the door of annotation: documents in over HTTP and gRPC,
// annotations out as JSON or protobuf, to who sent them, to subscribers, and into
// Redis when asked. docs/reference/annotate-api.md has the formats.
//
// A document takes one way through it, whatever the door: its bytes go into a
// request's storage, a request is handed to its workflow, and the worker that ends
// the workflow writes the answer where it belongs. Requests are reused with all their
// storage, so that a document allocates nothing once the process is warm.
package service
