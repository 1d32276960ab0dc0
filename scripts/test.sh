#!/bin/sh
# All tests: what `make test` and CI run.
set -eu
cd "$(dirname "$0")/.."
./scripts/install.sh
./scripts/check.sh
(cd clients/js && npm ci --no-audit --no-fund --silent && npm test --silent)
go test -race -timeout 9m ./...
