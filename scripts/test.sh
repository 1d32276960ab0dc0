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

# Who exits waits a second for the race detector to see more: the tests let nothing run on.
export GORACE="${GORACE:-} atexit_sleep_ms=0"

# Some tests run the command itself; npm waits for the network meanwhile.
(cd clients/js && npm ci --no-audit --no-fund --silent) &
npm=$!
$roomy go build -o "$work/starling" ./cmd/starling
wait "$npm"

# Programs are linked by the tests that need them. Beside that the client library is tested.
(cd clients/js && npm test --silent) >"$work/js" 2>&1 &
js=$!
$roomy go build -race $(go list -f '{{if and .GoFiles (ne .Name "main")}}{{.ImportPath}}{{end}}' ./...)
wait "$js" || {
	cat "$work/js"
	exit 1
}
cat "$work/js"

# The linters take what the tests leave of the cores, read what is compiled for those, and stop
# everything as soon as they can.
RACE=-race setsid $roomy sh -c 'nice -n 19 ./scripts/check.sh >"$0/check" 2>&1 || touch "$0/refused"' "$work" &
check=$!
linted() {
	if [ -e "$work/refused" ]; then
		cat "$work/check"
		exit 1
	fi
}

# Vetted by the linters, and without debuggers' tables, which take a third of the linking. Those
# that run whole systems (servers, crowds, a browser) run one after another, and every time: of
# the command that some of them run, Go's cache of results knows nothing.
whole='/(cmd/starling|internal/e2e|loadtest/(calibrate|torture)|web/pagetest)$'
# Those that wait longest begin first.
waiting='/(gateway|pubsub/redis|regions/peer|world/(embedded|redis))$'
packages=$(go list ./... | grep -vE "$whole")
go test -race -vet=off -ldflags='-s -w' -timeout 9m -p "$((2 * $(nproc)))" \
	$(echo "$packages" | grep -E "$waiting") $(echo "$packages" | grep -vE "$waiting")
linted

# Linked before, and all at once: go test -p 1 would link one at a time, and nothing else.
systems=$(go list -f '{{.ImportPath}}={{.Dir}}' ./... | grep -E "${whole%?}=")
$roomy go test -c -race -vet=off -ldflags='-s -w' -o "$work/" $(echo "$systems" | sed 's/=.*//')
failed=
for system in $systems; do
	began=$(date +%s)
	echo "${system%=*}"
	(cd "${system#*=}" && TORTURE_BINARY="$work/starling" "$work/$(basename "${system%=*}").test" -test.timeout 9m) || failed="$failed ${system%=*}"
	echo "$(($(date +%s) - began)) s"
	linted
done
if [ "$failed" ]; then
	echo "failed:$failed"
	exit 1
fi
wait "$check"
linted
