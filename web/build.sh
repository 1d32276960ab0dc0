#!/bin/sh
# Builds the page into web/dist, which is committed and embedded. Needs Node 20
# or later; `make web` calls it. The Go tests say when dist is older than this:
sources="clients/js/package-lock.json clients/js/src web/index.html web/package-lock.json web/public web/src web/tsconfig.json web/vite.config.js"

set -eu
cd "$(dirname "$0")"
[ -d ../clients/js/node_modules ] || npm --prefix ../clients/js ci --no-audit --no-fund
[ -d node_modules ] || npm ci --no-audit --no-fund
npx tsc
npx vite build --logLevel warn
node compress.mjs
cd ..
find $sources -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1 >web/dist/sources.sha256
