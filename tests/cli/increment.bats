#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What differs between a device and an older state of it, in each form, against the whole images.

bats_require_minimum_version 1.5.0
load needs
load increment.bash

@test "an image is brought up to date through a chain of ten random increments" {
	new_seed 1
	local i
	new_pool
	change_and_snap 0
	thin_materialize pool s0 image
	for i in 1 2 3 4 5 6 7 8 9 10; do
		change_and_snap $i
		thin_materialize pool s$i whole -f
		thin_materialize --since s$((i - 1)) pool s$i image
		cmp image whole
		# a second time there is nothing to do, and the image stays right
		thin_materialize --since s$((i - 1)) --verify pool s$i image
		cmp image whole
	done
}

@test "overlays over ten random increments read as the device, and qemu-img finds no fault" {
	new_seed 2
	need qemu-img
	local i compress
	new_pool
	change_and_snap 0
	thin_materialize -O qcow2 pool s0 s0.qcow2
	for i in 1 2 3 4 5 6 7 8 9 10; do
		change_and_snap $i
		compress=$(pick_compression)
		thin_materialize pool s$i whole -f
		thin_materialize --since s$((i - 1)) -O qcow2 $compress --backing s$((i - 1)).qcow2 --verify pool s$i s$i.qcow2
		qemu-img check -q s$i.qcow2
		qemu-img compare -q -f raw -F qcow2 whole s$i.qcow2
	done
	qemu-img convert -O raw s10.qcow2 flat
	cmp flat whole
}

@test "compressed images of each kind, of blocks of each size, are the device for qemu-img and thin_apply" {
	new_seed 31
	need qemu-img
	local kind BLOCK
	for BLOCK in 128 384 2048 4096; do
		new_pool
		change_and_snap 0
		thin_materialize -f pool s0 whole
		for kind in -c --compress=deflate ${ZSTD:+-czstd}; do
			thin_materialize -f -O qcow2 "$kind" --verify pool s0 c.qcow2
			qemu-img check -q c.qcow2
			qemu-img compare -q -f raw -F qcow2 whole c.qcow2
			[[ "$kind" != *zstd ]] || [[ "$(qemu-img info c.qcow2)" == *"compression type: zstd"* ]]
			truncate -s 0 back
			thin_apply -i c.qcow2 back
			qemu-img compare -q -f raw -F raw whole back
		done
	done
}

@test "zstd is refused by a program without libzstd, and an unknown kind by each" {
	small_pool
	run --separate-stderr thin_materialize -O qcow2 --compress=lzma pool s0 x.qcow2
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"--compress: invalid value 'lzma'"* ]]
	[ -z "$ZSTD" ] || return 0
	run --separate-stderr thin_materialize -O qcow2 --compress=zstd pool s0 x.qcow2
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"built without libzstd"* ]]
	[ ! -e x.qcow2 ]
	# an image says how it is compressed by a feature (bit 3) and a byte
	thin_materialize -O qcow2 -c pool s0 x.qcow2
	printf '\010' | dd of=x.qcow2 bs=1 seek=79 conv=notrunc status=none
	printf '\001' | dd of=x.qcow2 bs=1 seek=104 conv=notrunc status=none
	truncate -s 0 out
	run --separate-stderr thin_apply -i x.qcow2 out
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"compressed with zstd"*"built without libzstd"* ]]
}

@test "an overlay over the external origin holds only what the pool holds" {
	new_seed 3
	need qemu-img
	local i compress
	for i in 1 2 3 4; do
		new_pool
		[ -n "$ORIGIN" ] || continue
		change_and_snap 0
		compress=$(pick_compression)
		thin_materialize -f pool s0 whole
		thin_materialize -f -O qcow2 $compress --sparse=always --backing base.img,raw --verify pool s0 o.qcow2
		qemu-img check -q o.qcow2
		qemu-img compare -q -f raw -F qcow2 whole o.qcow2
		thin_materialize -f -O qcow2 $compress --backing base.img --verify pool s0 o.qcow2
		qemu-img check -q o.qcow2
		qemu-img compare -q -f raw -F qcow2 whole o.qcow2
	done
}

