// Package document holds what the functions of the annotation pipeline share about
// one document, by reference: its text, its tokens, and what each function found.
//
// # Offsets
//
// There are two texts. Source is what the client sent (the bytes of a text or HTML
// document; for JSON the decoded string, as UTF-8). Text is what a reader would see
// of it: for plain text it is Source itself, for HTML the visible characters with
// character references decoded. Tokens and sentences are placed in Text; Origin
// translates a range of Text to the range of Source that it was made from, which is
// what answers report. Token ranges are half-open, in bytes, never empty, in order,
// without overlap, and never split a valid UTF-8 sequence.
//
// # Who writes what
//
// Each function of a workflow writes the fields named after it and reads those of
// functions before it, so that functions that do not depend on each other may run at
// the same time: tagging writes Token.Tag, entity recognition Token.Entity and
// Entities, and so on.
//
// # Memory
//
// All slices keep their storage from one document to the next: a Document that has
// seen documents of a size takes another of that size without allocating. A Pool
// lets go of those that a giant document has blown up.
package document
