#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What an increment asks of its base: is this file its image, is this dump its past?
bats_require_minimum_version 1.5.0
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
			run --separate-stderr thin_materialize --since one $form table two "$([ -n "$form" ] && echo x.qcow2 || echo wrong)"
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

@test "--verify of an update finds that the output was no image of the base where nothing was written" {
	new_pool
	cp image wrong
	printf x | dd of=wrong bs=1 seek=$((65536 * 250 + 7)) conv=notrunc status=none
	run --separate-stderr thin_materialize --since one --no-check-base --verify table two wrong
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"wrong: differs from the image at offset $((65536 * 250 + 7)): "*"it was not an image of the base, or "* ]]
	thin_materialize --since one --no-check-base --verify table two image
}

@test "--verify reads holes neither of the sources nor of the image, but finds bytes of the image where a source has a hole" {
	local form seek=$((600 << 30))
	new_pool
	truncate -s 1T origin
	printf base | dd of=origin bs=1 seek=$((500 << 30)) conv=notrunc status=none
	truncate -s 20000000 data # blocks that are mapped are holes, too
	truncate -s 39452672 data
	for form in '' '-O qcow2' '-O qcow2 --backing origin,raw'; do
		# shellcheck disable=SC2086
		timeout 60 thin_materialize -q -f --data-dev data --origin origin --size 1T --verify $form meta 1 out
	done
	# an overlay whose backing file has bytes where the base has a hole, and an update of such a file
	sed -i 's/ 38400 thin.*/& origin/; s/38400/2147483648/' table
	thin_materialize -f table one image
	printf x | dd of=image bs=1 seek="$seek" conv=notrunc status=none
	run --separate-stderr thin_materialize --since one -O qcow2 --backing image --no-check-base --verify table two x.qcow2
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"differs from the device at offset $seek: 0x"* ]] || { echo "$stderr"; return 1; }
	run --separate-stderr thin_materialize --since one --no-check-base --verify table two image
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"differs from the image at offset $seek: 0x78 instead of 0x00"* ]] || { echo "$stderr"; return 1; }
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

@test "an overlay does not take the place of a file of its backing file's chain, by whichever name" {
	local to check
	need qemu-img
	new_pool
	qemu-img create -q -f qcow2 -b image -F raw low.qcow2
	qemu-img create -q -f qcow2 -b low.qcow2 -F qcow2 high.qcow2
	ln low.qcow2 hard
	ln -s image soft
	sha256sum image low.qcow2 high.qcow2 >was
	for to in low.qcow2 hard soft image high.qcow2; do
		for check in '' --no-check-base; do
			# shellcheck disable=SC2086
			run --separate-stderr thin_materialize -f $check --since one -O qcow2 --backing high.qcow2,qcow2 table two $to
			[ "$status" -eq 64 ]
			[[ "$stderr" == *"$to: is a source "*"name another output"* ]]
			sha256sum --quiet -c was
		done
	done
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
		thin_materialize --since 1 --data-dev data meta 2 a
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

@test "a size of the base above all devices is a wrong command line" {
	new_pool
	run --separate-stderr thin_materialize --since 1 --since-size 9223372036854775808 table two image
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"--since: 9223372036854775808 bytes are too large a size for a device"* ]]
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

@test "since an older dump the base has the origin of its own line, not that of the device" {
	local a b options
	new_pool
	head -c 20000000 /dev/urandom >one.img
	head -c 15000000 /dev/urandom >two.img
	printf '%s\n' 'pool: 0 77056 thin-pool meta data 128 0' 'one: 0 50000 thin pool 1 one.img' 'two: 0 50000 thin pool 2 two.img' \
		'none: 0 50000 thin pool 3' 'low: 0 29000 linear two.img 0' 'high: 0 50000 thin pool 3 low' >table
	sed -i 's/<.superblock>/<device dev_id="3" mapped_blocks="0" transaction="0" creation_time="0" snap_time="0"><\/device>&/' pool.xml
	thin_restore -q -i pool.xml -o meta
	for a in one two none 1 high; do
		for b in one two none high; do
			thin_materialize -f table "$a" image
			thin_materialize -f table "$b" whole
			thin_materialize --since "$a" --since-metadata pool.xml -O rbd-diff table "$b" - | thin_apply image
			cmp image whole || { echo "from $a to $b" >&2; return 1; }
		done
	done
}

@test "a block that was freed and taken again since an older dump, with the same place, is read again" {
	new_pool
	# in the dump the mappings of block 5 and 6 have another time; 7 is in place in both, from before the snapshot
	sed 's/\(origin_block="[56]" data_block="[0-9]*" time="\)0/\11/' pool.xml >now.xml
	thin_restore -q -i now.xml -o meta
	head -c 131072 /dev/urandom | dd of=data bs=65536 seek=10 conv=notrunc status=none
	head -c 65536 /dev/urandom | dd of=data bs=65536 seek=12 conv=notrunc status=none
	thin_materialize -f table two whole
	thin_materialize --since 1 --since-metadata pool.xml --no-check-base table two image
	cmp whole image
}

