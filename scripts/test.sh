#!/bin/sh
# All tests: what `make test` and CI run. Tests of a distributed system wait much of their time:
# several packages at once, and the linters beside them, keep the cores busy.
set -eu
cd "$(dirname "$0")/.."
./scripts/install.sh

# Compilers and linters spend a sixth to a half of their time on collecting garbage that the
# machine has room for. Tests run as anything does.
roomy='env GOGC=400 GOMEMLIMIT=2GiB'

work=$(mktemp -d)
check=
trap 'if [ "$check" ]; then kill -- "-$check" || kill "$check" || true; fi 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Some tests run the command itself, and the linters need the same packages compiled.
$roomy go build -o "$work/starling" ./cmd/starling

(cd clients/js && npm ci --no-audit --no-fund --silent)

# The linters take what the tests leave of the cores, and stop everything as soon as they can.
setsid $roomy sh -c 'nice -n 19 ./scripts/check.sh >"$0/check" 2>&1 || touch "$0/refused"' "$work" &
check=$!
linted() {
	if [ -e "$work/refused" ]; then
		cat "$work/check"
		exit 1
	fi
}

(cd clients/js && npm test --silent)
linted

# Vetted by the linters, and without debuggers' tables, which take a third of the linking. Those
# that run whole systems (servers, crowds, a browser) run one after another, and every time: of
# the command that some of them run, Go's cache of results knows nothing.
whole='/(cmd/starling|internal/e2e|loadtest/(calibrate|torture)|web/pagetest)$'
# Those that wait longest begin first.
waiting='/(gateway|pubsub/redis|regions/peer|world/(embedded|redis))$'
packages=$(go list ./... | grep -vE "$whole")
$roomy go build -race ./...
go test -race -vet=off -ldflags='-s -w' -timeout 9m -p "$((2 * $(nproc)))" \
	$(echo "$packages" | grep -E "$waiting") $(echo "$packages" | grep -vE "$waiting")
linted
TORTURE_BINARY="$work/starling" go test -race -vet=off -ldflags='-s -w' -timeout 9m -p 1 -count 1 $(go list ./... | grep -E "$whole")
wait "$check"
linted
