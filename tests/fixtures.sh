#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The pools that the kernel made (tests/fixtures/README.md), through our commands, against what
# the kernel read from them.
#
#	tests/fixtures.sh [FOLDER [SCENARIO...]]
#
# FOLDER holds NAME.tar.zst files of the same form; default: those of the project.  The commands
# are those in PATH.  Works in a temporary folder, which it removes.
set -u
: "${srcdir:=$(dirname "$0")/..}"
me=$0

hash_of() {
	if [ "${FIXTURE_HASH:-}" = openssl ]; then
		openssl dgst -sha256 -r | cut -d' ' -f1
	else
		sha256sum | cut -d' ' -f1
	fi
}

note() { sed "s/^/# $name: /"; }
# result STATUS SENTENCE: one line without its number
result() { if [ "$1" = 0 ]; then echo "ok - $name: $2"; else echo "not ok - $name: $2"; fi; }
skipped() { echo "ok - $name: $1 # SKIP $2"; }

# All bytes and times of the scenario's files; holes are not read.
state_of() { tar --sparse --hole-detection=seek -cf - -- * | hash_of; }

# Runs of "device virtual data length time" out of XML, joined wherever they go on.
mappings() {
	awk -F'"' '
	function flush() { if (n) print dev, v, d, n, t; n = 0 }
	function run(a, b, c, e) {
		if (n && a == v + n && b == d + n && e == t) { n += c; return }
		flush(); v = a; d = b; n = c; t = e
	}
	/<device / { flush(); dev = $2 }
	/<single_mapping / { run($2, $4, 1, $6) }
	/<range_mapping / { run($2, $4, $6, $8) }
	END { flush() }'
}

# What the dump says of pool and devices, in the words of the oracle.
details() {
	awk '
	function word(key,   i, q) {
		for (i = 2; i <= NF; i++)
			if (index($i, key "=") == 1) { split($i, q, "\""); return q[2] }
		return key == "flags" ? 0 : "-"
	}
	/<superblock / {
		print "super time", word("time"), "transaction", word("transaction"), "flags",
		      word("flags"), "block", word("data_block_size"), "data", word("nr_data_blocks")
	}
	/<device / {
		print "device", word("dev_id"), word("mapped_blocks"), word("transaction"),
		      word("creation_time"), word("snap_time")
	}'
}

# The oracle's verdict is 0.9.0's, which does not count data blocks.  The kernel takes a data block
# in one transaction and maps it in the next, so where it was interrupted one may have leaked.
check_verdict() {
	want=$(awk '$1 == "thin_check" { print $3; exit }' oracle)
	[ -n "$want" ] || return 0
	thin_check meta.img >../$name.out 2>&1
	got=$?
	if [ $want = 0 ] && [ $got = 0 ] && grep -q ': leaked' ../$name.out; then
		cp meta.img ../$name.mended
		thin_check --auto-repair ../$name.mended >../$name.out 2>&1 &&
			! thin_check ../$name.mended 2>&1 | grep -q ': leaked'
		r=$?
		[ $r = 0 ] || note <../$name.out
		result $r "thin_check finds leaks of an interrupted kernel, and mends them"
		return
	fi
	[ "$got" -eq "$want" ]
	r=$?
	[ $r = 0 ] || note <../$name.out
	result $r "thin_check exits $want"
}

# "held" lines are read through the metadata snapshot, by name where the table has the same device.
device_hash() {
	set -- "$1" "$2" "$3" "$4" "$5" # kind name id sectors origin
	line="$2: 0 $4 thin pool $3"
	[ "$5" = - ] || line="$line $5"
	snap=
	[ "$1" = thin ] || snap=-m
	if grep -qxF "$line" tables; then
		thin_materialize $snap tables "$2" - 2>../$name.err | hash_of
	elif [ "$5" = - ]; then
		thin_materialize $snap --no-origin --size "${4}s" tables "$3" - 2>../$name.err | hash_of
	else
		thin_materialize $snap --origin "$5" --size "${4}s" tables "$3" - 2>../$name.err | hash_of
	fi
}

# As a file the image must be the same; the smaller ones are made so too.
file_hash() {
	rm -f ../$name.image
	thin_materialize --verify tables "$1" ../$name.image 2>../$name.err && hash_of <../$name.image
	rm -f ../$name.image
}

check_devices() {
	r=0
	n=0
	while read -r kind dev id sectors origin want; do
		[ "$kind" = "$1" ] || continue
		case $dev in 0.9.0) continue ;; esac
		n=$((n + 1))
		got=$(device_hash "$kind" "$dev" "$id" "$sectors" "$origin")
		if [ "$got" = "$want" ] && [ "$kind" = thin ] && [ $n -le 10 ] && [ "$sectors" -le 131072 ]; then
			got=$(file_hash "$dev")
		fi
		[ "$got" = "$want" ] && continue
		echo "# $name: $kind $dev: sha256 is $got, not $want"
		note <../$name.err
		r=1
	done <oracle
	[ $n = 0 ] || result $r "$2 ($n)"
}