@test "an overlay since an older dump is checked as far as the dump's bytes are known" {
	new_pool
	thin_materialize --since one --since-metadata pool.xml -O qcow2 --backing image table two x.qcow2
	truncate -s $((38400 * 512)) y
	thin_apply -i x.qcow2 y
	cmp whole y
	run --separate-stderr thin_materialize --digest --since one --since-metadata pool.xml --no-check-base table two image
	[ "$status" -eq 0 ]
	[[ "$output$stderr" == *"$(sha256sum <whole | cut -d' ' -f1)"* ]]
}

@test "an overlay over an external origin that is not looked at hides what lies behind the origin's end" {
	new_pool
	head -c $((1000 * 512)) /dev/urandom >base.img
	printf '%s\n' 'pool: 0 77056 thin-pool meta data 128 0' 'big: 0 60000 thin pool 1 base.img' >table
	thin_materialize -f table big whole
	# a larger file than the origin stands under the overlay
	{ cat base.img; head -c $((59000 * 512)) /dev/urandom; } >larger
	thin_materialize --digest -O qcow2 --backing larger,raw --no-check-base table big x.qcow2 >said 2>&1
	truncate -s $((60000 * 512)) got
	thin_apply -i x.qcow2 got
	cmp whole got
	[[ "$(cat said)" == *"$(sha256sum <whole | cut -d' ' -f1)"* ]]
	# a device that ends inside a sector, behind the base's end
	thin_materialize -f --size $((38400 * 512 + 100)) table big whole
	thin_materialize -f --size $((38400 * 512 + 100)) -O qcow2 --backing base.img,raw table big x.qcow2
	rm got
	truncate -s $((38400 * 512 + 512)) got
	thin_apply -i x.qcow2 got
	cmp -n $((38400 * 512 + 100)) whole got
	cmp <(tail -c 412 got) <(head -c 412 /dev/zero)
}

@test "the snapshots of a stream are named by options, as long as a name may be" {
	local long
	new_pool
	long=$(head -c 4096 /dev/zero | tr '\0' x)
	thin_materialize -O rbd-diff --since one --from-snap monday --to-snap tuesday table two x.rbd
	cmp -n 41 x.rbd <(printf 'rbd diff v1\nf\6\0\0\0mondayt\7\0\0\0tuesdays\0\0\54\1\0\0\0\0')
	for option in from to; do
		run --separate-stderr thin_materialize -O rbd-diff --since one --$option-snap "$long$long" table two y.rbd
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"the name of a snapshot has at most "* ]]
		[ ! -e y.rbd ]
	done
}

@test "the zeros of a device of any size are one record of a stream, and cost no time" {
	local at len
	new_pool
	sed '/^two:/s/0 [0-9]* thin/0 14000000000000000 thin/' table >large
	timeout 20 thin_materialize -O rbd-diff large two x.rbd
	[ "$(stat -c %s x.rbd)" -lt 21000000 ]
	timeout 20 thin_materialize -O rbd-diff --since one large two y.rbd
	[ "$(stat -c %s y.rbd)" -lt 21000000 ]
	# the last record is of zeros, and ends where the device does
	tail -c 18 x.rbd | od -An -t c -N 1 | grep -q z
	read -r at len <<<"$(tail -c 17 x.rbd | od -An -t u8 -N 16)"
	[ $((at + len)) -eq $((14000000000000000 * 512)) ]
}

@test "zeros are written to an image that is brought up to date, as holes or as bytes, and without a look at the base" {
	local options
	new_pool
	# blocks 10 to 19 of the second device are gone, and 30 has bytes that are zeros
	awk '/dev_id="2"/ { two = 1; sub(/mapped_blocks="300"/, "mapped_blocks=\"290\"") } !(two && /origin_block="1[0-9]"/)' pool.xml |
		sed '/dev_id="2"/,$s/origin_block="30" data_block="60" time="0"/origin_block="30" data_block="61" time="1"/' >holes.xml
	thin_restore -q -i holes.xml -o meta
	dd if=/dev/zero of=data bs=65536 seek=61 count=1 conv=notrunc status=none
	thin_materialize -f table two whole
	for options in '' --no-check-base --sparse=never '--sparse=never --no-check-base'; do
		cp image a
		# shellcheck disable=SC2086
		thin_materialize --since one $options table two a
		cmp a whole
	done
	[ "$(stat -c %b a)" -ge $((300 * 128)) ]
}

@test "an image that cannot become larger stays as it was" {
	new_pool
	sed -i 's/^two: 0 38400/two: 0 50000/' table
	cp image was
	run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 20000; exec thin_materialize --since one table two image'
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"image: setting its size to 25600000 bytes: File too large"* ]]
	cmp image was
}

