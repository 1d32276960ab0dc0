#!/bin/sh
# All tests: what `make test` and CI run.
set -eu
cd "$(dirname "$0")/.."
./scripts/install.sh
./scripts/check.sh
(cd clients/js && npm ci --no-audit --no-fund --silent && npm test --silent)

# Vetted above, and without debuggers' tables, which take a third of the linking. Those that run
# whole systems (servers, crowds, a browser) run one after another: they need the machine's cores
# for themselves.
whole='/(cmd/starling|internal/e2e|loadtest/torture|web/pagetest)$'
packages=$(go list ./...)
go test -race -vet=off -ldflags='-s -w' -timeout 9m $(echo "$packages" | grep -vE "$whole")
go test -race -vet=off -ldflags='-s -w' -timeout 9m -p 1 $(echo "$packages" | grep -E "$whole")