@test "increments against an older dump are those against the snapshot of that time" {
	new_seed 4
	local i
	new_pool
	change_and_snap 0
	thin_materialize pool s0 image
	for i in 1 2 3; do
		thin_dump meta.img >dump.xml
		cp meta.img old.img
		# the snapshot goes, and its blocks are taken again
		thin_message pool "delete $((99 + i))"
		change_and_snap $i
		cp image image2
		thin_materialize -f pool s$i whole
		thin_materialize --since $((99 + i)) --since-metadata dump.xml --since-size "$(stat -c %s image)" --no-check-base pool s$i image
		cmp image whole
		thin_materialize --since $((99 + i)) --since-metadata old.img --since-size "$(stat -c %s image2)" pool s$i image2
		cmp image2 whole
	done
}

@test "a device that was written in place since an older dump is not taken for unchanged" {
	printf '%s\n' 'pool: 0 131072 thin-pool meta.img data.img 128 0' 'vm: 0 8192 thin pool 0' >pool
	truncate -s 1M meta.img
	truncate -s 64M data.img
	thin_message pool 'create_thin 0'
	churn pool vm 5 30
	thin_materialize pool vm image
	thin_dump meta.img >dump.xml
	churn pool vm 6 30
	thin_materialize pool vm whole
	thin_materialize --since-metadata dump.xml pool vm image
	cmp image whole
}

@test "two devices whose external origins have bytes in common, but not the same ones, differ where their origins do" {
	new_seed 13
	local offset a b
	offset=$((1 + $(pick 3000)))
	head -c $((6000 * 512)) /dev/urandom >base.img
	truncate -s 1M meta.img
	truncate -s 64M data.img
	printf '%s\n' 'pool: 0 131072 thin-pool meta.img data.img 128 0' 'first: 0 3000 linear base.img 0' \
		"second: 0 3000 linear base.img $offset" 'third: 0 2048 striped 2 128 first 0 second 0' \
		'low: 0 3000 thin pool 0' 'high: 0 3000 thin pool 1 second' 'on-base: 0 3000 thin pool 2 base.img' \
		'on-first: 0 3000 thin pool 3 first' 'on-second: 0 3000 thin pool 4 second' 'on-third: 0 3000 thin pool 5 third' \
		'on-low: 0 3000 thin pool 6 low' 'on-high: 0 3000 thin pool 7 high' >pool
	thin_message pool 'create_thin 0' 'create_thin 1' 'create_thin 2'
	churn pool low $RANDOM 5
	churn pool high $RANDOM 5
	churn pool on-base $RANDOM 1
	thin_message pool 'create_snap 3 2' 'create_snap 4 2' 'create_snap 5 2' 'create_snap 6 2' 'create_snap 7 2'
	for a in base first second third low high; do
		thin_materialize -f pool on-$a whole
		for b in base first second third low high; do
			thin_materialize -f pool on-$b image
			thin_materialize --since on-$b pool on-$a image
			cmp image whole
		done
	done
	# the same origin is not taken for another
	thin_message pool 'create_snap 8 7'
	echo 'again: 0 3000 thin pool 8 high' >>pool
	[ -z "$(thin_materialize --map --since on-high pool again)" ]
}

