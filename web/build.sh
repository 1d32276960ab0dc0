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
for package in node_modules/pixi.js node_modules/@pixi/colord node_modules/earcut node_modules/eventemitter3 node_modules/ismobilejs \
	node_modules/parse-svg-path node_modules/tiny-lru node_modules/h3-js ../clients/js/node_modules/@bufbuild/protobuf node_modules/@fontsource-variable/*; do
	node -p 'const p = JSON.parse(fs.readFileSync(process.argv[1] + "/package.json")); `${p.name} ${p.version} (${p.license})\n`' "$package"
	cat "$package"/LICENSE* 2>/dev/null || true
	printf '\n\n'
done >dist/licenses.txt
node compress.mjs
cd ..
find $sources -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1 >web/dist/sources.sha256