check_details() {
	grep -E '^(super|device) ' oracle | sed 's/ held [0-9]*//' | sort >../$name.want
	[ -s ../$name.want ] || return 0
	# an oracle without device lines speaks of the superblock only
	thin_dump --skip-mappings meta.img | details | sort >../$name.got
	grep -q '^device' ../$name.want || sed -i '/^device/d' ../$name.got
	diff ../$name.want ../$name.got >../$name.out
	r=$?
	[ $r = 0 ] || note <../$name.out
	result $r "thin_dump tells the devices and the superblock as the kernel wrote them"
	held=$(awk '$1 == "super" { print $9 }' oracle)
	if [ "$held" = 0 ]; then
		! thin_dump -m meta.img >../$name.out 2>&1
		result $? "there is no metadata snapshot to dump"
	else
		thin_dump "-m$held" meta.img >../$name.out 2>&1
		result $? "the metadata snapshot in block $held is dumped"
	fi
}

# A dump with the names of its defs counted from 1: they are block numbers, which a restore chooses
# anew.  It also clears needs_check.
without_places() {
	awk -F'"' '
	/<superblock / { sub(/ flags="[0-9]*"/, "") }
	/<(def|ref) / { if (!($2 in n)) n[$2] = ++k; sub(/"[0-9]+"/, "\"" n[$2] "\"") }
	{ print }'
}

# Leaves the restored metadata as ../NAME.new
check_round_trip() {
	truncate -s "$(stat -c %s meta.img)" ../$name.new
	r=0
	thin_dump meta.img >../$name.xml 2>../$name.err &&
		thin_restore -i ../$name.xml -o ../$name.new >/dev/null 2>>../$name.err &&
		thin_dump ../$name.new >../$name.again 2>>../$name.err || r=1
	without_places <../$name.xml >../$name.want
	without_places <../$name.again | cmp - ../$name.want >>../$name.err 2>&1 || r=1
	[ $r = 0 ] || note <../$name.err
	result $r "dump, restore, dump is a fixpoint"
	thin_check -q ../$name.new
	result $? "thin_check accepts what was restored"
	thin_dump --no-shared meta.img | mappings >../$name.map
	r=0
	thin_dump --no-shared ../$name.new | mappings | cmp - ../$name.map || r=1
	# and they are as many as the kernel counted
	awk '/^device/ && $3 { print $2, $3 }' oracle | sort >../$name.want
	awk '{ n[$1] += $4 } END { for (d in n) print d, n[d] }' ../$name.map | sort >../$name.got
	[ ! -s ../$name.want ] || cmp ../$name.want ../$name.got || r=1
	result $r "no mapping was lost or changed on the way"
}

# The generation that distributions ship, where it is installed.
check_other() {
	if [ -z "$FIXTURE_OTHER" ]; then
		skipped "0.9.0 agrees" "thin-provisioning-tools 0.9.0 is not installed"
		return
	fi
	"$FIXTURE_OTHER/thin_check" ../$name.new >../$name.out 2>&1
	r=$?
	[ $r = 0 ] || note <../$name.out
	result $r "0.9.0's thin_check accepts what we restored"
	for f in meta.img ../$name.new; do
		"$FIXTURE_OTHER/thin_dump" $f 2>/dev/null | mappings | diff - ../$name.map >../$name.out
		r=$?
		[ $r = 0 ] || { note <../$name.out | head -5; break; }
	done
	result $r "0.9.0's thin_dump prints the same mappings, of the kernel's metadata and of ours"
	truncate -s "$(stat -c %s meta.img)" ../$name.other
	truncate -s '>4M' ../$name.other # it needs more room than the kernel
	"$FIXTURE_OTHER/thin_dump" meta.img >../$name.xml &&
		"$FIXTURE_OTHER/thin_restore" -i ../$name.xml -o ../$name.other >/dev/null &&
		thin_dump --no-shared ../$name.other | mappings | diff - ../$name.map >../$name.out
	r=$?
	[ $r = 0 ] || note <../$name.out | head -5
	result $r "we read what 0.9.0 restored"
}

oracle() { awk -f "$srcdir/tests/oracle.awk" "$@" ../$name.flat; }
numbers() { sed 's/[^0-9][^0-9]*/ /g; s/^ //; s/ $//'; }

