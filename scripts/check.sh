#!/bin/sh
# The linters: format, vet, staticcheck (pinned in go.mod), module files.
set -eu
cd "$(dirname "$0")/.."
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
	echo "not gofmt'd:" && echo "$unformatted" && exit 1
fi
go mod tidy -diff

# Who builds on these needs no C compiler: without cgo they, and all that they import, are made
# of the same files.
files() {
	CGO_ENABLED=$1 go list -deps -f '{{if not .Standard}}{{.ImportPath}} {{.GoFiles}} {{.CgoFiles}} {{.SFiles}}{{end}}' \
		./invoke/... ./api/... ./clients/go/...
}
with=$(files 1)
without=$(files 0)
if [ "$with" != "$without" ]; then
	echo "these are built otherwise with cgo than without:"
	printf '%s\n%s\n' "$with" "$without" | sort | uniq -u
	exit 1
fi

# RACE=-race reads what the tests have compiled anyway.
race=${RACE:-}
staticcheck=$(go tool -n staticcheck)
go vet $race ./...
GOFLAGS="${GOFLAGS:-} $race" "$staticcheck" ./...
