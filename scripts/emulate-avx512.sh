#!/bin/sh
# Runs the trigger's AVX-512 VNNI kernels on an emulated processor, for machines without those
# instructions, and compares every result with Go's. It takes Bochs (BOCHS names another than
# the system's, which needs its AVX-512, --enable-evex), GNU as and ld, isolinux and xorriso:
# where Debian's packages of them are missing, root installs them. MODEL is Bochs' name of the
# processor. Prints how many calls were run, and instructions of each kernel a call; fails
# when a result differs. Tried with Bochs built from its source (3.0.devel: --enable-x86-64
# --enable-avx --enable-evex --enable-all-optimizations --with-nogui, BOCHS=./bochs), not yet
# with Debian's package.
set -eu
cd "$(dirname "$0")/.."
model=${MODEL:-tigerlake}
isolinux=/usr/lib/ISOLINUX/isolinux.bin
modules=/usr/lib/syslinux/modules/bios
bios=/usr/share/bochs/BIOS-bochs-latest
[ -e "$bios" ] && [ -e "$isolinux" ] && [ -e "$modules/mboot.c32" ] && command -v as xorriso >/dev/null &&
	command -v "${BOCHS:-bochs}" >/dev/null ||
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		binutils bochs bochs-term bochsbios isolinux syslinux-common vgabios xorriso

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
CGO_ENABLED=0 go test -c -o "$work/kernels" ./workloads/trigger/kernels
KERNELS_EMULATED=$work "$work/kernels" -test.run '^TestWriteEmulatedCases$'
as --64 -o "$work/start.o" workloads/trigger/kernels/emulate/start.s
ld -m elf_x86_64 -e 0x100020 -Ttext=0x100000 --oformat binary -o "$work/start" "$work/start.o"
mkdir "$work/disc"
cat "$work/start" "$work/cases.bin" >"$work/disc/cases"
cp "$isolinux" "$modules/ldlinux.c32" "$modules/libcom32.c32" "$modules/mboot.c32" "$work/disc"
printf 'default mboot.c32 cases\nprompt 0\n' >"$work/disc/isolinux.cfg"
xorriso -as mkisofs -quiet -o "$work/iso" -b isolinux.bin -no-emul-boot -boot-load-size 4 \
	-boot-info-table "$work/disc" 2>"$work/xorriso" || {
	cat "$work/xorriso"
	exit 1
}

# Bochs from its source can do without a display; Debian's wants a terminal, and to be told
# by its debugger to continue.
bochs=${BOCHS:-bochs}
display=term
debugger="-rc $work/continue"
if [ "${BOCHS:-}" ]; then
	display=nogui
	debugger=
fi
echo c >"$work/continue"
echo q >>"$work/continue"
cat >"$work/bochsrc" <<EOF
display_library: $display
cpu: model=$model, count=1, ips=20000000
memory: guest=64, host=64
romimage: file=$bios
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/iso, status=inserted
boot: cdrom
log: $work/log
panic: action=fatal
clock: sync=none
port_e9_hack: enabled=1
EOF
if [ "${BOCHS:-}" ]; then
	"$bochs" -q -f "$work/bochsrc" >"$work/printed" 2>&1 </dev/null || true
else
	TERM=vt100 setsid -w script -qec "$bochs -q -f $work/bochsrc $debugger" "$work/printed" >/dev/null 2>&1 </dev/null || true
fi
tr -d '\r' <"$work/printed" >"$work/said"

if ! grep -aqE '^D [0-9a-f]' "$work/said"; then
	grep -aE '^(F|W) ' "$work/said" || tail -n 5 "$work/log"
	echo "the kernels did not run to their end on $model (F: exception, at which address, in which call)"
	exit 1
fi
# Lines: I and W with the number of a call, all in hexadecimal digits.
awk -v names="$work/names" '
	BEGIN { while ((getline line < names) > 0) name[n++] = line }
	$1 == "7" { vnni = substr($3, 6, 1) ~ /[89a-f]/ }
	$1 == "W" { print "wrong:", name[number($2)], "call", number($2) }
	$1 == "I" { k = name[number($2)]; calls[k]++; count[k] += number($3) }
	$1 == "D" { all = number($2); wrong = number($3) }
	function number(hex,  i, v) {
		for (i = 1; i <= length(hex); i++) v = 16 * v + index("0123456789abcdef", substr(hex, i, 1)) - 1
		return v
	}
	END {
		for (k in calls) printf "%-12s %5d calls, %8.0f instructions a call\n", k, calls[k], count[k] / calls[k] | "sort"
		close("sort")
		printf "%d calls, %d wrong, on a processor %s AVX-512 VNNI\n", all, wrong, vnni ? "with" : "without"
		exit wrong > 0 || !vnni || all != n
	}' "$work/said"
