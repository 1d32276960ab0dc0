#!/bin/sh
# The linters: format, vet, staticcheck (pinned in go.mod), module files.
set -eu
cd "$(dirname "$0")/.."
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
	echo "not gofmt'd:" && echo "$unformatted" && exit 1
fi
go vet ./...
go tool staticcheck ./...
go mod tidy -diff
for package in ./invoke/... ./api/... ./clients/go/...; do
	CGO_ENABLED=0 go build "$package"
done