@test "a qcow2 image that no reader would take is refused, also by --dry-run" {
	new_pool
	run --separate-stderr thin_materialize -O qcow2 --size $((2 ** 51 + 512)) --data-dev data meta 1 x.qcow2
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"$((2 ** 51 + 512)) bytes are more than the $((2 ** 51)) that a qcow2 image with clusters of 65536 bytes can have"* ]]
	[ ! -e x.qcow2 ]
	run --separate-stderr thin_materialize -n -O qcow2 --size $((2 ** 51 + 512)) --data-dev data meta 1 x.qcow2
	[ "$status" -eq 1 ]
	thin_materialize -n -O qcow2 --size $((2 ** 51)) --data-dev data meta 1 x.qcow2
}

@test "standard output that is the data device, and an image that exists, are left alone" {
	new_pool
	cp data was
	run --separate-stderr bash -c 'exec thin_materialize --data-dev data meta 1 - 1<>data'
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"standard output"*"data"* ]]
	cmp data was
	cp image was
	thin_materialize -n -f table two image
	cmp image was
}

# Device 1 has data blocks 0, 1 and 9, device 2 has block 0, and device 3 all that device 1 has: the pool as it
# was, and the images of all.
three_devices() {
	cat >pool.xml <<-'XML'
	<superblock uuid="" time="1" transaction="1" version="2" data_block_size="128" nr_data_blocks="10">
	  <def name="a"><single_mapping origin_block="0" data_block="9" time="0"/><range_mapping origin_begin="1" data_begin="0" length="2" time="0"/></def>
	  <device dev_id="1" mapped_blocks="3" transaction="0" creation_time="0" snap_time="1"><ref name="a"/></device>
	  <device dev_id="2" mapped_blocks="1" transaction="0" creation_time="0" snap_time="1"><single_mapping origin_block="1" data_block="0" time="0"/></device>
	  <device dev_id="3" mapped_blocks="3" transaction="0" creation_time="0" snap_time="1"><ref name="a"/></device>
	</superblock>
	XML
	truncate -s 1M meta
	thin_restore -q -i pool.xml -o meta
	head -c 655360 /dev/urandom >data
	head -c 180000 /dev/urandom >base
	printf '%s\n' 'pool: 0 1280 thin-pool meta data 128 0' "one: 0 384 thin pool 1 ${1:-}" "two: 0 384 thin pool 2 ${1:-}" "three: 0 384 thin pool 3 ${1:-}" >table
	for d in one two three; do
		thin_materialize table $d $d.img
	done
}

# each_increment_is_right FROM TO OPTIONS...: in each form, with FROM.img as the image of the base
each_increment_is_right() {
	local from=$1 to=$2
	shift 2
	cp $from.img x
	thin_materialize "$@" --since $from --verify table $to x
	cmp x $to.img
	thin_materialize -f "$@" --since $from -O rbd-diff table $to x.rbd
	cp $from.img x
	thin_apply -i x.rbd x
	cmp x $to.img
	thin_materialize -f "$@" --since $from -O qcow2 --backing $from.img --verify table $to x.qcow2
	cp $from.img x
	thin_apply -i x.qcow2 --top x
	cmp x $to.img
}

@test "bytes that only the base of an increment has lost are not needed, with and without --repair" {
	three_devices
	truncate -s 589824 data
	each_increment_is_right one two
	each_increment_is_right one two --repair
	run --separate-stderr thin_materialize --repair --since one --map table two
	[ "$output" = "0 65536 zero
131072 65536 zero" ]
	[ -z "$stderr" ]
	run --separate-stderr thin_materialize --since one --digest table two one.img
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"--digest: bytes of 'one' are lost, so its digest is not known"* ]]
	# an image of the base may still have what both devices have lost
	cp one.img x
	run --separate-stderr thin_materialize --repair --since one --verify table three x
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"65536 bytes at 0: the image has zeros there, or what the base's image has"* ]]
	cmp x three.img
}

@test "all of a whole device counts as different where --repair finds that its base has lost mappings" {
	three_devices base
	need python3
	python3 - <<-'PY'
	import struct
	with open("meta", "r+b") as f:
	    for at in range(4096, 20 * 4096, 4096):
	        f.seek(at)
	        b = f.read(4096)
	        # flags of a leaf, nr_entries, value_size, keys
	        if struct.unpack_from("<I", b, 4) + struct.unpack_from("<IxxxxIxxxxQQQ", b, 16) == (2, 3, 8, 0, 1, 2):
	            f.seek(at)
	            f.write(b"\x55" * 4096)
	PY
	run --separate-stderr thin_materialize --repair --since one --map table two
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"note: mappings of 'one' are lost, so all of 'two' counts as different"* ]]
	each_increment_is_right one two --repair
}