# thin_ls, thin_rmap and thin_delta against the oracle that goes block by block.
check_owners() {
	thin_dump --no-shared meta.img >../$name.flat
	oracle -v mode=ls >../$name.want
	thin_ls --no-headers -o DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,HIGHEST_BLOCK meta.img | numbers |
		cmp - ../$name.want
	result $? "thin_ls counts what the oracle counts"
	nr=$(awk '$1 == "super" { print $NF; exit }' oracle)
	: "${nr:=$(sed -n 's/.*nr_data_blocks="\([0-9]*\)".*/\1/p' ../$name.flat)}"
	r=0
	for regions in "0..$nr" "$((nr / 9))..$((nr / 4)) $((nr / 4 + 3))..$((nr - 1))"; do
		oracle -v mode=rmap -v regions="$regions" | numbers | sort -n -k1,1 -k2,2 -k3,3 -k4,4 >../$name.want
		# shellcheck disable=SC2046 # words
		thin_rmap $(printf -- '--region %s ' $regions) meta.img | numbers | cmp - ../$name.want || r=1
	done
	result $r "thin_rmap tells the owners that the oracle knows"
	r=0
	set -- $(sed -n 's/.* dev_id="\([0-9]*\)".*/\1/p' ../$name.flat)
	[ $# -gt 1 ] || return
	left=$1
	for right in "$2" $(shift $(($# - 2)) && echo "$@"); do
		oracle -v mode=delta -v left="$left" -v right="$right" | sort >../$name.want
		thin_delta --thin1 "$left" --thin2 "$right" meta.img | awk -F'"' '
			/ begin="/ { split($1, w, /[< ]+/); for (i = 0; i < $4; i++) print w[2], $2 + i }' |
			sort | cmp - ../$name.want || r=1
	done
	result $r "thin_delta gives every block the kind that the oracle gives it"
}

check_pack() {
	thin_metadata_pack -i meta.img -o ../$name.pack &&
		thin_metadata_unpack -i ../$name.pack -o ../$name.unpacked &&
		cmp meta.img ../$name.unpacked
	result $? "packed and unpacked it is the same, byte for byte"
}

scenario() {
	name=$2
	mkdir "$name.dir" && cd "$name.dir" || return
	zstd -qdc "$1/$name.tar.zst" | tar -xSf - && cd "$name" || {
		result 1 "can be unpacked"
		return
	}
	before=$(state_of)
	check_verdict
	check_devices thin "each device reads as the kernel read it"
	check_devices held "each device of the metadata snapshot reads as the kernel read it"
	check_details
	check_round_trip
	check_other
	check_owners
	check_pack
	[ "$before" = "$(state_of)" ]
	result $? "no file of the pool was touched"
	cd ../.. && rm -rf "$name.dir"
}

if [ "${1:-}" = --scenario ]; then
	scenario "$2" "$3" >"$3.result" 2>&1
	exit 0
fi

folder=${1:-$srcdir/tests/fixtures}
[ $# = 0 ] || shift
folder=$(cd "$folder" && pwd) || exit 99
for tool in zstd tar awk; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
for tool in thin_check thin_dump thin_restore thin_materialize thin_ls thin_rmap thin_delta \
	thin_metadata_pack thin_metadata_unpack; do
	command -v $tool >/dev/null || { echo "Bail out! $tool is not in PATH"; exit 99; }
done
FIXTURE_HASH=
openssl dgst -sha256 -r </dev/null >/dev/null 2>&1 && FIXTURE_HASH=openssl
FIXTURE_OTHER=
for dir in /usr/sbin /sbin /usr/bin; do
	case $($dir/thin_check -V 2>/dev/null) in 0.9.*) FIXTURE_OTHER=$dir && break ;; esac
done
srcdir=$(cd "$srcdir" && pwd)
export FIXTURE_HASH FIXTURE_OTHER srcdir

case $me in /*) ;; *) me=$PWD/$me ;; esac
# In memory where there is plenty: thousands of small syncs cost minutes on a busy disk.
place=$PWD
[ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')" -gt 4000000 ] 2>/dev/null && place=/dev/shm
work=$(mktemp -d "$place/fixtures.XXXXXX" 2>/dev/null) || work=$(mktemp -d "$PWD/fixtures.XXXXXX" 2>/dev/null) ||
	work=$(mktemp -d) || { echo "Bail out! no folder to work in can be made"; exit 99; }
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd "$work" || exit 99

# the largest first: what begins last is short
scenarios=${*:-$(ls -S "$folder" | sed -n 's/\.tar\.zst$//p' | grep -vx stories)}
[ -n "$scenarios" ] || { echo "Bail out! no pools in $folder"; exit 99; }
echo "$scenarios" | tr ' ' '\n' | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I{} sh "$me" --scenario "$folder" {}

for s in $scenarios; do
	cat "$s.result" 2>/dev/null || echo "not ok - $s: ran"
done | awk '
	/^ok -|^not ok -/ { n++; sub(/ok -/, "ok " n " -") }
	{ if (/^#|^ok|^not ok/) print; else print "# " $0 }
	/^not ok/ { bad = 1 }
	END { print "1.." n; exit bad }'
