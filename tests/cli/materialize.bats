#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_materialize: what a device reads as, where it may be written, and what happens when it cannot.

bats_require_minimum_version 1.5.0

BS=65536

# fill FILE WORD BLOCKS: blocks that say which they are
fill() {
	local i
	for ((i = 0; i < $3; i++)); do
		yes "$2 $i" | head -c $BS
	done >"$1"
}

# Device 0: blocks 1-2 -> data 5-6, 4 -> data 3, 9 -> data 0.  Device 7 shares the first three, adds 2^20.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	fill data.img data 16
	fill base.img base 8
	truncate -s 430000 base.img # inside block 6
	cat >pool.xml <<-'XML'
	<superblock uuid="" time="1" transaction="3" version="2" data_block_size="128" nr_data_blocks="16">
	  <def name="1">
	    <range_mapping origin_begin="1" data_begin="5" length="2" time="0"/>
	    <single_mapping origin_block="4" data_block="3" time="0"/>
	  </def>
	  <device dev_id="0" mapped_blocks="4" transaction="0" creation_time="0" snap_time="1">
	    <ref name="1"/>
	    <single_mapping origin_block="9" data_block="0" time="1"/>
	  </device>
	  <device dev_id="7" mapped_blocks="4" transaction="1" creation_time="1" snap_time="1">
	    <ref name="1"/>
	    <single_mapping origin_block="1048576" data_block="1" time="1"/>
	  </device>
	  <device dev_id="8" mapped_blocks="0" transaction="1" creation_time="1" snap_time="1">
	  </device>
	</superblock>
	XML
	truncate -s 1M meta.img
	thin_restore -i pool.xml -o meta.img
	cat >pool <<-'TABLE'
	pool: 0 2048 thin-pool meta.img data.img 128 0
	zero: 0 1500 thin pool 0 base.img
	plain: 0 1280 thin pool 0
	short: 0 300 thin pool 0 base.img
	seven: 0 1280 thin pool 7 base.img
	TABLE
	# what "zero" reads as: 768000 bytes, which ends inside block 11
	expected 768000 base.img >zero.want
	expected $((10 * BS)) /dev/null >plain.want
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	cp --sparse=always "$BATS_FILE_TMPDIR"/{data.img,base.img,meta.img,pool,pool.xml} .
	WANT=$BATS_FILE_TMPDIR
}

# The image of device 0 over origin $2, of $1 bytes, made block by block.
expected() {
	local v d
	rm -f image.want
	truncate -s "$1" image.want
	dd if="$2" of=image.want conv=notrunc status=none
	for v in 1:5 2:6 4:3 9:0; do
		d=${v#*:} v=${v%:*}
		dd if=data.img of=image.want bs=$BS skip="$d" seek="$v" count=1 conv=notrunc status=none
	done
	truncate -s "$1" image.want
	cat image.want
}

@test "a device with an external origin becomes an image, as typed: --origin base.img pool 0 out.img" {
	run --separate-stderr thin_materialize --origin base.img pool 0 out.img
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	cmp out.img "$WANT/zero.want"
	[ "$(stat -c %s out.img)" -eq 768000 ]
}

@test "a device is named by its NAME in the table, with the size and origin of that line" {
	thin_materialize pool zero zero.img
	cmp zero.img "$WANT/zero.want"
	thin_materialize pool plain plain.img
	cmp plain.img "$WANT/plain.want"
}

@test "relative paths in a table count from the table's folder" {
	mkdir elsewhere
	cd elsewhere
	thin_materialize ../pool zero out.img
	cmp out.img "$WANT/zero.want"
}

@test "bare metadata and XML give the same image when the data device is named" {
	thin_materialize --data-dev data.img --origin base.img --size 1500s meta.img 0 a.img
	cmp a.img "$WANT/zero.want"
	thin_materialize --data-dev data.img --origin base.img --size 768000 pool.xml 0 b.img
	cmp b.img "$WANT/zero.want"
}

@test "bare metadata without --data-dev is a usage error that says so" {
	for p in meta.img pool.xml; do
		run --separate-stderr thin_materialize $p 0 out.img
		[ "$status" -eq 64 ]
		[[ "$stderr" == *"--data-dev"* ]]
		[ ! -e out.img ]
	done
}

@test "--no-origin leaves the table's origin out, --origin overrides it" {
	thin_materialize --no-origin --size 655360 pool zero out.img
	cmp out.img "$WANT/plain.want"
	fill other.img other 12
	thin_materialize --origin other.img pool zero other.out
	cmp <(dd if=other.img bs=$BS count=1 status=none) <(dd if=other.out bs=$BS count=1 status=none)
	run thin_materialize --origin base.img --no-origin pool zero x.img
	[ "$status" -eq 64 ]
}

@test "--data-dev overrides the table's data device" {
	fill new.img new 16
	thin_materialize --data-dev new.img pool plain out.img
	cmp <(dd if=new.img bs=$BS skip=5 count=2 status=none) <(dd if=out.img bs=$BS skip=1 count=2 status=none)
}

@test "without a size the larger of origin and last mapped block counts, and a cut origin is noted" {
	thin_materialize --data-dev data.img meta.img 0 out.img
	cmp out.img "$WANT/plain.want"
	fill long.img long 30
	run --separate-stderr thin_materialize --data-dev data.img --origin long.img meta.img 0 long.out
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"guess: it is the size of the external origin"*"--size"* ]]
	[ "$(stat -c %s long.out)" -eq $((30 * BS)) ]
	truncate -s $((9 * BS + 512)) long.img # inside the last mapped block
	run --separate-stderr thin_materialize --data-dev data.img --origin long.img meta.img 0 cut.out
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"guess"*"--size"* ]]
	[ "$(stat -c %s cut.out)" -eq $((10 * BS)) ]
}