@test "an overlay over a larger image whose device ends inside a sector has zeros in the rest of the sector" {
	new_seed 14
	local size how zip
	printf '%s\n' 'pool: 0 131072 thin-pool meta.img data.img 128 0' 'vm: 0 2048 thin pool 0 base.img' 'same: 0 2048 thin pool 1 base.img' >pool
	truncate -s 1M meta.img
	truncate -s 64M data.img
	head -c 1M /dev/urandom >base.img
	thin_message pool 'create_thin 0'
	churn pool vm $RANDOM 3
	thin_message pool 'create_snap 1 0'
	thin_materialize pool vm vm.img
	for how in '--since vm --backing vm.img,raw pool same' '--backing base.img,raw pool vm'; do
		for zip in '' -c --sparse=always; do
			size=$((512 * (1 + $(pick 2047)) + 1 + $(pick 511)))
			# shellcheck disable=SC2086
			thin_materialize -f --verify --size $size -O qcow2 $zip $how o.qcow2
			qemu-img convert -O raw o.qcow2 got
			{ head -c $size vm.img; head -c $((512 - size % 512)) /dev/zero; } | cmp - got
		done
	done
}

@test "an image of something else is refused in each form, before anything behind the place is written" {
	new_seed 5
	local size at was
	small_pool
	while cmp -s s0.img s1.img; do
		churn pool vm $RANDOM 9
		LINES+=("again: 0 $SECTORS thin pool 101 $ORIGIN")
		thin_message pool 'delete 101' "create_snap 101 $VM"
		thin_materialize -f pool s1 s1.img
	done
	size=$(stat -c %s s0.img)
	# a byte in the first range that differs
	at=$(thin_materialize --since s0 --map pool s1 | awk -v size="$size" '$1 < size { print $1; exit }')
	[ -n "$at" ] || skip "only the end differs"
	cp s0.img wrong
	printf '\xa5\x5a' | dd of=wrong bs=1 seek="$at" conv=notrunc status=none
	cmp -s wrong s0.img && skip "the bytes are the same by chance"
	was=$(sha256sum <wrong)
	run --separate-stderr thin_materialize --since s0 pool s1 wrong
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"wrong: does not hold the bytes of 's0' at offset $at"*"--no-check-base"* ]]
	[ "$(head -c "$size" wrong | sha256sum)" = "$was" ]
	truncate -s "$size" wrong
	run --separate-stderr thin_materialize --since s0 -O qcow2 --backing wrong pool s1 x.qcow2
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"does not hold the bytes of 's0' at offset $at"* ]]
	[ ! -e x.qcow2 ]
	# another size
	truncate -s $((size + 512 * 77)) wrong
	[ "$(stat -c %s s1.img)" -ne $((size + 512 * 77)) ] || truncate -s $((size + 512 * 79)) wrong
	for form in "" "-O qcow2 --backing wrong"; do
		run --separate-stderr thin_materialize --since s0 $form pool s1 $([ -n "$form" ] && echo x.qcow2 || echo wrong)
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"it is not an image of it"* ]]
		[ ! -e x.qcow2 ]
	done
}

@test "of a table with several pools the base is one of the device's pool, and another pool's is refused" {
	cat >pools <<-'TABLE'
	pa: 0 65536 thin-pool a.meta a.data 128 0
	pb: 0 65536 thin-pool b.meta b.data 128 0
	a1: 0 4096 thin pa 1
	a2: 0 4096 thin pa 2
	b1: 0 4096 thin pb 1
	TABLE
	truncate -s 1M a.meta b.meta
	truncate -s 32M a.data b.data
	thin_message --pool pa pools 'create_thin 1'
	thin_message --pool pb pools 'create_thin 1'
	# churn takes a table of one pool
	sed '/^pb:/d; / pb /d' pools >only-a
	sed '/^pa:/d; / pa /d' pools >only-b
	churn only-a a1 1 9
	churn only-b b1 2 9
	thin_message --pool pa pools 'create_snap 2 1'
	thin_materialize pools a1 image
	churn only-a a2 3 9
	thin_materialize pools a2 a2.img
	cp image id
	thin_materialize --since a1 pools a2 image
	cmp image a2.img
	thin_materialize --since 1 pools a2 id
	cmp id a2.img
	# both pools have blocks of one size and times that agree: only the table tells them apart
	thin_materialize pools b1 b1.img
	cp b1.img was
	run --separate-stderr thin_materialize --since b1 pools a2 b1.img
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"--since: "*"'b1' is a device of pool 'pb', not of 'pa'"* ]]
	cmp b1.img was
}

