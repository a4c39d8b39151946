#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_materialize on real filesystems and block devices: what needs root, skipped without.

bats_require_minimum_version 1.5.0
load loop

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/bs-192k.tar.zst" 2>/dev/null || skip "no zstd or tar"
	mv bs-192k/* .
	WANT=$(awk '$1 == "thin" && $2 == "t3" { print $6 }' oracle)
	SIZE=$((512 * $(awk '$1 == "thin" && $2 == "t3" { print $4 }' oracle)))
}

teardown() {
	loops_end
}

# Mounts a new filesystem of type $1 at ./mnt with the pool in it
new_fs() {
	need_root
	command -v "mkfs.$1" >/dev/null || skip "mkfs.$1 is not installed"
	truncate -s 400M fs.img
	"mkfs.$1" -q fs.img >/dev/null 2>&1 || skip "mkfs.$1 fails"
	mkdir mnt
	mount -o loop fs.img mnt 2>/dev/null || skip "cannot mount $1"
	MOUNTED=$PWD/mnt
	cp --sparse=always data.img base.img meta.img tables mnt
	sync -f mnt
}

hash_of() { sha256sum <"$1" | cut -d' ' -f1; }
used() { df --output=used -k mnt | tail -1; }

check_reflink() {
	new_fs "$1"
	cd mnt
	thin_materialize --reflink=always tables t3 always.img
	[ "$(hash_of always.img)" = "$WANT" ]
	thin_materialize tables t3 auto.img
	[ "$(hash_of auto.img)" = "$WANT" ]
	thin_materialize --reflink=never tables t3 never.img
	[ "$(hash_of never.img)" = "$WANT" ]
	for f in always auto; do
		filefrag -v $f.img >map
		grep -q shared map
	done
	filefrag -v never.img >map
	! grep -q shared map
	# an image that shares its extents does not change when another one is written
	dd if=/dev/zero of=always.img bs=4096 count=300 conv=notrunc status=none
	[ "$(hash_of auto.img)" = "$WANT" ]
	for o in --sparse=always --sparse=never --verify; do
		thin_materialize $o tables t3 other.img
		[ "$(hash_of other.img)" = "$WANT" ]
		rm other.img
	done
	cd ..
}

@test "on XFS the image shares the extents of its sources, --reflink=never does not" {
	check_reflink xfs
}

@test "on btrfs the image shares the extents of its sources, --reflink=never does not" {
	check_reflink btrfs
}

@test "every device of a pool with short and cut origins can be shared, tails are copied" {
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/thin-short.tar.zst"
	mv -f thin-short/* .
	new_fs xfs
	cd mnt
	while read -r kind name id sectors origin want; do
		[ "$kind" = thin ] || continue
		thin_materialize --reflink=always tables "$name" out.img 2>/dev/null
		[ "$(hash_of out.img)" = "$want" ] || { echo "$name"; return 1; }
		rm out.img
	done <../oracle
	cd ..
}

@test "a full filesystem is reported with the offset, and the partial image removed" {
	need_root
	mkdir mnt
	mount -t tmpfs -o size=600k none mnt 2>/dev/null || skip "cannot mount a tmpfs"
	MOUNTED=$PWD/mnt
	run --separate-stderr thin_materialize tables t3 mnt/out.img
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"mnt/out.img"*"offset "*"No space left"* ]]
	[ -z "$(ls -A mnt)" ]
	[ "$(used)" -lt 100 ]
}

@test "a block device gets the image and keeps what lies behind it" {
	head -c 4M /dev/urandom >disk.img
	cp disk.img before.img
	loop disk.img
	thin_materialize tables t3 "$LOOP"
	[ "$(head -c "$SIZE" "$LOOP" | sha256sum | cut -d' ' -f1)" = "$WANT" ]
	cmp <(tail -c +$((SIZE + 1)) "$LOOP") <(tail -c +$((SIZE + 1)) before.img)
	head -c 4M /dev/urandom >"$LOOP"
	thin_materialize --verify --sparse=never tables t3 "$LOOP"
	[ "$(head -c "$SIZE" "$LOOP" | sha256sum | cut -d' ' -f1)" = "$WANT" ]
	head -c 4M /dev/urandom >"$LOOP"
	thin_materialize --verify --sparse=always tables t1 "$LOOP"
}

@test "--target-is-zero writes no zeros to a device" {
	truncate -s 4M disk.img
	loop disk.img
	thin_materialize --target-is-zero tables t1 "$LOOP"
	sync disk.img
	[ "$(head -c "$SIZE" "$LOOP" | sha256sum | cut -d' ' -f1)" = "$(awk '$1 == "thin" && $2 == "t1" { print $6 }' oracle)" ]
	[ "$(du -k disk.img | cut -f1)" -lt 1400 ]
	head -c 4M /dev/urandom >"$LOOP"
	run --separate-stderr thin_materialize --target-is-zero --verify tables t1 "$LOOP"
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"did not read as zeros, although --target-is-zero was given"* ]]
}

@test "a device that is too small is refused before anything is written" {
	head -c 1M /dev/urandom >disk.img
	loop disk.img
	before=$(hash_of disk.img)
	run --separate-stderr thin_materialize -f -f tables t3 "$LOOP"
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"$LOOP: has 1048576 bytes, the image needs $SIZE"* ]]
	[ "$(hash_of disk.img)" = "$before" ]
}

@test "a device with a signature is overwritten only with -f" {
	truncate -s 8M disk.img
	mkfs.ext2 -q disk.img || skip "no mkfs.ext2"
	loop disk.img
	before=$(hash_of disk.img)
	run --separate-stderr thin_materialize tables t3 "$LOOP"
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"$LOOP: holds "*ext2*"-f"* ]]
	[ "$(hash_of disk.img)" = "$before" ]
	thin_materialize -f tables t3 "$LOOP"
	[ "$(head -c "$SIZE" "$LOOP" | sha256sum | cut -d' ' -f1)" = "$WANT" ]
}

@test "a mounted device is refused, also with -f" {
	truncate -s 8M disk.img
	mkfs.ext2 -q disk.img || skip "no mkfs.ext2"
	loop disk.img
	mkdir mnt
	mount "$LOOP" mnt 2>/dev/null || skip "cannot mount ext2"
	MOUNTED=$PWD/mnt
	for f in "" -f; do
		run --separate-stderr thin_materialize $f tables t3 "$LOOP"
		[ "$status" -eq 74 ]
		[[ "$stderr" == *"mounted or in use"* ]]
	done
}

@test "a loop device over a source is a source" {
	loop data.img
	before=$(hash_of data.img)
	run --separate-stderr thin_materialize -f -f tables t3 "$LOOP"
	[ "$status" -eq 64 ]
	[[ "$stderr" == *source* ]]
	[ "$(hash_of data.img)" = "$before" ]
	# and the reverse: the file below a source
	sed -i "s|data.img|$LOOP|" tables
	run --separate-stderr thin_materialize -f -f tables t3 data.img
	[ "$status" -eq 64 ]
	[[ "$stderr" == *source* ]]
}

@test "the disk of a partition that is a source is a source, its other partitions are not" {
	[ -d /sys/dev/block ] || skip "partitions are known from sysfs, which is not mounted"
	command -v partx >/dev/null || skip "no partx"
	truncate -s 64M disk.img
	# a partition table of two: sectors 2048 + 40960, 43008 + 40960
	{
		head -c 446 /dev/zero
		printf '\0\0\0\0\x83\0\0\0\0\x08\0\0\0\xa0\0\0\0\0\0\0\x83\0\0\0\0\xa8\0\0\0\xa0\0\0'
		head -c 32 /dev/zero
		printf '\x55\xaa'
	} | dd of=disk.img conv=notrunc status=none
	loop disk.img
	partx -a "$LOOP" 2>/dev/null
	[ -b "${LOOP}p2" ] || skip "no partitions on loop devices"
	run --separate-stderr thin_materialize -n -f -f --origin "${LOOP}p1" tables t3 "$LOOP"
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"is a source"* ]]
	for source in "$LOOP" disk.img; do
		run --separate-stderr thin_materialize -n -f -f --origin "$source" tables t3 "${LOOP}p2"
		[ "$status" -eq 64 ]
		[[ "$stderr" == *"is a source"* ]]
	done
	thin_materialize -n -f --origin "${LOOP}p1" tables t3 "${LOOP}p2"
	# the same holds for other commands that read and write
	run --separate-stderr thin_dump "$LOOP" -o disk.img
	[ "$status" -ne 0 ]
	[ "$(stat -c %s disk.img)" -eq 67108864 ]
}

@test "metadata, data and origin may be block devices" {
	loop -r meta.img
	sed -i "s|meta.img|$LOOP|" tables
	loop -r data.img
	sed -i "s|data.img|$LOOP|" tables
	loop -r base.img
	sed -i "s|base.img|$LOOP|" tables
	thin_materialize --verify tables t3 out.img
	[ "$(hash_of out.img)" = "$WANT" ]
	[ "$(thin_materialize tables t3 - | sha256sum)" = "$WANT  -" ]
	thin_materialize -j 7 tables t3-cut cut.img 2>/dev/null
	[ "$(hash_of cut.img)" = "$(awk '$1 == "thin" && $2 == "t3-cut" { print $6 }' oracle)" ]
}

@test "where a file cannot be unnamed, an interrupted run removes its partial file" {
	need_root
	! grep -q __asan_init "$(command -v thin_materialize)" || skip "the sanitizer needs /proc"
	# without /proc an unnamed file could never get its name
	hide="unshare -m sh -c 'mount -t tmpfs none /proc && exec "
	run bash -c "${hide}true'"
	[ "$status" -eq 0 ] || skip "cannot hide /proc"
	bash -c "${hide}thin_materialize tables t3 out.img'"
	[ "$(hash_of out.img)" = "$WANT" ]
	[ "$(stat -c %a out.img)" = "$(printf %o $((0666 & ~$(umask))))" ]
	truncate -s 3G huge.img
	for s in INT TERM HUP; do
		run bash -c "${hide}timeout -s $s 0.3 thin_materialize --sparse=never --origin huge.img --size 3G tables t3 big.img'"
		[ "$status" -ge 124 ]
		[ -z "$(ls -A | grep big)" ]
	done
	echo old >big.img
	bash -c "${hide}thin_materialize -f tables t3 big.img'"
	[ "$(hash_of big.img)" = "$WANT" ]
	[ -z "$(ls -A | grep '^\.')" ]
}
