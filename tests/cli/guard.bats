#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What commands cost, counted and not timed: system calls, threads, memory, instructions.

bats_require_minimum_version 1.5.0
load needs

bench=$abs_top_builddir/bench

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	"$bench/mkpool" small 1 small.meta
	"$bench/mkpool" frag 0.01 frag.meta
	"$bench/mkpool" frag 0.01 frag.xml xml
	"$bench/mkpool" snap 0.1 snap.meta
	"$bench/mkpool" dense 0.01 dense.meta
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return 1
}

# peak KiB of a command
peak() {
	local wall cpu kib status

	read -r wall cpu kib status < <("$bench/measure" "$@")
	[ "$status" -eq 0 ] || { echo "$*: exit status $status" >&2; return 1; }
	echo "$kib"
}

# the least of five: how much of a library the kernel maps at once differs from run to run
least_peak() {
	local kib least=

	for _ in 1 2 3 4 5; do
		kib=$(peak "$@") || return 1
		[ -n "$least" ] && [ "$least" -le "$kib" ] || least=$kib
	done
	echo "$least"
}

# need_optimised LEVELS: configure was told one of these levels, and make was not told another (CFLAGS=-O0)
need_optimised() {
	grep -qE "^CFLAGS = .*-O[$1]" "$abs_top_builddir/Makefile" && "$bench/measure" --optimised ||
		skip "the build is not optimised"
}

# Called before $(instructions), because a skip inside of $( ) would end the inner shell alone.
need_instructions() {
	need_plain "sanitizers have memory of their own"
	need_optimised 123s
	need valgrind
	valgrind --tool=none --error-exitcode=99 true 2>/dev/null || skip "valgrind does not run here"
}

# instructions of a command, by valgrind
instructions() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

@test "thin_check: a small pool costs a few reads and no thread" {
	need_plain "sanitizers have memory of their own"
	need_strace
	strace -f -qq -e trace=clone,clone3,fork,vfork,pread64,preadv,read -o calls \
		thin_check -q small.meta
	[ "$(grep -cE 'clone|fork' calls)" -eq 0 ]
	[ "$(grep -c 'pread' calls)" -le 24 ]
}

@test "no command starts a thread for a small pool" {
	need_plain "sanitizers have memory of their own"
	need_strace
	thin_dump small.meta -o small.xml
	truncate -s 4M out
	for call in 'thin_dump small.meta' 'thin_ls -o DEV,EXCLUSIVE small.meta' \
		'thin_delta --snap1 1 --snap2 2 small.meta' 'thin_rmap --region 0..100 small.meta' \
		'thin_metadata_pack -i small.meta -o small.pack' \
		'thin_metadata_unpack -f -i small.pack -o unpacked' 'thin_restore -i small.xml -o out' \
		'thin_repair -i small.meta -o out'; do
		echo "$call" >&2
		# shellcheck disable=SC2086 # words
		strace -f -qq -e trace=clone,clone3,fork,vfork -o calls $call >printed
		[ "$(grep -cE 'clone|fork' calls)" -eq 0 ]
	done
}

# few_faults MORE COMMAND...: at most MORE page faults above what true has
few_faults() {
	local more=$1 n

	shift
	n=$(($("$bench/measure" -f "$@") - $("$bench/measure" -f true)))
	echo "$*: $n page faults more than true" >&2
	[ "$n" -le "$more" ]
}

@test "a command touches few pages for a small pool, and true fewer" {
	need_plain "sanitizers have memory of their own"
	need_optimised 23
	! ldd "$abs_top_builddir/bin/thin_check" 2>&1 | grep -q 'not a dynamic' || skip "the C library is part of the program"
	[ "$(uname -m)" = x86_64 ] || skip "pages of this machine have another size"
	thin_dump small.meta -o small.xml
	truncate -s 4M out
	few_faults 50 thin_check small.meta
	few_faults 75 thin_dump small.meta
	few_faults 95 thin_delta --snap1 1 --snap2 2 small.meta
	few_faults 105 thin_rmap --region 0..100 small.meta
	few_faults 160 thin_metadata_pack -i small.meta -o small.pack
	few_faults 75 thin_metadata_unpack -f -i small.pack -o unpacked
	few_faults 120 thin_restore -i small.xml -o out
	few_faults 105 thin_repair -i small.meta -o out
	# the arrays of a walk are as long as the device, and hardly touched
	truncate -s 2G wide.meta
	thin_restore -i small.xml -o wide.meta
	few_faults 330 thin_check wide.meta
	# pages of the counts are made once, and not for a look before
	"$bench/mkpool" frag 0.1 counts.meta
	few_faults 850 thin_check -j 2 counts.meta
}