@test "a file that is refused as the base keeps its size" {
	new_seed 32
	ORIGIN= BLOCK=128
	new_pool
	churn pool vm 7 30
	LINES+=("s0: 0 $SECTORS thin pool 101 $ORIGIN")
	write_table "${LINES[@]}"
	thin_message pool 'create_snap 101 0'
	SECTORS=$((SECTORS + 1000))
	LINES[0]="vm: 0 $SECTORS thin pool 0 $ORIGIN"
	write_table "${LINES[@]}"
	churn pool vm 8 30
	# another state of the same size, whose difference is found only where the devices differ
	thin_materialize pool s0 wrong
	at=$(thin_materialize --since s0 --map pool vm | awk 'NR == 1 { print $1 }')
	printf '\245\132\001' | dd of=wrong bs=1 seek="$at" conv=notrunc status=none
	sha256sum <wrong >was
	run --separate-stderr thin_materialize --since s0 pool vm wrong
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"nothing was written"* ]]
	sha256sum <wrong | cmp - was
}

@test "the map of what differs tells bytes, merged, with what they are now" {
	printf '%s\n' 'pool: 0 131072 thin-pool meta.img data.img 128 0' 'a: 0 2048 thin pool 1 base.img' 'b: 0 2560 thin pool 2 base.img' >pool
	cat >pool.xml <<-'XML'
	<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="64">
	  <device dev_id="1" mapped_blocks="6" transaction="0" creation_time="0" snap_time="1">
	    <range_mapping origin_begin="3" data_begin="10" length="4" time="0"/>
	    <single_mapping origin_block="12" data_block="40" time="0"/>
	    <single_mapping origin_block="13" data_block="50" time="0"/>
	  </device>
	  <device dev_id="2" mapped_blocks="4" transaction="1" creation_time="1" snap_time="1">
	    <range_mapping origin_begin="3" data_begin="10" length="1" time="0"/>
	    <range_mapping origin_begin="4" data_begin="20" length="2" time="1"/>
	    <range_mapping origin_begin="8" data_begin="30" length="1" time="1"/>
	  </device>
	</superblock>
	XML
	truncate -s 1M meta.img
	truncate -s 64M data.img
	head -c 430000 /dev/zero >base.img
	thin_restore -i pool.xml -o meta.img
	run --separate-stderr thin_materialize --since a --map pool b
	[ "$status" -eq 0 ]
	[ "$output" = "262144 131072 data 1310720
393216 36784 origin 393216
430000 28752 zero
524288 65536 data 1966080
786432 131072 zero
1048576 262144 zero" ]
	thin_materialize --since a --map=json pool b >map.json
	jq -e '.since == "a" and .dev_id == 2 and (.extents | length == 6) and .extents[1] ==
		{ "begin_bytes": 393216, "length_bytes": 36784, "kind": "origin", "offset_bytes": 393216 }' map.json
	run --separate-stderr thin_materialize --since a --map pool a
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "digests are those of the raw images" {
	new_seed 6
	small_pool
	cp s0.img image
	thin_materialize --since s0 --digest pool s1 image >digests
	[ "$(cat digests)" = "base-sha256 $(sha256sum <s0.img | cut -d' ' -f1)
sha256 $(sha256sum <s1.img | cut -d' ' -f1)" ]
	# an image whose digest cannot be printed is whole all the same
	run --separate-stderr bash -c 'thin_materialize -f --digest pool s1 whole >/dev/full'
	[ "$status" -eq 74 ] && [[ "$stderr" == *"'whole' is complete: only its digest could not be printed" ]]
	cmp whole s1.img
	# of a stream on standard output the digest is printed to standard error
	thin_materialize --since s0 --digest -O rbd-diff pool s1 - >stream 2>err
	grep -q "^sha256 $(sha256sum <s1.img | cut -d' ' -f1)$" err
	[ "$(head -c 11 stream)" = "rbd diff v1" ]
}

@test "the digest of a whole image in any form is taken while it is copied" {
	new_seed 61
	local form want read plain
	new_pool
	change_and_snap 0
	head -c "$((SECTORS * 512))" /dev/urandom | head -c 6000000 | thin_apply --format raw pool s0 2>/dev/null || skip "too small"
	thin_materialize pool s0 s0.img
	want="sha256 $(sha256sum <s0.img | cut -d' ' -f1)"
	for form in "pool s0 out" "--sparse=always pool s0 out" "--sparse=never pool s0 out" "-O qcow2 pool s0 out" "-O qcow2 -c pool s0 out" \
		"-O qcow2 --sparse=always pool s0 out" "-O rbd-diff pool s0 out" "-O rbd-diff pool s0 -" "pool s0 -"; do
		[ "$(thin_materialize -f --digest --reflink=never $form 2>&1 >out2 | cat - out2 | tr -d '\0' | grep -a -o 'sha256 [0-9a-f]*$')" = "$want" ] || { echo "$form"; return 1; }
		[ "$(thin_materialize -f --digest $form 2>&1 >out2 | cat - out2 | tr -d '\0' | grep -a -o 'sha256 [0-9a-f]*$')" = "$want" ] || { echo "$form"; return 1; }
		plain=$(sh -c "thin_materialize -f --reflink=never $form >/dev/null 2>&1; sed -n 's/rchar: //p' /proc/\$\$/io")
		read=$(sh -c "thin_materialize -f --digest --reflink=never $form >/dev/null 2>&1; sed -n 's/rchar: //p' /proc/\$\$/io")
		[ "$read" -lt $((plain + plain / 4)) ] || { echo "$form: $read bytes read, $plain without"; return 1; }
	done
	thin_materialize -f pool s0 out
	cmp out s0.img
	thin_materialize -f --digest --sparse=always pool s0 out >/dev/null
	cmp out s0.img
	thin_materialize --digest pool s0 - 2>/dev/null | cmp - s0.img
	: >out
	thin_materialize --digest -O rbd-diff pool s0 - 2>/dev/null | thin_apply out
	cmp out s0.img
	thin_materialize -f --digest -O qcow2 pool s0 q.qcow2 >/dev/null
	thin_apply -i q.qcow2 out
	cmp out s0.img
}

@test "options that mean nothing together are refused by their names" {
	printf '%s\n' 'pool: 0 131072 thin-pool meta.img data.img 128 0' 'vm: 0 8192 thin pool 0' >pool
	truncate -s 1M meta.img
	truncate -s 64M data.img
	thin_message pool 'create_thin 0'
	local words name
	while IFS='|' read -r words name; do
		# shellcheck disable=SC2086
		run --separate-stderr thin_materialize $words
		[ "$status" -eq 64 ] || { echo "$words: $status $stderr"; return 1; }
		[[ "$stderr" == *"$name"* ]] || { echo "$words: $stderr"; return 1; }
		[ ! -e out ]
	done <<-'WORDS'
	--backing base pool vm out|--backing
	-c pool vm out|--compress
	-O rbd-diff -c pool vm out|--compress
	-O rbd-diff --verify pool vm out|--verify
	-O rbd-diff --sparse=always pool vm out|--sparse=always
	-O rbd-diff --reflink=always pool vm out|--reflink=always
	-O qcow2 --sparse=never pool vm out|--sparse=never
	-O qcow2 -c --reflink=always pool vm out|--reflink=always
	-O qcow2 --target-is-zero pool vm out|--target-is-zero
	-O qcow2 pool vm -|--format qcow2
	-O qcow2 --since vm pool vm out|--backing
	-O vmdk pool vm out|vmdk
	--since vm pool vm -|--since
	--since vm -f pool vm out|--force
	--since vm --reflink=always pool vm out|--reflink=always
	--from-snap a pool vm out|--from-snap
	-O rbd-diff --from-snap a pool vm out|--from-snap
	--to-snap a pool vm out|--to-snap
	--since-size 5M pool vm out|--since-size
	--no-check-base pool vm out|--no-check-base
	--digest --dry-run pool vm out|--digest
	--map -O qcow2 pool vm|--format
	--map --digest pool vm|--digest
	WORDS
}

@test "a base that is not there, and an output that is not there, are named" {
	new_seed 7
	small_pool
	run --separate-stderr thin_materialize --since nobody pool s1 s0.img
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"--since"*"'nobody'"* ]]
	run --separate-stderr thin_materialize --since s0 pool s1 nothing
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"nothing"* ]]
	[ ! -e nothing ]
	run --separate-stderr thin_materialize --since s0 pool s1 data.img
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"is a source"* ]]
	run --separate-stderr thin_materialize --since s0 -O qcow2 --backing nowhere pool s1 x.qcow2
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"nowhere"* ]]
	run --separate-stderr thin_materialize --since s0 -O qcow2 --backing nbd:x pool s1 x.qcow2
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"protocol"*"./nbd:x"* ]]
	run --separate-stderr thin_materialize --since s0 -O qcow2 --backing '' pool s1 x.qcow2
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"--backing: a backing file's name has 1 to 1023 bytes"* ]]
	[ ! -e x.qcow2 ]
}

