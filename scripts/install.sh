#!/bin/sh
# Installs what the tests need and the machine lacks, through Debian's package
# manager: redis-server, chromium, node and npm, a C compiler.
set -eu

missing=""
need() { # COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need redis-server redis-server
need chromium chromium
need node nodejs
need npm npm
need gcc gcc

# The client library for JavaScript needs Node 20: Debian 13 has it, Debian 12 does not.
node_is_new() {
	major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
	[ "$major" -ge 20 ] && return
	echo "node is version $(node --version): version 20 or newer is needed (Debian 13's package nodejs, or nodesource.com for Debian 12)" >&2
	exit 1
}

if [ -z "$missing" ]; then
	node_is_new
	exit 0
fi
echo "missing:$missing"
if ! command -v apt-get >/dev/null 2>&1; then
	echo "no apt-get here: install$missing by your system's means, then run this again" >&2
	exit 1
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		sudo="sudo"
	else
		echo "not root: ask an administrator for 'apt-get install$missing', then run this again" >&2
		exit 1
	fi
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# The servers are for the tests to start: none should start by itself.
# shellcheck disable=SC2086
$sudo env RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing
node_is_new