@test "thin_check: stripped it has at most 150 KiB, 142 of code and data (144 without -Oz), for the initial ram disk" {
	local code data most=142

	need_plain "sanitizers are part of the program"
	need strip
	need_optimised 23
	grep -q '^COMPACT_LDFLAGS = .*relocs' "$abs_top_builddir/Makefile" || skip "relocations are not packed here"
	[ "$(uname -m)" = x86_64 ] || skip "code of this machine has another size"
	! ldd "$abs_top_builddir/bin/thin_check" 2>&1 | grep -q 'not a dynamic' || skip "the C library is part of the program"
	# gcc before 12 has no -Oz: with -Os gcc 11 makes 1.3 KiB more, gcc 12 1.6
	grep -q '^SMALL_CFLAGS = .*-Oz' "$abs_top_builddir/Makefile" || most=144
	strip -o stripped "$abs_top_builddir/bin/thin_check"
	read -r code data _ < <(size stripped | tail -n 1)
	echo "$code + $data bytes of code and data, $(stat -c %s stripped) in the file" >&2
	[ $((code + data)) -le $((most * 1024)) ]
	[ "$(stat -c %s stripped)" -le $((150 * 1024)) ] # linkers pad it by up to a page
}

@test "thin_check: peak memory is a few MiB and some bytes a metadata block" {
	need_plain "sanitizers have memory of their own"
	least=$(least_peak true)
	small=$(least_peak thin_check -q small.meta)
	frag=$(peak thin_check -q frag.meta)
	snap=$(peak thin_check -q snap.meta)
	echo "true $least; $small, $frag, $snap KiB" >&2
	[ $((small - least)) -lt 576 ]
	[ "$frag" -lt 6144 ]
	[ "$snap" -lt 6144 ]
}

@test "thin_dump, thin_restore: peak memory does not follow the number of mappings" {
	need_plain "sanitizers have memory of their own"
	truncate -s 64M out
	dump=$(peak thin_dump frag.meta)
	restore=$(peak thin_restore -i frag.xml -o out)
	echo "$dump, $restore KiB" >&2
	[ "$dump" -lt 8192 ]
	[ "$restore" -lt 10240 ]
}

@test "thin_metadata_pack, thin_metadata_unpack: peak memory is a few MiB" {
	need_plain "sanitizers have memory of their own"
	pack=$(peak thin_metadata_pack -i frag.meta -o frag.pack)
	unpack=$(peak thin_metadata_unpack -f -i frag.pack -o unpacked)
	echo "$pack, $unpack KiB" >&2
	[ "$pack" -lt 4000 ]
	[ "$unpack" -lt 3000 ]
}

@test "thin_check: instructions of a fragmented mapping stay within their band" {
	need_instructions
	n=$(instructions thin_check -q frag.meta)
	echo "$((n / 200000)) instructions a mapping" >&2
	[ "$((n / 200000))" -lt 64 ]
}

@test "thin_dump: instructions of a fragmented mapping stay within their band" {
	need_instructions
	n=$(instructions thin_dump frag.meta)
	echo "$((n / 200000)) instructions a mapping" >&2
	[ "$((n / 200000))" -lt 190 ]
}

@test "thin_restore: instructions of a fragmented mapping stay within their band" {
	need_instructions
	truncate -s 64M out
	n=$(instructions thin_restore -i frag.xml -o out)
	echo "$((n / 200000)) instructions a mapping" >&2
	[ "$((n / 200000))" -lt 480 ]
}

@test "thin_metadata_unpack: instructions of a mapping, alone and in a run, stay within their band" {
	need_instructions
	thin_metadata_pack -i frag.meta -o frag.pack
	thin_metadata_pack -i dense.meta -o dense.pack
	frag=$(instructions thin_metadata_unpack -f -i frag.pack -o unpacked)
	dense=$(instructions thin_metadata_unpack -f -i dense.pack -o unpacked)
	echo "$((frag / 200000)), $((dense / 1000000)) instructions a mapping" >&2
	[ "$((frag / 200000))" -lt 180 ]
	[ "$((dense / 1000000))" -lt 20 ]
}