@test "a device without mappings, size and origin is an empty image, and that is said" {
	run --separate-stderr thin_materialize --data-dev data.img meta.img 8 out.img
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"--size"* ]]
	[ -f out.img ] && [ ! -s out.img ]
}

@test "mapped blocks beyond the size are counted and not copied" {
	run --separate-stderr thin_materialize pool short out.img
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"warning: 2 mapped blocks lie beyond the size of 153600 bytes"* ]]
	cmp out.img <(head -c 153600 "$WANT/zero.want")
	run --separate-stderr thin_materialize pool seven seven.img
	[[ "$stderr" == *"warning: 1 mapped block lies beyond"* ]]
}

@test "sizes may have units and any number of bytes" {
	thin_materialize --size 1 pool zero a.img
	cmp a.img <(head -c 1 "$WANT/zero.want")
	thin_materialize --size 70001 pool zero b.img
	cmp b.img <(head -c 70001 "$WANT/zero.want")
	thin_materialize --size 2M pool zero c.img
	[ "$(stat -c %s c.img)" -eq 2097152 ]
	thin_materialize --size 0 pool zero d.img 2>/dev/null
	[ -f d.img ] && [ ! -s d.img ]
	run thin_materialize --size 10X pool zero e.img
	[ "$status" -eq 64 ]
}

@test "unmapped blocks and holes of the sources become holes, whatever the number of jobs" {
	truncate -s 64M huge.img
	printf x | dd of=huge.img bs=1 seek=50000000 conv=notrunc status=none
	for j in 1 2 16; do
		thin_materialize -j $j --origin huge.img --size 64M pool plain out$j.img
		[ "$(du -k out$j.img | cut -f1)" -lt 600 ]
	done
	cmp out1.img out2.img && cmp out1.img out16.img
	[ "$(dd if=out1.img bs=1 skip=50000000 count=1 status=none)" = x ]
}

@test "--sparse=always makes holes of zeros that are written in the sources" {
	head -c $((16 * BS)) /dev/zero >data.img
	printf x | dd of=data.img bs=1 seek=$((5 * BS + 70000)) conv=notrunc status=none
	thin_materialize --sparse=always pool plain out.img
	thin_materialize --reflink=never pool plain full.img
	cmp out.img full.img
	[ "$(du -k out.img | cut -f1)" -le 16 ]
	[ "$(du -k full.img | cut -f1)" -ge 256 ]
}

@test "--sparse=never writes all zeros" {
	thin_materialize --sparse=never pool zero out.img
	cmp out.img "$WANT/zero.want"
	[ "$(du -k out.img | cut -f1)" -ge 750 ]
}

