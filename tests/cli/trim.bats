#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_trim: only what is known to be free is given back.

bats_require_minimum_version 1.5.0
load loop
load needs

teardown() {
	loops_end
}

XML=$abs_top_srcdir/xml

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 256K meta
	thin_restore -i "$XML/good/tiny.xml" -o meta # maps 10, 11, 12, 20, 30 of 100
	yes 'every sector has something' | head -c $((101 * 65536)) >data
	cp data before
}

# What must be left of file $1: the mapped blocks, and what lies behind the pool.
trimmed() {
	for b in $(seq 0 100); do
		case $b in
		10 | 11 | 12 | 20 | 30 | 100) cmp -n 65536 -i $((b * 65536)) "$1" before ;;
		*) cmp -n 65536 -i $((b * 65536)):0 "$1" /dev/zero ;;
		esac || { echo "block $b"; return 1; }
	done
}

@test "thin_trim: one run is not called runs" {
	thin_message meta 'delete 1' 'delete 2' 'delete 3'
	run --separate-stderr thin_trim -n --metadata-dev meta --data-dev data
	[[ "$stderr" == *" in 1 run would be discarded" ]]
}

@test "thin_trim: punches holes into a file, and only where nothing is mapped" {
	run --separate-stderr thin_trim --metadata-dev meta --data-dev data
	[ "$status" -eq 0 ]
	[[ "$stderr" == "thin_trim: 95 of 100 data blocks are free: 5.9 MiB in 4 runs" ]]
	trimmed data
	[ "$(du -k data | cut -f1)" -lt 500 ]
	[ "$(stat -c %s data)" -eq $((101 * 65536)) ]
}

@test "thin_trim: a second time finds and does the same" {
	thin_trim -q --metadata-dev meta --data-dev data
	cp data once
	thin_trim --quiet --metadata-dev meta --data-dev data
	cmp data once
}

@test "thin_trim: --dry-run says how much and writes nothing" {
	for n in -n --dry-run; do
		run --separate-stderr thin_trim $n --metadata-dev meta --data-dev data
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"5.9 MiB in 4 runs would be discarded" ]]
	done
	cmp data before
}

@test "thin_trim: --dry-run says how much, also where a run could not write, and says that it could not" {
	local said

	echo "0 12800 thin-pool meta data 128 0 1 read_only" >table
	run --separate-stderr thin_trim -n --metadata-dev table
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"without --dry-run nothing would be discarded: the table makes the pool read_only"*"5.9 MiB in 4 runs would"* ]]
	exec 7<data
	flock -s 7
	run --separate-stderr thin_trim --metadata-dev meta --data-dev data
	[ "$status" -eq 74 ]
	said=${stderr#thin_trim: }
	run --separate-stderr thin_trim -n --metadata-dev meta --data-dev data
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"without --dry-run nothing could be discarded: $said"*"5.9 MiB in 4 runs would be discarded" ]]
	exec 7<&-
	cmp data before
}

@test "thin_trim: a table file names both devices" {
	echo "0 12800 thin-pool meta data 128 0" >table
	thin_trim -q --metadata-dev table
	trimmed data
}

@test "thin_trim: damaged metadata discard nothing" {
	dd if=/dev/urandom of=meta bs=1 seek=4136 count=8 conv=notrunc status=none
	run --separate-stderr thin_trim --metadata-dev meta --data-dev data
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 1"*"bad checksum"* ]]
	[[ "$stderr" == *"metadata contains errors (run thin_check for details: 'thin_check "*"')"* ]]
	[[ "$stderr" == *"thin_repair"* ]]
	cmp data before
}

@test "thin_trim: leaked blocks discard nothing" {
	ASAN_OPTIONS=detect_leaks=0 "$abs_top_builddir/tests/damage/damage" meta leak >/dev/null
	run --separate-stderr thin_trim --metadata-dev meta --data-dev data
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"leaked blocks"*"thin_check --auto-repair"* ]]
	cmp data before
	thin_check -q --auto-repair meta
	thin_trim -q --metadata-dev meta --data-dev data
	trimmed data
}

@test "thin_trim: a data device shorter than the pool is refused" {
	truncate -s $((99 * 65536)) data
	cp data before
	run --separate-stderr thin_trim --metadata-dev meta --data-dev data
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"unexpected data device size, wanted 6553600 bytes"* ]]
	cmp data before
}

@test "thin_trim: metadata and data must be two, and be told" {
	cp meta same
	run --separate-stderr thin_trim --metadata-dev meta --data-dev meta
	[ "$status" -eq 64 ]
	cmp meta same
	run thin_trim --data-dev data
	[ "$status" -eq 64 ]
	run thin_trim --metadata-dev meta
	[ "$status" -eq 64 ]
	run thin_trim --metadata-dev meta --data-dev missing
	[ "$status" -eq 74 ]
	cmp data before
}

@test "thin_trim: blocks of a held metadata snapshot are kept" {
	echo "0 12800 thin-pool meta data 128 0" >table
	thin_message table reserve_metadata_snap 'delete 1' 'delete 2' || skip "thin_message cannot"
	thin_trim -q --metadata-dev meta --data-dev data
	trimmed data
	thin_message table release_metadata_snap
	thin_trim -q --metadata-dev meta --data-dev data
	cmp -n 65536 -i $((11 * 65536)):0 data /dev/zero
	cmp -n 65536 -i $((10 * 65536)) data before
}

@test "thin_trim: free blocks of a block device are discarded" {
	cp data disk
	loop disk
	run --separate-stderr thin_trim --metadata-dev meta --data-dev "$LOOP"
	loops_end
	[[ "$stderr" != *"does not take discards"* ]] || skip "the loop device takes no discards"
	[ "$status" -eq 0 ] || { echo "$stderr"; return 1; }
	trimmed disk
	[ "$(du -k disk | cut -f1)" -lt 500 ]
}

@test "thin_trim: a mounted data device is busy" {
	truncate -s 8M disk
	need mkfs.ext4
	mkfs.ext4 -q disk
	loop disk
	mount_loop
	run --separate-stderr thin_trim --metadata-dev meta --data-dev "$LOOP"
	[ "$status" -eq 74 ]
	[[ "$stderr" == *busy* ]]
}

@test "thin_trim: --pool-inactive of other versions is accepted, and a note says that it is not needed" {
	run --separate-stderr thin_trim --pool-inactive --metadata-dev meta --data-dev data
	[ "$status" -eq 0 ]
	[[ "$stderr" == "thin_trim: note: --pool-inactive is not needed"*"95 of 100 data blocks are free"* ]]
	trimmed data
}
