#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Every command that writes, on block devices (tests/devices/writers.sh).
bats_require_minimum_version 1.5.0
load loop
load needs
. "$abs_top_srcdir/tests/devices/writers.sh"

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	PATH=$PATH:$abs_top_builddir/tests/damage
	MORE=
	writers_make
}

setup() {
	need_root
	MORE=
	cp --sparse=always "$BATS_FILE_TMPDIR"/* "$BATS_TEST_TMPDIR"
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
	cd /
	swapoff "$PART" 2>/dev/null || :
	loops_end
}

# holds NAME: fills the file disk, 8 MiB, with what writer NAME expects on its device
holds() {
	local what
	what=$(held_by "$1")
	blkdiscard -z -l 6M "$LOOP"
	[ -z "$what" ] || dd if="$what" of="$LOOP" bs=64k conv=notrunc,fsync status=none
	sync disk
}

# refused NAME: with 74, words about the device, and its first bytes, those before the partition, stay
refused() {
	local name=$1
	cp disk was
	does writer "$name" "$LOOP"
	[ "$status" -eq 74 ] || { echo "$name $MORE: $status $stderr" >&2; return 1; }
	[[ "$stderr" == *"$LOOP"* ]] || { echo "$name $MORE: $stderr" >&2; return 1; }
	# on the device, whose writes the kernel keeps from the file as long as another program has it
	cmp -s -n 6291456 "$LOOP" was || { echo "$name $MORE: the device was written" >&2; return 1; }
}

all_refuse() {
	local name
	for name in $WRITERS; do
		MORE=
		refused "$name"
		[[ "$stderr" =~ $1 ]] || { echo "$name: $stderr" >&2; return 1; }
		case $name in
		restore | repair | shrink | materialize | apply) MORE=--force ;;
		unpack) MORE=-f ;;
		*) continue ;;
		esac
		refused "$name"
	done
}

@test "every writer takes a free block device; an output is opened once, for itself alone, and looked at through that" {
	need strace
	need_plain
	local name dev
	truncate -s 8M disk
	loop disk
	for name in $WRITERS; do
		holds "$name"
		mkdir -p run
		export -f writer table_with
		export MORE
		strace -f -e trace=open,openat -o trace bash -c "writer $name $LOOP" >out.txt 2>&1 || { echo "$name: $(cat out.txt)" >&2; return 1; }
		grep -E "open.*\"$LOOP\"" trace >opens || :
		[ "$(grep O_RDWR opens | grep -c O_EXCL)" -eq 1 ] && [ "$(grep -c O_RDWR opens)" -eq 1 ] || { cat opens >&2; echo "$name" >&2; return 1; }
		case $name in
		restore | repair | shrink | unpack | materialize | apply) [ "$(wc -l <opens)" -eq 1 ] || { cat opens >&2; echo "$name" >&2; return 1; } ;;
		esac
	done
}

@test "a disk that another program has for itself is refused by every writer, also with --force" {
	need python3
	truncate -s 8M disk
	loop disk
	holds apply-meta # which refuses metadata that are zero, whoever has them
	PART=
	local name
	exec 7< <(exec python3 -c 'import os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
print("open", flush=True)
time.sleep(600)' "$LOOP" 3>&-)
	local pid=$!
	read -r -u 7
	for name in $WRITERS; do
		kill -0 $pid
		MORE=
		refused "$name" || { kill $pid; return 1; }
	done
	all_refuse 'busy|in use' || { kill $pid; return 1; }
	kill $pid
}

@test "a disk with a partition that is mounted or swapped on is refused by every writer, also with --force" {
	need addpart mkfs.ext4 mkswap
	local name what
	truncate -s 8M disk
	loop -P disk
	addpart "$LOOP" 1 12288 4096 2>/dev/null || skip "partitions cannot be made"
	PART=${LOOP}p1
	for what in ext4 swap; do
		for name in $WRITERS; do
			holds "$name"
			if [ $what = ext4 ]; then
				mkfs.ext4 -q "$PART" && mkdir -p mnt && mount "$PART" mnt 2>/dev/null || skip "cannot mount"
				MOUNTED=$PWD/mnt
			else
				mkswap -q "$PART" 2>/dev/null && swapon "$PART" 2>/dev/null || skip "cannot swap"
			fi
			MORE=
			refused "$name"
			[[ "$stderr" =~ busy|'in use' ]]
			if [ $what = ext4 ]; then
				umount mnt && MOUNTED=
			else
				swapoff "$PART"
			fi
		done
	done
}

@test "a read-only device is refused by every writer" {
	local name
	for name in $WRITERS; do
		rm -f disk
		truncate -s 8M disk
		[ -z "$(held_by "$name")" ] || dd if="$(held_by "$name")" of=disk bs=64k conv=notrunc status=none
		loop -r disk
		MORE=
		refused "$name"
		[[ "$stderr" =~ [Rr]ead-only ]] || { echo "$name: $stderr" >&2; return 1; }
		loops_end
	done
}

@test "a device that is too small is refused by every writer before the first byte" {
	local name size
	for name in $WRITERS; do
		case $name in
		restore | repair | shrink) size=16K ;; # five blocks at least
		unpack | message | check | apply-meta) size=12K ;;
		shrink-data | trim | apply-data) size=1M ;;
		*) size=64K ;;
		esac
		rm -f disk
		truncate -s $size disk
		[ -z "$(held_by "$name")" ] || head -c $size "$(held_by "$name")" | dd of=disk bs=64k conv=notrunc status=none
		loop disk
		cp disk was
		does writer "$name" "$LOOP"
		echo "$name: $status $stderr" >&2
		[ "$status" -eq 74 ] || [ "$status" -eq 1 ]
		[ -n "$stderr" ]
		cmp disk was
		loops_end
	done
}

# aliases FILE: names of a loop device over it, one a line, in the file aliases; the first is the device
aliases() {
	loop -P "$1"
	local dev=$LOOP
	numbers=$((0x$(stat -c %t "$dev"))):$((0x$(stat -c %T "$dev")))
	ln -sf "$dev" link
	ln -sf link by-id
	rm -f node hard
	mknod node b "${numbers%:*}" "${numbers#*:}"
	ln "$1" hard
	printf '%s\n' "$dev" "$PWD/link" by-id node "$1" hard >aliases
	[ ! -e "/dev/block/$numbers" ] || printf '%s\n' "/dev/block/$numbers" "$numbers" >>aliases
	try_loop "$1" && echo "$LOOP" >>aliases
	try_loop "$dev" && echo "$LOOP" >>aliases
	try_loop --offset 4096 --sizelimit 4096 "$1" && echo "$LOOP" >>aliases
	addpart "$dev" 1 8 64 2>/dev/null && echo "${dev}p1" >>aliases
	LOOP=$dev
}

@test "a source is not taken as output, by whatever name: every command, both ways round" {
	local name a first numbers
	for name in $PAIRS; do
		rm -f src
		cp "$(source_of "$name")" src
		truncate -s %4096 src
		truncate -s '>4M' src
		aliases src
		first=$LOOP
		cp src was
		while read -r a; do
			for way in there back; do
				if [ $way = there ]; then does pair "$name" "$first" "$a"; else does pair "$name" "$a" "$first"; fi
				[ "$a" != "$numbers" ] || [ ! -e "$numbers" ] || { rm "$numbers"; continue; } # the command took the name for that of a new file
				[ "$status" -ne 0 ] || { echo "$name $first $a $way: done" >&2; return 1; }
				[ -n "$stderr" ] || { echo "$name $first $a $way: no word" >&2; return 1; }
				[ ! src -nt was ] || cmp src was || { echo "$name $first $a $way: written; $stderr" >&2; return 1; }
				echo "$name $way $a: $status $stderr" >>told
			done
		done <aliases
		# also what the kernel keeps for a device until its last user goes, and whatever the file's time says
		loops_end
		cmp src was || { echo "$name: written" >&2; return 1; }
	done
	# the other way round the command may refuse its input instead: at an offset the device holds other bytes
	! grep ' there ' told | grep -vE 'the same file or device|both|is input and output|is a source|the same device|is given as|[Bb]lock device|no file is made|sectors, but the table' >&2
}

@test "a text or a packed file is not written to a block device, and --force, which would not help, is not offered" {
	local c force
	head -c 100000 /dev/urandom >junk
	truncate -s 1M junk meta
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o meta --force
	loop junk
	for c in 'thin_dump meta -o' 'thin_metadata_pack -i meta -o' \
		"thin_shrink --no-copy --nr-blocks 90 -i '$abs_top_srcdir/xml/good/tiny.xml' -o"; do
		for force in '' --force; do
			run --separate-stderr bash -c "$c $LOOP $force </dev/null"
			[ "$status" -eq 1 ] && [[ "$stderr" == *"'$LOOP' is a block device: name a file" ]] || { echo "$c: $stderr"; return 1; }
		done
	done
	head -c 100000 junk | cmp -n 100000 - "$LOOP"
}
