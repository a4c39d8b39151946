#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors

bats_require_minimum_version 1.5.0
load needs
load loop

setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	truncate -s 2M "$DIR/meta"
	thin_restore -i "$abs_top_srcdir/xml/good/many.xml" -o "$DIR/meta"
	# junk in a block that nothing uses must come back too
	printf 'somebody was here' | dd of="$DIR/meta" bs=4096 seek=500 conv=notrunc status=none
	thin_metadata_pack -i "$DIR/meta" -o "$DIR/pack"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	cp "$DIR/meta" "$DIR/pack" .
}

@test "pack: a pool comes back bit for bit, from a smaller file" {
	thin_metadata_unpack -i pack -o new
	cmp meta new
	[ "$(stat -c %s pack)" -lt 30000 ]
}

@test "pack: nothing is printed on success" {
	run thin_metadata_pack -i meta -o p
	[ "$status" -eq 0 ] && [ -z "$output" ]
	run thin_metadata_unpack -i p -o m
	[ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "pack: fewer than 128 blocks are packed too" {
	truncate -s 64K small
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o small
	thin_metadata_pack -i small -o p
	thin_metadata_unpack -i p -o back
	cmp small back
}

@test "pack: the file is the same each time" {
	for i in 1 2 3; do
		thin_metadata_pack -i meta -o p$i
		cmp pack p$i
	done
	taskset -c 0 thin_metadata_pack -i meta -o p4 2>/dev/null || skip "no taskset"
	cmp pack p4
}

@test "pack: holes are not read, and are packed as zeros are" {
	local at

	truncate -s 400M meta
	for at in 511 512 20000 99999; do
		printf 'block %d' "$at" | dd of=meta bs=4096 seek="$at" conv=notrunc status=none
	done
	thin_metadata_pack -i meta -o p
	thin_metadata_unpack -i p -o back
	cmp meta back
	cp --sparse=never meta whole
	thin_metadata_pack -i whole -o p2
	cmp p p2
	[ "$(stat -c %b meta)" -lt "$(($(stat -c %b whole) / 100))" ] || skip "the filesystem has no holes"
	need_strace
	strace -f -qq -e trace=pread64 -o calls thin_metadata_pack -i meta -o p3
	cmp p p3
	[ "$(grep -c pread64 calls)" -lt 100 ]
}

@test "pack: damaged metadata is packed as it is" {
	dd if=/dev/urandom of=meta bs=4096 count=3 conv=notrunc status=none
	thin_metadata_pack -i meta -o p
	thin_metadata_unpack -f -i p -o back
	cmp meta back
}

@test "pack: metadata that are shorter than their superblock says are packed, and told" {
	truncate -s 1M meta
	run --separate-stderr thin_metadata_pack -i meta -o p
	[ "$status" -eq 0 ]
	[[ "$stderr" == "thin_metadata_pack: meta: has 256 metadata blocks, but its superblock says 512: "* ]]
	thin_metadata_unpack -i p -o back
	cmp meta back
	run --separate-stderr thin_metadata_pack -i - -o p2 <meta
	[ "$status" -eq 0 ]
	[[ "$stderr" == "thin_metadata_pack: standard input: has 256 metadata blocks"* ]]
	cmp p p2
	truncate -s 3M meta
	run thin_metadata_pack -i meta -o p
	[ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "pack: to a pipe and to standard output" {
	thin_metadata_pack -i meta -o - >p
	cmp pack p
	mkfifo ff
	cat ff >q &
	thin_metadata_pack -i meta -o ff
	wait
	cmp pack q
}

@test "pack: an output that holds metadata is asked about" {
	thin_metadata_pack -i meta -o other
	cp meta out
	run --separate-stderr thin_metadata_pack -i "$DIR/meta" -o out <<<n
	[ "$status" -eq 1 ]
	[[ "$stderr" == "The destination appears to already contain metadata, are you sure? [y/n]: "* ]]
	[[ "$stderr" == *"Output file not overwritten"* ]]
	cmp meta out
	for answer in '' Y yes ' y'; do
		run thin_metadata_pack -i "$DIR/meta" -o out <<<"$answer"
		[ "$status" -eq 1 ]
	done
	run thin_metadata_pack -i "$DIR/meta" -o out </dev/null
	[ "$status" -eq 1 ]
	cmp meta out
	thin_metadata_pack -i "$DIR/meta" -o out <<<y
	cmp pack out
	cp meta out
	thin_metadata_pack -f -i "$DIR/meta" -o out </dev/null
	cmp pack out
}

@test "unpack: an output that holds metadata is asked about" {
	run --separate-stderr thin_metadata_unpack -i pack -o meta <<<n
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"already contain metadata, are you sure? [y/n]: "*"Output file not overwritten: 'meta' holds the metadata"*"answer y, or give --force"* ]]
	cmp "$DIR/meta" meta
	head -c 1000000 meta >short
	thin_metadata_unpack -i pack -o short <<<y
	cmp "$DIR/meta" short
	thin_metadata_unpack -f -i pack -o meta </dev/null
	cmp "$DIR/meta" meta
}

@test "unpack: the output is sparse and loses what it held before" {
	head -c 5000000 /dev/urandom >out
	thin_metadata_unpack -i pack -o out
	cmp meta out
	[ "$(stat -c %b out)" -lt "$(($(stat -c %s out) / 512 / 4))" ] || skip "the filesystem has no holes"
}

@test "unpack: blocks here and there take no more space in the new file than they did in the old one" {
	local i

	truncate -s 40M meta
	for i in $(seq 3000 37 7000) 9900; do
		printf 'block %d' "$i" | dd of=meta bs=4096 seek="$i" conv=notrunc status=none
	done
	cp --sparse=always meta sparse
	thin_metadata_pack -f -i meta -o pack
	thin_metadata_unpack -i pack -o new
	cmp meta new
	echo "$(stat -c %b sparse) and $(stat -c %b new)" >&2
	[ "$(stat -c %b new)" -le $(($(stat -c %b sparse) + 64)) ]
}

@test "unpack: a cut-off file is refused and leaves no new file" {
	head -c 2000 pack >cut
	run --separate-stderr thin_metadata_unpack -i cut -o new
	[ "$status" -eq 1 ]
	[[ "$stderr" == "thin_metadata_unpack: cut: the stream at byte 32 is damaged: the file has been cut off" ]]
	[ ! -e new ]
}

@test "unpack: a cut-off file or one without content destroys nothing, in a file and on a device" {
	try_loop meta && dev=$LOOP || dev=
	size=$(stat -c %s pack)
	for n in 32 36 40 2000 $((size / 2)) $((size - 1)); do
		head -c "$n" pack >cut
		run --separate-stderr thin_metadata_unpack -f -i cut -o meta
		[ "$status" -eq 1 ] && [ -n "$stderr" ] && cmp "$DIR/meta" meta || { echo "$n: $status"; return 1; }
		run thin_metadata_unpack -i cut -o new
		[ "$status" -eq 1 ] && [ ! -e new ]
		[ -n "$dev" ] || continue
		run thin_metadata_unpack -f -i cut -o "$dev"
		[ "$status" -eq 1 ] && cmp "$DIR/meta" "$dev"
	done
}

teardown() {
	loops_end
}

@test "unpack: a pack that ends behind a whole stream is found to lack blocks" {
	"$abs_top_builddir/bench/mkpool" frag 0.1 big
	thin_metadata_pack -i big -o p
	first=$(od -An -t u8 -j 32 -N 8 p)
	head -c $((40 + first)) p >cut
	cp meta old
	run --separate-stderr thin_metadata_unpack -i cut -o old <<<y
	[ "$status" -eq 1 ] && [[ "$stderr" == *"in use: it has been cut off"*"nothing was written (--force"* ]]
	cmp meta old
	run --separate-stderr thin_metadata_unpack -f -i cut -o old
	[ "$status" -eq 0 ] && [[ "$stderr" == *"in use: it has been cut off"* ]]
}

@test "unpack: a wiped superblock is packed as it is, and unpacked only with --force" {
	dd if=/dev/zero of=meta bs=4096 count=1 conv=notrunc status=none
	thin_metadata_pack -i meta -o p
	run --separate-stderr thin_metadata_unpack -i p -o new
	[ "$status" -eq 1 ] && [[ "$stderr" == *"all zeros: the kernel would format"* ]] && [ ! -e new ]
	thin_metadata_unpack -f -i p -o new
	cmp meta new
}

@test "unpack: killed at any moment, a file is the old pool or the new one" {
	need_strace
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o meta
	cp meta old
	for call in pwrite64 ftruncate fsync fdatasync linkat rename fchmod; do
		for n in 1 2 3; do
			cp old meta
			strace -f -o calls -e inject=$call:signal=KILL:when=$n \
				thin_metadata_unpack -f -i pack -o meta || true
			cmp -s old meta || cmp "$DIR/meta" meta || { echo "$call $n"; return 1; }
		done
	done
}

@test "unpack: what is no packed file is refused" {
	run --separate-stderr thin_metadata_unpack -i meta -o new
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"Not a pack file"* ]]
	: >nothing
	run --separate-stderr thin_metadata_unpack -i nothing -o new
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"Not a pack file"* ]]
	[ ! -e new ]
}

