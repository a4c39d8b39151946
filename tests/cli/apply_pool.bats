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
	refused 1 "device 3 does not exist" thin_apply -i b.raw tab c
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

@test "a device on which others stand as their external origin, through what lines ever, is not written, and they are named" {
	local as
	# nobody stands on b yet
	echo 'mapped: 0 1400 linear b 0' >>tab
	thin_apply -q -i image tab mapped
	# of another pool of the file, and more than are named
	truncate -s 512K meta2
	truncate -s 2M data2
	echo 'pool2: 0 4096 thin-pool meta2 data2 128 0' >>tab
	sed -i 's/thin pool /thin pool1 /; s/^pool:/pool1:/' tab
	printf 'x%d: 0 1400 thin pool2 %d b\n' 1 1 2 2 3 3 4 4 5 5 6 6 7 7 >>tab
	for as in b mapped; do
		refused 1 "'b' is the external origin of 'x1', 'x2', 'x3', 'x4', 'x5' and 2 more: a write" thin_apply -i image tab $as
	done
	thin_apply -q -i image tab a
	# of the same pool, through other devices
	cat >>tab <<-'TABLE'
		half: 0 640 linear a 0
		half: 640 640 zero
		again: 0 1280 thin pool1 1 base
		c: 0 1280 thin pool1 3 half
		d: 0 1280 thin pool1 4 c
		0 1280 thin pool1 5 d
	TABLE
	for as in a again; do
		refused 1 "is the external origin of 'c', 'd', device 5: a write would change their bytes" thin_apply -i image tab $as
		refused 1 "a write would change their bytes" thin_apply -n -i image tab $as
	done
	refused 1 "'c' is the external origin of 'd', device 5: a write" thin_apply -i image tab c
}

# read_only VOLUME DISK...: LVM's newest text has VOLUME without "WRITE"
read_only() {
	python3 - "$@" <<-'PY'
	import struct, sys, zlib
	crc = lambda b: zlib.crc32(b, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
	for name in sys.argv[2:]:
	    disk = bytearray(open(name, "rb").read(2 << 20))
	    area = disk.index(b"\x20LVM2\x20x[5A%r0N*>") - 4
	    begin, size = struct.unpack_from("<QQ", disk, area + 40)
	    begin += area
	    text = bytearray(disk[begin : begin + size])
	    at = text.index(b"\n" + sys.argv[1].encode() + b" {")
	    at = text.index(b'"WRITE",', at)
	    text[at : at + 8] = b" " * 8
	    disk[begin : begin + size] = text
	    struct.pack_into("<I", disk, area + 56, crc(text))
	    struct.pack_into("<I", disk, area, crc(disk[area + 4 : area + 512]))
	    with open(name, "r+b") as f:
	        f.write(disk)
	PY
}

@test "a volume that LVM has read-only, or as an external origin, is not written; the others of its pool are" {
	need zstd python3
	zstd -qdc --long=27 "$abs_top_srcdir/tests/fixtures-lvm/lvm-extorigin.tar.zst" | tar -xSf -
	ln -sf lvm-extorigin/pv0.img meta # what refused() looks at
	ln -sf lvm-extorigin/pv1.img data
	refused 1 "'tb' is the external origin of 'xtb', 'xtb-snap': a write" thin_apply -O raw -i image lvm-extorigin tb
	refused 1 "'xlin.b' is the external origin of 'chain': a write" thin_apply -O raw -i image lvm-extorigin vg/xlin.b
	thin_apply -q -O raw -i image lvm-extorigin chain
	thin_materialize -q lvm-extorigin chain - | cmp -n 300000 - image
	read_only chain lvm-extorigin/pv?.img
	refused 1 "'chain' is read-only in LVM, so it can only be read: 'lvchange -prw vg/chain' makes it writable" thin_apply -O raw -i image lvm-extorigin chain
	thin_apply -q -O raw -i image lvm-extorigin xtb
}

@test "bare metadata without --origin: that the device may have an external origin is said, because a block's rest would become zeros" {
	thin_message tab 'create_thin 7'
	run -0 thin_apply -i image --data-dev data meta 7
	[[ "$output" == *"note: meta is no table, so device 7 is taken for one without an external origin"*"--origin DEV names it" ]]
	[ -z "$(thin_apply -q -i image --data-dev data meta 7 2>&1)" ]
	[ -z "$(thin_apply -i base --origin base --data-dev data meta 7 2>&1)" ]
	echo 'x: 0 1280 thin pool 7 base' >>tab
	[[ "$(thin_apply -i image tab x 2>&1)" != *"is no table"* ]]
}

@test "a full rbd export makes its target the image: what it does not name is zeros; an increment leaves it" {
	local head='rbd diff v1\n' rest='s\0\0\010\0\0\0\0\0w\0\0\004\0\0\0\0\0\3\0\0\0\0\0\0\0abce' # 512 KiB, 3 bytes in the midst
	printf '%b' "$head$rest" >full
	printf '%b' "${head}f\1\0\0\0x$rest" >increment
	{ head -c 256K /dev/zero; printf abc; head -c $((262144 - 3)) /dev/zero; } >want
	head -c 600K /dev/zero | tr '\0' o >old
	cp old file
	thin_apply -i full file
	cmp want file
	cp old file
	thin_apply file <full
	cmp want file
	cp old file
	cat full | thin_apply file
	cmp want file
	thin_materialize tab a before
	thin_apply -i full tab a # its blocks, and where only its origin is seen
	thin_materialize -f tab a image
	cmp -n 512K want image
	cmp <(tail -c +524289 before) <(tail -c +524289 image)
	thin_check -q meta
	cp old file
	thin_apply -i increment file
	cmp file <(head -c 256K old; printf abc; head -c $((262144 - 3)) old)
}

@test "zeros over the holes of a large origin are neither read nor written, and bytes that show through become zeros" {
	local to
	rm base image
	truncate -s 1T base image
	printf base | dd of=base bs=1 seek=$((600 << 30)) conv=notrunc status=none
	printf image | dd of=image bs=1 seek=$((500 << 30)) conv=notrunc status=none
	sed -i 's/^a: 0 1280 thin pool 1/a: 0 2147483648 thin pool 3/' tab
	thin_message tab 'create_thin 3'
	timeout 60 thin_apply -q -i image tab a
	[ "$(thin_ls --no-headers -o DEV,MAPPED_BLOCKS tab | awk '$1 == 3 { print $2 }')" = 2 ]
	thin_materialize tab a out
	for to in 500 600; do
		cmp -i $((to << 30)) -n 65536 image out
	done
}