@test "a stream has everything in order, zeros too" {
	thin_materialize pool zero - >out.img
	cmp out.img "$WANT/zero.want"
	thin_materialize pool zero - | cat >piped.img
	cmp piped.img "$WANT/zero.want"
	thin_materialize -j 1 pool zero - | cmp - "$WANT/zero.want"
	thin_materialize --size 20M pool zero - | cmp - <(cat "$WANT/zero.want" && head -c $((20971520 - 768000)) /dev/zero)
}

@test "a stream that ends early is silent, a full one is not" {
	run --separate-stderr bash -c 'set -o pipefail; thin_materialize --size 100M pool zero - | head -c 1 >/dev/null'
	[ "$status" -ne 0 ]
	[ -z "$stderr" ]
	[ -c /dev/full ] || skip "no /dev/full"
	run --separate-stderr bash -c 'thin_materialize pool zero - >/dev/full'
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"offset 0"*"No space left"* ]]
}

@test "--map prints the extents and needs no data device" {
	run --separate-stderr thin_materialize --map pool zero
	[ "$status" -eq 0 ]
	[ "$output" = "0 65536 origin 0
65536 131072 data 327680
196608 65536 origin 196608
262144 65536 data 196608
327680 102320 origin 327680
430000 159824 zero
589824 65536 data 0
655360 112640 zero" ]
	rm data.img
	run --separate-stderr thin_materialize --map=json --size 70000 pool plain
	[ "$status" -eq 0 ]
	[[ "$output" == *'{"begin_bytes": 65536, "length_bytes": 4464, "kind": "data", "offset_bytes": 327680}'* ]]
	! command -v jq >/dev/null || [ "$(jq -r '.size_bytes, .block_bytes, .dev_id, .extents[0].kind' <<<"$output" | xargs)" = "70000 65536 0 zero" ]
	run thin_materialize --map=yaml pool plain
	[ "$status" -eq 64 ]
	run thin_materialize --map pool plain out.img
	[ "$status" -eq 64 ]
}

@test "--dry-run says what would be copied and writes nothing" {
	run --separate-stderr thin_materialize -n pool zero out.img
	[ "$status" -eq 0 ]
	[[ "$output" == *"768000 bytes, to out.img"* ]]
	[[ "$output" == *"262144 bytes from data device data.img, in 3 extents"* ]]
	[[ "$output" == *"233392 bytes from external origin base.img"* ]]
	[[ "$output" == *"272464 bytes of zeros"* ]]
	[ ! -e out.img ]
	touch out.img
	run thin_materialize -n pool zero out.img
	[ "$status" -ne 0 ]
}

@test "an existing file is replaced only with -f, which keeps its mode" {
	echo old >out.img
	chmod 600 out.img
	run --separate-stderr thin_materialize pool zero out.img
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"out.img: exists"*"-f"* ]]
	[ "$(cat out.img)" = old ]
	thin_materialize -f pool zero out.img
	cmp out.img "$WANT/zero.want"
	[ "$(stat -c %a out.img)" = 600 ]
}

@test "a symbolic link as output is followed, one that leads nowhere is refused" {
	mkdir sub
	echo old >sub/real.img
	ln -s sub/real.img link
	thin_materialize -f pool zero link
	[ -L link ]
	cmp sub/real.img "$WANT/zero.want"
	ln -s nowhere dangling
	run --separate-stderr thin_materialize -f pool zero dangling
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"whose target does not exist"* ]]
	[ ! -e nowhere ]
}

@test "the output is never one of the sources, whatever its name and the force" {
	ln data.img hard.img
	ln -s base.img soft.img
	local before; before=$(sha256sum data.img base.img meta.img pool pool.xml)
	for out in data.img base.img meta.img pool ./data.img hard.img soft.img "$PWD/base.img"; do
		run --separate-stderr thin_materialize -f -f pool zero "$out"
		[ "$status" -eq 64 ]
		[[ "$stderr" == *"source"* ]]
	done
	run --separate-stderr thin_materialize -f --data-dev data.img pool.xml 0 pool.xml
	[ "$status" -eq 64 ]
	for out in data.img base.img; do # a shell opens it without truncating
		run --separate-stderr bash -c "thin_materialize pool zero - 1<>$out"
		[ "$status" -eq 64 ]
		[[ "$stderr" == *"standard output"* ]]
	done
	[ "$before" = "$(sha256sum data.img base.img meta.img pool pool.xml)" ]
}