@test "a backing file's name counts from the folder of the image" {
	new_seed 8
	small_pool
	mkdir -p sub
	mv s0.img sub/
	thin_materialize --since s0 -O qcow2 --backing s0.img pool s1 sub/s1.qcow2 --verify
	need qemu-img
	qemu-img compare -q -f raw -F qcow2 s1.img sub/s1.qcow2
}

@test "increments work with damaged metadata, XML, a table on standard input and another origin" {
	new_seed 9
	small_pool
	cp s0.img a
	cp s0.img b
	cp s0.img c
	thin_materialize --repair --since s0 pool s1 a
	cmp a s1.img
	thin_dump meta.img >dump.xml
	thin_materialize --since 100 --since-size "$(stat -c %s s0.img)" --size "$(stat -c %s s1.img)" --data-dev data.img ${ORIGIN:+--origin $ORIGIN} dump.xml 101 b
	cmp b s1.img
	thin_materialize --since s0 - s1 c <pool
	cmp c s1.img
	[ -n "$ORIGIN" ] || return 0
	# where the origins differ, each block that is read from them may differ
	tr i j <base.img >other.img
	sed -i '/^s1:/s/base.img/other.img/' pool
	thin_materialize -f pool s1 s1.img
	cp s0.img a
	thin_materialize --since s0 pool s1 a
	cmp a s1.img
}

@test "streams of ten random increments lead to the device; rbd merge-diff joins them" {
	new_seed 10
	local i first
	new_pool
	change_and_snap 0
	thin_materialize -O rbd-diff pool s0 joined
	truncate -s 0 image
	thin_apply -i joined image
	for i in 1 2 3 4 5 6 7 8 9 10; do
		change_and_snap $i
		thin_materialize -f pool s$i whole
		thin_materialize --since s$((i - 1)) -O rbd-diff pool s$i - >inc
		thin_apply image <inc
		cmp image whole
		thin_apply --sha256 "$(sha256sum <whole | cut -d' ' -f1)" -i inc image
		cat inc | thin_apply image
		cmp image whole
		if command -v rbd >/dev/null; then
			rbd merge-diff joined inc both >/dev/null 2>&1
			mv both joined
		fi
	done
	if command -v rbd >/dev/null; then
		truncate -s 0 again
		thin_apply -i joined again
		cmp again whole
	fi
}
