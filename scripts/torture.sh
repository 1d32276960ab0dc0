#!/bin/sh
# The fault tests, each scenario with SEEDS seeds (default 20) over each bus (BUS:
# "direct redis"). One summary line per run goes to torture.log; histories and
# logs of runs that failed stay in the folders that it names.
set -eu
cd "$(dirname "$0")/.."
./scripts/install.sh
seeds=${SEEDS:-20}
out=${OUT:-torture.log}
status=0
: >"$out"
for bus in ${BUS:-direct redis}; do
	TORTURE_BUS=$bus TORTURE_SEEDS=$seeds go test -timeout "$((seeds * 12))m" -count 1 -v ./loadtest/torture ${RUN:+-run "$RUN"} >>"$out" 2>&1 || status=$?
done
grep -E ' seed=[0-9]+ bus=[a-z]+ participants=' "$out" | sed 's/^ *[a-z_]*\.go:[0-9]*: //' || true
grep -E '^ *--- FAIL' "$out" || true
echo "$(grep -cE ' seed=[0-9]+ bus=[a-z]+ participants=' "$out" || true) runs; everything is in $out"
exit "$status"