@test "pack: input and output must differ, and both be given" {
	ln -s meta link
	run thin_metadata_pack -i meta -o link
	[ "$status" -eq 64 ]
	run thin_metadata_unpack -i pack -o ./pack
	[ "$status" -eq 64 ]
	run thin_metadata_pack -o x
	[ "$status" -eq 64 ]
	run thin_metadata_pack -i meta
	[ "$status" -eq 64 ]
	cmp "$DIR/meta" meta
}

@test "pack: XML and tiny files are refused" {
	run --separate-stderr thin_metadata_pack -i "$abs_top_srcdir/xml/good/many.xml" -o p
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"This looks like XML.  This tool only supports the binary metadata format."* ]]
	head -c 4095 meta >short
	run --separate-stderr thin_metadata_pack -i short -o p
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"Metadata device/file too small.  Is this binary metadata?"* ]]
	[ ! -e p ]
}

@test "pack: a full disk exits 74 and leaves nothing behind" {
	[ -c /dev/full ] || skip "no /dev/full"
	run --separate-stderr thin_metadata_pack -i meta -o /dev/full
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"No space left on device"* ]]
	run --separate-stderr bash -c 'ulimit -f 1; exec thin_metadata_pack -i meta -o limited'
	[ "$status" -eq 74 ]
	[ -z "$(ls limited* 2>/dev/null)" ]
}

