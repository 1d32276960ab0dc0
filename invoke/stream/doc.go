// Package stream runs functions over streams of small records for which a queue
// operation per record is already too dear: the shape Stream of package invoke.
//
// A poller owns a ring of records of one size and runs to completion: it
// looks how many are due, hands so many references to the kernel that suits their
// number, reads the clock once, and looks again. Nothing is allocated, and nothing
// but arithmetic is done per record.
package stream