@test "directories, fifos and character devices are no output" {
	mkdir dir
	mkfifo ff
	for out in dir ff /dev/null; do
		run --separate-stderr timeout 10 thin_materialize -f pool zero $out
		[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
		[[ "$stderr" == *"Invalid output file: Not a block device or regular file"* ]]
	done
	run --separate-stderr thin_materialize pool zero no/such/folder/out.img
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"folder"* ]]
}

@test "an unknown device is an error that lists those there are" {
	for p in pool "--data-dev data.img meta.img" "--data-dev data.img pool.xml"; do
		run --separate-stderr thin_materialize $p 5 out.img
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"no device 5"*" 0 7 8"* ]]
	done
	run --separate-stderr thin_materialize pool eight out.img
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"'eight'"* ]]
	[ ! -e out.img ]
}

@test "a data device that ends before a mapped block is an error before anything is written" {
	truncate -s $((6 * BS)) data.img
	run --separate-stderr thin_materialize pool zero out.img
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"device 0: 65536 bytes are lost"*"data.img (393216 bytes)"*"65536 bytes at 131072"* ]]
	[ ! -e out.img ]
	thin_materialize --size 131072 pool zero out.img # the block is not needed
}

@test "a table whose block size is not the metadata's is refused, naming both" {
	sed -i '1s/ 128 / 256 /' pool
	run --separate-stderr thin_materialize pool zero out.img
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"pool: line 1: '256'"*"128"* ]]
}

@test "missing sources exit 74 and are named" {
	rm base.img
	run --separate-stderr thin_materialize pool zero out.img
	[ "$status" -eq 74 ]
	[[ "$stderr" == *origin*base.img* ]]
	run --separate-stderr thin_materialize --data-dev nowhere pool plain out.img
	[ "$status" -eq 74 ]
	[[ "$stderr" == *data*nowhere* ]]
	[ ! -e out.img ]
}

@test "damaged mappings are an error with device, block and keys, and nothing is written" {
	# both leaves: of the devices 0 and 7
	for b in $(seq 1 40); do
		printf 'XX' | dd of=meta.img bs=1 seek=$((b * 4096 + 3000)) conv=notrunc status=none
	done
	run --separate-stderr thin_materialize pool zero out.img
	[ "$status" -eq 1 ]
	[ -n "$stderr" ]
	[ ! -e out.img ]
	[ -z "$(find . -name '.*img*')" ]
}

@test "--repair changes nothing on sound metadata, and excludes --metadata-snap" {
	run --separate-stderr thin_materialize --repair pool zero out.img
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	cmp out.img "$WANT/zero.want"
	run thin_materialize --repair -m pool zero other.img
	[ "$status" -eq 64 ]
}

@test "--repair reads a pool without a superblock, which is refused otherwise" {
	# block 0 is gone: the table says the block size, the trees are still there
	head -c 4096 /dev/zero | dd of=meta.img bs=4096 seek=0 conv=notrunc status=none
	run --separate-stderr thin_materialize pool zero refused.img
	[ "$status" -eq 1 ]
	[ ! -e refused.img ]
	run --separate-stderr thin_materialize --repair pool zero saved.img
	cmp saved.img "$WANT/zero.want"
	[ "$status" -eq 0 ] || [ -n "$stderr" ]
}

@test "a missing metadata snapshot is an error, and XML has none" {
	run --separate-stderr thin_materialize -m pool zero out.img
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"no current metadata snap"* ]]
	run --separate-stderr thin_materialize --metadata-snapshot --data-dev data.img pool.xml 0 out.img
	[ "$status" -eq 1 ]
	[[ "$stderr" == *XML* ]]
}

