#!/bin/sh
# Renews the Go code of the protobuf schemas. Needs protoc (Debian:
# protobuf-compiler); its Go plugins are pinned in go.mod.
set -eu
cd "$(dirname "$0")/.."
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
for tool in google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto; do
	go build -o "$bin/" "$tool"
done
PATH="$bin:$PATH" protoc -I . \
	--go_out=. --go_opt=module=github.com/starling-vr/starling \
	--go-vtproto_out=. --go-vtproto_opt=module=github.com/starling-vr/starling,features=marshal+unmarshal+size+pool \
	--go-vtproto_opt=pool=github.com/starling-vr/starling/api/starling/v1.Act \
	--go-vtproto_opt=pool=github.com/starling-vr/starling/api/starling/v1.ClientMessage \
	--go-vtproto_opt=pool=github.com/starling-vr/starling/api/cluster/v1.PeerFrame \
	--go-grpc_out=. --go-grpc_opt=module=github.com/starling-vr/starling \
	api/starling/v1/*.proto api/cluster/v1/*.proto api/annotate/v1/*.proto
