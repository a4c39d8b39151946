#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What an increment asks of its base: is this file its image, is this dump its past?
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# write_pool XML NR: device 1 has NR blocks, none beside its neighbour; device 2 has others for the first two of them
write_pool() {
	awk -v nr="$2" -v size="${3:-128}" 'BEGIN {
		print "<superblock uuid=\"\" time=\"1\" transaction=\"1\" version=\"2\" data_block_size=\"" size "\" nr_data_blocks=\"" 2 * nr + 2 "\">"
		for (d = 1; d <= 2; d++) {
			print "<device dev_id=\"" d "\" mapped_blocks=\"" nr "\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">"
			for (i = 0; i < nr; i++)
				print "<single_mapping origin_block=\"" i "\" data_block=\"" 2 * i + (d == 2 && i < 2) "\" time=\"" (d == 2 && i < 2) "\"/>"
			print "</device>"
		}
		print "</superblock>"
	}' >"$1"
}

# A pool of 300 blocks, the table of both devices, and the image of the first
new_pool() {
	write_pool pool.xml 300
	truncate -s 1M meta
	thin_restore -q -i pool.xml -o meta
	head -c $((602 * 65536)) /dev/urandom >data
	printf '%s\n' 'pool: 0 77056 thin-pool meta data 128 0' 'one: 0 38400 thin pool 1' 'two: 0 38400 thin pool 2' >table
	thin_materialize table one image
	thin_materialize table two whole
}

# spoil FILE FIRST: a byte of each block from FIRST on is another one
spoil() {
	python3 - "$1" "$2" <<-'PY'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    for i in range(int(sys.argv[2]), 300):
	        f.seek(i * 65536 + 5)
	        was = f.read(1)[0]
	        f.seek(i * 65536 + 5)
	        f.write(bytes([was ^ 1]))
	PY
}

@test "an image that differs where the device did not change is refused, be it at its begin or behind many blocks" {
	local first form
	need python3
	new_pool
	for first in 2 200; do
		for form in '' '-O qcow2 --backing wrong'; do
			cp image wrong
			spoil wrong $first
			cp wrong was
			# shellcheck disable=SC2086
			run --separate-stderr thin_materialize --since one $form table two $([ -n "$form" ] && echo x.qcow2 || echo wrong)
			[ "$status" -eq 1 ]
			[[ "$stderr" == *"wrong: does not hold the bytes of 'one' at offset "*"--no-check-base"* ]]
			at=${stderr#*at offset }
			at=${at%%:*}
			[ $((at % 65536)) -eq 5 ]
			[ $((at / 65536)) -ge $first ]
			cmp wrong was
			[ ! -e x.qcow2 ]
		done
	done
	thin_materialize --since one table two image
	cmp image whole
}

@test "--verify of an overlay finds that its unchecked backing file is no image of the base" {
	need python3
	new_pool
	cp image wrong
	spoil wrong 100
	run --separate-stderr thin_materialize --since one -O qcow2 --backing wrong --no-check-base --verify table two x.qcow2
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"differs from the device at offset $((100 * 65536 + 5)): 0x"*"its backing file is not an image of the base"* ]]
	thin_materialize -f --since one -O qcow2 --backing image --no-check-base --verify table two x.qcow2
}

@test "a backing file of another machine is named unchecked, if its format is told" {
	new_pool
	run --separate-stderr thin_materialize --since one -O qcow2 --backing elsewhere --no-check-base table two x.qcow2
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"elsewhere"* ]]
	[ ! -e x.qcow2 ]
	run --separate-stderr thin_materialize --since one -O qcow2 --backing elsewhere,raw table two x.qcow2
	[ "$status" -ne 0 ]
	thin_materialize --since one -O qcow2 --backing elsewhere,raw --no-check-base table two x.qcow2
	mv image elsewhere
	need qemu-img
	qemu-img compare -q -f raw -F qcow2 whole x.qcow2
}

@test "--backing without --since needs a device with an external origin" {
	new_pool
	run --separate-stderr thin_materialize -O qcow2 --backing image table one x.qcow2
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"the device has no external origin"* ]]
	[ ! -e x.qcow2 ]
}

@test "an overlay's backing file is as large as the base, up to the end of its last sector" {
	new_pool
	sed -i 's/^one: 0 38400/one: 0 38000/' table
	thin_materialize -f --size $((38400 * 512 - 100)) table one odd
	truncate -s %512 odd
	thin_materialize --since one --since-size $((38400 * 512 - 100)) -O qcow2 --backing odd,raw table two x.qcow2
	truncate -s +512 odd
	run --separate-stderr thin_materialize -f --since one --since-size $((38400 * 512 - 100)) -O qcow2 --backing odd,raw table two x.qcow2
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"it is not an image of it"* ]]
}

@test "an older dump with blocks of another size is no base" {
	new_pool
	write_pool other.xml 100 256
	cp image was
	run --separate-stderr thin_materialize --since one --since-metadata other.xml --no-check-base table two image
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"'other.xml' has another block size than the pool"* ]]
	cmp image was
}

@test "an older dump is a base where devices are numbers, sizes are options or guesses, and no origin is looked for" {
	local options
	new_pool
	for options in '--since 1 --since-metadata pool.xml --since-size 19660800' \
		'--since 1 --since-metadata pool.xml' '--since 1 --since-metadata pool.xml --no-origin' \
		'--since 1 --since-metadata pool.xml --size 19660800'; do
		cp image a
		# shellcheck disable=SC2086
		thin_materialize $options --data-dev data meta 2 a
		cmp a whole
		cp image a
		# shellcheck disable=SC2086
		thin_materialize $options table two a
		cmp a whole
	done
	# shellcheck disable=SC2086
	cp image a
	thin_materialize --since one --since-metadata pool.xml --since-size 19660800 table two a
	cmp a whole
}

@test "a base without a line in the table is as large as its --since-size, or as --size says" {
	new_pool
	sed -i /^one:/d table
	cp image a
	run --separate-stderr thin_materialize --since 1 table two a
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"--since"*"device 1"* ]]
	cmp a image
	thin_materialize --since 1 --since-size 19660800 table two a
	cmp a whole
	cp image a
	thin_materialize --since 1 --size 19660800 table two a
	cmp a whole
}

@test "a device with an external origin and one without differ where the origin is read" {
	local a b
	new_pool
	head -c 30000000 /dev/urandom >base.img
	printf '%s\n' 'pool: 0 77056 thin-pool meta data 128 0' 'one: 0 50000 thin pool 1 base.img' 'two: 0 50000 thin pool 2' >table
	for a in one two; do
		[ "$a" = one ] && b=two || b=one
		thin_materialize -f table "$a" image
		thin_materialize -f table "$b" whole
		thin_materialize --since "$a" table "$b" image
		cmp image whole
	done
}
