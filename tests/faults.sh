#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Each command with each of its calls to the system failing once (tests/faults): memory, reads, writes,
# flushes, renames, opens, locks; killed there; its input cut off.  SEED picks the pool; LONG=1: at each call.
# With AddressSanitizer requests for memory alone, unless LONG is set: what was got before must be given back.
set -u
takes=asan
: "${srcdir:=$(dirname "$0")/..}" "${abs_top_builddir:=.}"
. "$srcdir/tests/unsanitized.sh"
preload=
if [ -z "$sanitizer" ]; then
	. "$srcdir/tests/preload.sh"
	preload=$work/preload.so
fi
export ASAN_OPTIONS=detect_leaks=0
d=$work/pool
mkdir "$d" "$work/made"
{
	"$abs_top_builddir/tests/oracle/pools" "${SEED:-1}" 1 "$work/made" && mv "$work/made/0.img" "$d/pool" &&
		truncate -s 1M "$d/other" && thin_restore -q -i "$srcdir/xml/good/tiny.xml" -o "$d/other" &&
		thin_dump "$d/pool" >"$d/xml" && thin_metadata_pack -i "$d/pool" -o "$d/pack" &&
		cp "$d/pool" "$d/leaky" && "$abs_top_builddir/tests/damage/damage" "$d/leaky" leak >/dev/null
} || exit 99
blocks=$(sed -n 's/.*nr_data_blocks="\([0-9]*\)".*/\1/p' "$d/xml" | head -n 1)
seq -f 'the pool has line %012.0f in its data' 1 99999999 | head -c $((blocks * 65536)) >"$d/data"
{
	echo "pool: 0 $((blocks * 128)) thin-pool pool data 128 0"
	thin_ls --no-headers -o DEV "$d/pool" | while read -r id; do echo "t$id: 0 8192 thin pool $id"; done
} >"$d/table"
sed 's/ pool data / work data2 /' "$d/table" >"$d/table2"
cp --sparse=always "$d/data" "$d/data2"
set -- $(thin_ls --no-headers -o DEV "$d/pool")
{
	thin_materialize -q -f "$d/table" "${2:-$1}" "$d/image" && thin_materialize -q -O qcow2 "$d/table" "$1" "$d/qcow2" &&
		thin_materialize -q --since "${2:-$1}" -O rbd-diff "$d/table" "$1" "$d/diff" &&
		PYTHONDONTWRITEBYTECODE=1 python3 "$srcdir/tests/mixtures/world.py" "$work/made" && mv "$work/made/pv0.img" "$d/pv"
} || exit 99
# An active pool without a kernel that has one: a stand-in for thin_lvm, which commands look for in their own folder.
# What is read of the device comes from a file.
if [ -e /dev/mapper/control ]; then
	mkdir "$work/bin"
	cp "$abs_top_builddir/bin/thin_migrate" "$work/bin/" && cp "$d/pool" "$d/held" && {
		echo "pool: 0 $((blocks * 128)) thin-pool $d/held $d/data 128 0"
		echo "web: 0 8192 thin pool ${2:-$1}"
	} >"$work/plain" && thin_message "$work/plain" reserve_metadata_snap || exit 99
	cat >"$work/bin/thin_lvm" <<-EOT
		#!/bin/sh
		echo "# active thin pool vg-pool-tpool, as the kernel has it"
		echo "# volume group vg, seqno 0"
		echo "# active thin device web: $d/image, open 0, read-only, mapped $(thin_ls --no-headers -o DEV,MAPPED_SECTORS "$d/pool" |
			awk -v id="${2:-$1}" '$1 == id { print $2 }')"
		cat "$work/plain"
		exec >&-
		cat >/dev/null
	EOT
	chmod +x "$work/bin/thin_lvm"
fi
# Only the plugin's own calls fail.  Where nbdkit is killed, it leaves the folder of its socket behind.
plugin=$abs_top_builddir/nbdkit/nbdkit-thin-plugin.so
if [ -f "$plugin" ] && command -v nbdkit && command -v nbdcopy && command -v qemu-io && [ -z "$sanitizer" ]; then
	export PLUGIN="$plugin"
fi >/dev/null
mkdir "$work/tmp"
export TMPDIR="$work/tmp"
echo "# seed ${SEED:-1}"
# a status that no command has
export ASAN_OPTIONS=exitcode=86 LSAN_OPTIONS=exitcode=86 UBSAN_OPTIONS=exitcode=86
classes=
[ -z "$sanitizer" ] || [ -n "${LONG:-}" ] || classes='--classes memory'
# shellcheck disable=SC2086 # words
PYTHONDONTWRITEBYTECODE=1 python3 "$srcdir/tests/faults/sweep.py" "$preload" "$d" --blocks "$blocks" $classes ${LONG:+--all} ${FAULTS:-}
