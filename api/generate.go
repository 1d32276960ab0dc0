// Package api holds the schemas of everything that leaves a process: the
// client protocol (starling/v1) and what processes say to each other and keep
// in logs (cluster/v1). Generated code is committed; `make generate` renews it.
package api

//go:generate ./generate.sh