@test "pack: the new file has the permissions of the old, or of any new file" {
	umask 027
	thin_metadata_pack -i meta -o p
	[ "$(stat -c %a p)" = 640 ]
	chmod 604 p
	thin_metadata_pack -i meta -o p
	[ "$(stat -c %a p)" = 604 ]
}

@test "unpack: a block device is asked about, must be large enough, and gets zeros" {
	yes | head -c 3M >disk
	loop disk
	thin_metadata_unpack -i pack -o "$LOOP"
	cmp -n 2097152 meta "$LOOP"
	[ "$(tail -c 2 disk | head -c 1)" = y ]
	run --separate-stderr thin_metadata_unpack -i pack -o "$LOOP" <<<n
	[ "$status" -eq 1 ]
	truncate -s 1M little
	loop little
	run --separate-stderr thin_metadata_unpack -i pack -o "$LOOP"
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"too small: needs 2097152 bytes, has 1048576"* ]]
}

# failing_unpack N: unpacks onto $LOOP, and write N fails (N+: each from N on)
failing_unpack() {
	run --separate-stderr strace -f -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:error=EIO:when="$1" \
		thin_metadata_unpack -f -i pack -o "$LOOP"
}

@test "unpack: a device that fails half-way is refused by all and named, one that failed at once is as it was" {
	need_plain "strace"
	need_strace
	truncate -s 2M disk
	loop disk
	thin_metadata_unpack -i pack -o "$LOOP"
	failing_unpack 1
	[ "$status" -eq 74 ] && [[ "$stderr" != *"holds no pool now"* ]] || { echo "$stderr"; return 1; }
	cmp meta "$LOOP"
	failing_unpack 2+
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"'$LOOP' holds no pool now: the kernel and all tools refuse it"* ]] || { echo "$stderr"; return 1; }
	run thin_check "$LOOP"
	[ "$status" -eq 1 ]
	# Ctrl-C once block 0 is invalid
	run timeout -s INT -k 30 3 strace -f -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:delay_exit=9000000:when=2+ \
		thin_metadata_unpack -f -i pack -o "$LOOP"
	[[ "$output" == *"'$LOOP' is marked as not complete: the kernel and all tools refuse it"* ]] || { echo "$output"; return 1; }
}

@test "unpack: a packed file that lacks a few of the blocks that its superblock counts is unpacked with a message" {
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/snap-tree.tar.zst" snap-tree/meta.img
	thin_dump snap-tree/meta.img | thin_restore -q -i - -o made.img # without remains of unused blocks
	thin_metadata_pack -i made.img -o whole.pack
	run --separate-stderr thin_metadata_unpack -i whole.pack -o whole.img
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	# blocks of zeros are not packed
	dd if=/dev/zero of=made.img bs=4096 seek=30 count=2 conv=notrunc status=none
	thin_metadata_pack -i made.img -o less.pack
	run --separate-stderr thin_metadata_unpack -i less.pack -o less.img
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"the packed file holds "*" blocks, but its superblock counts "*" in use: blocks may have been lost"* ]]
}
