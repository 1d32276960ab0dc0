#!/bin/sh
# Renews the TypeScript code of the client protocol. Needs protoc (Debian:
# protobuf-compiler); its plugin is pinned in package.json (npm ci).
set -eu
cd "$(dirname "$0")"
protoc -I ../.. --plugin=protoc-gen-es=node_modules/.bin/protoc-gen-es \
	--es_out=src/gen --es_opt=target=ts,import_extension=js \
	api/starling/v1/client.proto
