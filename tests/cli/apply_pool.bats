#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_apply and the pool that it writes to: what it leaves alone.

bats_require_minimum_version 1.5.0
load needs
load loop.bash

teardown() {
	loops_end
}

# Devices a and b, which is a changed snapshot of a, over the origin base
setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 512K meta
	truncate -s 2M data
	head -c 700000 /dev/urandom >base
	printf '%s\n' 'pool: 0 4096 thin-pool meta data 128 0' 'a: 0 1280 thin pool 1 base' 'b: 0 1400 thin pool 2 base' >tab
	thin_message tab 'create_thin 1'
	head -c 300000 /dev/urandom >image
	thin_apply -q -i image tab a
	thin_message tab 'create_snap 2 1'
	head -c 100000 /dev/urandom | thin_apply -q -O raw tab b
}

# refused CODE TEXT COMMAND...: it ends with CODE, says TEXT, and changes neither metadata nor data
refused() {
	local code=$1 text=$2
	shift 2
	cp meta meta.was
	cp data data.was
	run --separate-stderr "$@"
	[ "$status" -eq "$code" ] && [[ "$stderr" == *"$text"* ]] || { echo "$*: $status $stderr"; return 1; }
	cmp meta meta.was && cmp data data.was
}

@test "a pool whose first block is zero is not formatted by thin_apply, which names thin_repair" {
	local force
	dd if=/dev/zero of=meta bs=4096 count=1 conv=notrunc status=none
	for force in '' -n -f; do
		refused 1 "the first block is all zero: the pool was never formatted, or its superblock was wiped: 'thin_repair --dry-run -i tab'" \
			thin_apply $force -i image tab a
		refused 1 "thin_repair --dry-run -i meta" thin_apply $force -i image --data-dev data meta 1
	done
	# both devices are still there for thin_repair
	[ "$(thin_repair -q --accept-loss --data-block-size 128 --nr-data-blocks 32 -i meta -o back --size 512K; thin_ls --no-headers -o DEV back | tr -d ' \n')" = 12 ]
}

@test "a pool that would grow stays as it is when thin_apply refuses, and grows with the first write" {
	thin_materialize -q tab a a.raw
	thin_materialize -q tab b b.raw
	truncate -s 3M data
	sed -i 's/^pool: 0 4096/pool: 0 6144/' tab
	echo 'c: 0 1400 thin pool 3 base' >>tab
	refused 1 "it is not the base, nothing was written" thin_apply -i b.raw tab b --base-sha256 "$(sha256sum <a.raw | cut -d' ' -f1)"
	refused 74 "device 3 does not exist" thin_apply -i b.raw tab c
	refused 1 "has 655360 bytes" thin_apply -i b.raw tab a
	printf 'rbd diff v1\ns\0\0\0\1\0\0\0\0e' | refused 1 "the image needs" thin_apply tab a
	# a stream that ends before its first record
	printf 'rbd diff v1\n' | refused 1 "0 records were applied" thin_apply tab b
	[ "$(thin_info --format json meta | jq .data.nr_blocks)" = 32 ]
	head -c 50 /dev/urandom | thin_apply -q -O raw tab b
	[ "$(thin_info --format json meta | jq .data.nr_blocks)" = 48 ]
	thin_check -q meta
}

@test "a block device is read as a raw image, by name and as standard input, as a file is" {
	truncate -s 200K image
	loop image
	thin_apply -q -i "$LOOP" tab a
	thin_materialize -q tab a - | cmp -n $((200 << 10)) - image
	head -c 200K /dev/urandom >"$LOOP"
	dd of=/dev/null bs=4K count=1 status=none <"$LOOP"
	thin_apply -q tab a <"$LOOP"
	thin_materialize -q tab a - | cmp -n $((200 << 10)) - "$LOOP"
	truncate -s 0 copy
	thin_apply -q -i "$LOOP" copy
	cmp copy "$LOOP"
}

@test "the external origin may be the input, because it is only read; metadata and data may not" {
	truncate -s 655360 base
	thin_apply -n -i base tab a
	thin_apply -q -i base tab a
	thin_materialize -q tab a - | cmp - base
	refused 64 "given both as input and as target" thin_apply -O raw -i data tab a
	refused 64 "given both as input and as target" thin_apply -O raw -i meta tab a
}