@test "the metadata snapshot is read, with and without its block number" {
	tar -C "$BATS_TEST_TMPDIR" --zstd -xf "$abs_top_srcdir/tests/fixtures/metasnap.tar.zst" || skip "no zstd"
	cd metasnap
	want=$(awk '$1 == "held" && $2 == "t1" { print $6 }' oracle)
	live=$(awk '$1 == "thin" && $2 == "t1" { print $6 }' oracle)
	[ "$want" != "$live" ]
	[ "$(thin_materialize -m tables t1 - | sha256sum)" = "$want  -" ]
	for spell in -m44 -m=44 --metadata-snap=44 --metadata-snapshot=44; do
		[ "$(thin_materialize $spell tables t1 - | sha256sum)" = "$want  -" ]
	done
	run --separate-stderr thin_materialize -m45 tables t1 -
	[ "$status" -eq 1 ]
}

@test "--verify finds the image right, and reports progress to a descriptor" {
	thin_materialize --verify --progress-fd 3 pool zero out.img 3>progress
	cmp out.img "$WANT/zero.want"
	[ "$(tail -1 progress)" = "768000 768000" ]
	run thin_materialize --verify pool zero -
	[ "$status" -eq 64 ]
}

@test "the wrong values of options are usage errors" {
	for o in --reflink=maybe --sparse=x "-j 0" "-j x" --progress-fd=x "--size="; do
		run thin_materialize $o pool zero out.img
		[ "$status" -eq 64 ] || { echo "$o: $status"; return 1; }
	done
	run thin_materialize --reflink=always --sparse=always pool zero out.img
	[ "$status" -eq 64 ]
	run thin_materialize pool zero
	[ "$status" -eq 64 ]
	run thin_materialize pool zero a b
	[ "$status" -eq 64 ]
}

@test "--reflink=always fails where nothing can be shared, and leaves nothing" {
	mkdir /dev/shm/materialize.$$ 2>/dev/null || skip "no /dev/shm"
	run --separate-stderr thin_materialize --reflink=always pool zero /dev/shm/materialize.$$/out.img
	rest=$(ls -A /dev/shm/materialize.$$)
	rm -r /dev/shm/materialize.$$
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"cannot share extents"* ]]
	[ -z "$rest" ]
}

@test "a killed run leaves nothing, however it is killed" {
	truncate -s 3G huge.img
	for s in INT TERM HUP KILL; do
		run timeout -s $s 0.2 thin_materialize --sparse=never --origin huge.img --size 3G pool plain out.img
		[ "$status" -ge 124 ]
		[ ! -e out.img ]
		[ -z "$(find . -name '.*out*')" ]
	done
}

@test "the sources are the same bytes afterwards" {
	local before; before=$(sha256sum data.img base.img meta.img pool pool.xml)
	thin_materialize pool zero a.img
	thin_materialize --sparse=always pool zero b.img
	thin_materialize --data-dev data.img pool.xml 0 c.img
	[ "$before" = "$(sha256sum data.img base.img meta.img pool pool.xml)" ]
}

# uncached FILE: its data is read from the disk next, where the file system has one
uncached() {
	sync "$1"
	dd if="$1" iflag=nocache count=0 status=none
}

@test "scattered blocks of a device and its origin that are not in the page cache come out as those that are" {
	awk 'BEGIN {
		print "<superblock uuid=\"\" time=\"1\" transaction=\"2\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"300\">"
		print "<device dev_id=\"1\" mapped_blocks=\"150\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
		for (i = 0; i < 300; i += 2)
			printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", i, i % 20 < 4 ? i : 299 - i
		print "</device></superblock>" }' >far.xml
	thin_restore -q -i far.xml -o far.meta --size 1M
	head -c $((300 * BS)) /dev/urandom >far.data
	head -c $((300 * BS)) /dev/urandom >far.base
	thin_materialize -q --data-dev far.data --origin far.base far.meta 1 cached.img
	for jobs in 1 4; do
		uncached far.data
		uncached far.base
		thin_materialize -q -f --jobs $jobs --data-dev far.data --origin far.base far.meta 1 fresh.img
		cmp cached.img fresh.img
	done
	for i in 0 1 20 299; do
		file=far.base at=$i
		[ $((i % 2)) -eq 1 ] || { file=far.data; [ $((i % 20)) -lt 4 ] && at=$i || at=$((299 - i)); }
		cmp -n $BS -i $((at * BS)):$((i * BS)) $file cached.img
	done
}
