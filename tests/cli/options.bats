#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Options that meet: what would have no effect, or would spoil the output, is refused.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	cp "$abs_top_srcdir/xml/good/tiny.xml" tiny.xml
	thin_restore -q -i tiny.xml -o meta --size 1M
	truncate -s 64M data
	printf '%s\n' 'pool: 0 131072 thin-pool meta data 128 0' 'one: 0 2048 thin pool 1' >table
}

# refused WORDS COMMAND...: with 64, these words on standard error, and nothing on standard output
refused() {
	local words=$1
	shift
	run --separate-stderr "$@"
	[ "$status" -eq 64 ] && [ -z "$output" ] && [[ "$stderr" == *"$words"* ]] || { echo "$*: $status $stderr"; return 1; }
}

@test "thin_ls: fields beside tree are refused, which has columns of its own" {
	refused "own order and columns: leave out the fields" thin_ls -o tree,DEV table
	refused "own order and columns: leave out the fields" thin_ls -o MAPPED -o tree table
	thin_ls -o tree table
}

@test "options about POOL are refused where the argument is no POOL" {
	truncate -s 1M image
	for o in --pool=p --pv=p --seqno=1; do
		refused "${o%=*} needs --binary" thin_shrink -n $o -i tiny.xml --nr-blocks 50
		refused "${o%=*} needs POOL and DEVICE" thin_apply -n -O raw -i image $o image2
	done
}

@test "thin_materialize --map: options about an image are refused" {
	for o in --verify --target-is-zero --reflink=always --sparse=always --sparse=never; do
		refused "cannot be used with --map, which writes no image" thin_materialize --map $o table one
	done
	thin_materialize --map --force table one
}

@test "thin_repair --list-roots: options about a repair are refused" {
	for o in --explain --size=1M; do
		refused "--list-roots cannot be used with ${o%=*}" thin_repair --list-roots $o -i meta
	done
}

@test "JSON on standard output has no progress lines before it" {
	refused "--progress-fd 1 is standard output" thin_check --format json --progress-fd 1 meta
	refused "--progress-fd 1 is standard output" thin_repair --format json --progress-fd 1 --dry-run -i meta
	refused "--progress-fd 1 is standard output" thin_repair --format json --progress-fd 1 -i meta -o meta2
}

@test "progress lines are refused in the output by whatever name it has" {
	refused "--progress-fd 1 is /dev/stdout, to which the output is written" thin_dump --progress-fd 1 -o /dev/stdout meta
	run -0 bash -c 'thin_dump --progress-fd 3 meta 3>&1 >xml | cat; exit "${PIPESTATUS[0]}"' 3>&-
	run -64 bash -c 'thin_dump --progress-fd 3 meta 3>&1 | cat; exit "${PIPESTATUS[0]}"' 3>&-
	run -64 bash -c 'thin_metadata_pack --progress-fd 3 -i meta -o - 3>&1 | cat; exit "${PIPESTATUS[0]}"' 3>&-
	: >pack
	run -64 bash -c 'thin_metadata_pack --progress-fd 3 -f -i meta -o pack 3>>pack' 3>&-
	run -0 bash -c 'thin_metadata_pack --progress-fd 3 -f -i meta -o pack 3>lines' 3>&-
	[[ "$(tail -n 1 lines)" =~ ^[0-9]+\ [0-9]+$ ]]
}

@test "-q: thin_check prints no JSON either" {
	run -0 thin_check -q --format json meta
	[ -z "$output" ]
	thin_check --format json meta | grep -q '"fatal": 0'
}

@test "pack: no answer is read out of the metadata that comes by standard input" {
	cp meta old
	{ echo y; cat table; } >text
	run --separate-stderr thin_metadata_pack -i - -o old <text
	[ "$status" -eq 1 ] && [[ "$stderr" != *"[y/n]"* && "$stderr" == *"--force overwrites it"* ]]
	cmp meta old
	thin_metadata_pack -f -i - -o old <meta
	thin_metadata_pack -i meta -o pack
	cmp pack old
}

@test "thin_apply: that an image is shorter than the device is told, from a pipe too" {
	head -c 512K /dev/urandom >image
	thin_materialize table one before
	run -0 thin_apply -O raw -i image table one
	[ "$output" = "thin_apply: note: one has 1048576 bytes, the image 524288: the bytes behind the image are unchanged" ]
	thin_materialize table one - | cmp - <(cat image && tail -c 512K before)
	run -0 thin_apply -O raw table one </dev/null
	[[ "$output" == *"the image 0: "* ]]
	run -0 thin_apply -q -O raw -i image table one
	[ -z "$output" ]
	# whole sectors are no difference
	head -c 1048065 /dev/urandom >image
	run -0 thin_apply -O raw -i image table one
	[ -z "$output" ]
}

@test "repair: a number of data blocks below the superblock's has no effect, and a note says so" {
	for command in 'thin_repair --dry-run -i' 'thin_dump --repair'; do
		run -0 --separate-stderr $command meta
		[[ "$stderr" != *"has no effect"* ]]
		# shellcheck disable=SC2086
		run -0 --separate-stderr $command meta --nr-data-blocks 3
		[[ "$stderr" == *"--nr-data-blocks 3 has no effect: the superblock says 100, and a repair makes no pool smaller"* ]]
		run -0 --separate-stderr $command meta --nr-data-blocks 200
		[[ "$stderr" != *"has no effect"* ]]
	done
	[[ "$(thin_dump -q --repair --nr-data-blocks 200 meta)" == *'nr_data_blocks="200"'* ]]
}

@test "standard input as POOL and as another input is refused, for it can be read once" {
	refused "POOL and the input cannot both be standard input" thin_apply -O raw - one <table
	refused "POOL and --since-metadata cannot both be standard input" thin_materialize --map --since-metadata - - one <table
	refused "POOL and --vg-backup cannot both be standard input" thin_repair --dry-run --vg-backup - -i - <meta
	echo x >backup
	run --separate-stderr thin_repair --dry-run --vg-backup backup -i - <meta
	[[ "$stderr" == *"'backup' is not a backup of a volume group"* ]]
}

@test "thin_check: a fix of the metadata snapshot is refused with words that fit each option that reads it" {
	refused "leave out that option" thin_check --auto-repair --take-metadata-snap meta
	refused "leave out that option" thin_check --auto-repair -m meta
}