@test "thin_check, thin_ls: snapshots cost what they do not share" {
	need_instructions
	# 250 k distinct mappings; ten million as devices see them
	check=$(instructions thin_check -q snap.meta)
	ls=$(instructions thin_ls -o DEV,EXCLUSIVE snap.meta)
	echo "$((check / 250000)), $((ls / 250000)) instructions a distinct mapping" >&2
	[ "$((check / 250000))" -lt 57 ]
	[ "$((ls / 250000))" -lt 37 ]
}

@test "thin_rmap: instructions of a line of shared blocks stay within their band" {
	need_instructions
	lines=$(thin_rmap --region 0..-1 snap.meta | wc -l)
	n=$(instructions thin_rmap --region 0..-1 snap.meta)
	echo "$lines lines, $((n / lines)) instructions a line" >&2
	[ "$lines" -gt 500000 ]
	[ "$((n / lines))" -lt 230 ]
}

@test "thin_dump, thin_rmap: instructions of a mapping in a long run stay within their band" {
	need_instructions
	# a million mappings
	dump=$(instructions thin_dump dense.meta)
	rmap=$(instructions thin_rmap --region 0..-1 dense.meta)
	echo "$((dump / 1000000)), $((rmap / 1000000)) instructions a mapping" >&2
	[ "$((dump / 1000000))" -lt 17 ]
	[ "$((rmap / 1000000))" -lt 25 ]
}

@test "a file is written by the one thread that reads: a second would wait for its lock" {
	need_plain "sanitizers have memory of their own"
	need_strace
	"$bench/mkpool" copy 0.02 copy.meta
	head -c 24M /dev/urandom >copy.data
	rm -f out.img
	strace -f -qq -e trace=clone,clone3,fork,vfork,pwrite64 -o calls \
		thin_materialize -j 4 --reflink=never --data-dev copy.data copy.meta 1 out.img
	[ "$(grep -cE 'clone|fork' calls)" -eq 0 ]
	[ "$(grep -c pwrite64 calls)" -ge 80 ]
}

@test "the disk begins to write new data before a flush waits for it, from a copy, metadata that is made and a server" {
	need_plain "sanitizers have threads of their own"
	need_strace
	need_plugin
	need qemu-io
	"$bench/mkpool" copy 0.04 copy.meta
	head -c 48M /dev/zero >copy.data
	rm -f out.img served.meta served.data
	strace -qq -e trace=sync_file_range,fdatasync,fsync -o calls \
		thin_materialize --reflink=never --data-dev copy.data copy.meta 1 out.img
	[[ "$(head -n 1 calls)" == sync_file_range* ]]

	thin_metadata_pack -i dense.meta -o dense.pack
	thin_dump dense.meta -o dense.xml
	rm -f unpacked out
	for call in 'thin_metadata_unpack -i dense.pack -o unpacked' \
		'thin_restore --size 32M -i dense.xml -o out'; do
		# shellcheck disable=SC2086 # words
		strace -f -qq -e trace=sync_file_range,fdatasync,fsync -o calls $call
		grep -m 1 . calls | grep sync_file_range
	done

	truncate -s 2M served.meta
	truncate -s 48M served.data
	printf 'pool: 0 98304 thin-pool served.meta served.data 128 0\nt: 0 98304 thin pool 0\n' >served
	thin_message served 'create_thin 0'
	writes_begun() { # BYTE: how often, while a server gets 40 MiB of it
		rm -f served.sock
		strace -f -qq -e trace=sync_file_range -o calls nbdkit -f -U served.sock "$PLUGIN" pool=served device=t \
			--run "qemu-io -f raw -t writeback -c 'write -P $1 0 16M' -c 'write -P $1 16M 24M' \"\$uri\"" >&2
		grep -c sync_file_range calls || true
	}
	[ "$(writes_begun 7)" -eq 5 ]
	# what has its place already is written when a flush asks for it
	[ "$(writes_begun 8)" -eq 0 ]
}

@test "thin_check: an empty pool with 16 GiB of metadata is not read as a whole" {
	need_strace
	truncate -s 16978542592 pool
	thin_restore -q -i <(printf '<superblock uuid="" time="0" transaction="0" version="2" data_block_size="128" nr_data_blocks="64">\n</superblock>\n') -o pool
	strace -f -e trace=read,pread64,preadv,preadv2 -o calls thin_check pool
	[ "$(awk '$NF > 0 { sum += $NF } END { print int(sum / 1048576) }' calls)" -le 300 ]
}
