#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# A POOL that is not what it seems, behind a table, a stack of lines or thin_lvm.

bats_require_minimum_version 1.5.0
load needs
load things

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	cp "$BATS_FILE_TMPDIR"/{meta,xml,table,data} .
}

@test "thin_repair looks for a pool in what a table names, also where something else is there now" {
	cp meta was
	printf 'QFI\373\0\0\0\3' | dd of=meta conv=notrunc status=none
	run --separate-stderr thin_materialize table a image
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"meta: bad checksum in superblock"* ]]
	thin_materialize --repair table a image 2>/dev/null || [ $? -eq 1 ]
	cp was meta
	thin_materialize table a whole
	cmp image whole
	# nothing of a pool
	truncate -s 0 meta
	printf 'QFI\373\0\0\0\3' >meta
	truncate -s 1M meta
	run --separate-stderr thin_materialize table a image2
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"qcow2"* ]]
	run --separate-stderr thin_repair --dry-run -i table
	[ "$status" -eq 1 ]
	run --separate-stderr thin_materialize --repair table a image2
	[ "$status" -eq 1 ]
	[ ! -e image2 ]
}

@test "XML behind a table is read as XML, and thin_shrink wants it by its own name" {
	cp xml meta
	thin_materialize table a image
	run --separate-stderr thin_shrink -i table -o out.xml --nr-blocks 50 --data data
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"is not XML"* ]]
	[ ! -e out.xml ]
}

@test "XML with an impossible block size gives no image" {
	sed 's/data_block_size="128"/data_block_size="100"/' xml >bad.xml
	run --separate-stderr thin_materialize --data-dev data bad.xml 1 image
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"100"*"block size"* || "$stderr" == *"block size"*"100"* ]]
	[ ! -e image ]
}

@test "a device that is not there is told by the readers of damaged metadata, too" {
	run --separate-stderr thin_materialize --repair --data-dev data meta 99 image
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"meta: device 99 is not among the 3 devices that were found"* ]]
	run --separate-stderr thin_materialize --data-dev data xml 99 image
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"no device 99: it has "*" devices: 1 2 3"* ]]
	run --separate-stderr thin_materialize --data-dev data meta 99 image
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"no device 99 in meta: there are 3 devices: 1 2 3" ]]
	[ ! -e image ]
}

@test "a message about a missing device names one, none, and some of very many" {
	local nr
	for nr in 0 1 60; do
		{
			echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="64">'
			for ((i = 0; i < nr; i++)); do
				echo "<device dev_id=\"$((10000 + i))\" mapped_blocks=\"0\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\"/>"
			done
			echo '</superblock>'
		} >many.xml
		thin_restore -q -i many.xml -o meta
		for from in meta many.xml; do
			run --separate-stderr thin_materialize --data-dev data "$from" 7 image
			[ "$status" -ne 0 ]
			case $nr in
			0) [[ "$stderr" == *"0 devices" ]] ;;
			1) [[ "$stderr" == *"1 device: 10000" ]] ;;
			60) [[ "$stderr" == *"60 devices: 10000 10001 "*" ..." ]] ;;
			esac || { echo "$from $nr: $stderr"; false; }
		done
	done
}

@test "an external origin that begins with lost bytes is told, not judged" {
	printf 'QFI\373' >base
	truncate -s 1M base
	cat >lines <<-'T'
	pool: 0 12800 thin-pool meta data 128 0
	o: 0 8 error
	o: 8 2000 linear base 0
	p: 0 1 linear base 8
	p: 1 2007 error
	q: 0 2 error
	q: 2 2000 linear base 0
	c: 0 2000 thin pool 1 q
	a: 0 2000 thin pool 1 o
	b: 0 2000 thin pool 1 p
	T
	run --separate-stderr thin_materialize lines b image
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"761856 bytes are lost"*"--repair writes the rest, with zeros in the lost places"* ]]
	[ ! -e image ]
	# the device has a block of its own over what is lost
	thin_materialize lines a image
	thin_materialize lines c image2
	cmp image image2
}

@test "a volume of a table without pools goes to standard output, and not over what the table names" {
	printf 'z: 0 8 linear data 0\nt: 0 8 thin nowhere 1\n' >pieces
	head -c 4096 /dev/urandom | dd of=data conv=notrunc status=none
	thin_materialize pieces z - >out
	cmp -n 4096 data out
	[ "$(stat -c %s out)" -eq 4096 ]
	run --separate-stderr bash -c 'exec thin_materialize pieces z - 1<>data'
	[ "$status" -ne 0 ]
	cmp -n 4096 data out
}

@test "a line of a device that the pool does not have is told with those that it has" {
	echo 'n: 0 1024 thin pool 77' >>table
	run --separate-stderr thin_materialize table n image
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"no device 77 in $PWD/meta: there are 3 devices: 1 2 3" || "$stderr" == *"no device 77 in meta: there are 3 devices: 1 2 3" ]] || { echo "$stderr"; false; }
}

@test "a shared part without mappings is nothing, however often it is named" {
	cat >defs.xml <<-'XML'
	<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="64">
	  <def name="0">
	  </def>
	  <def name="1">
	    <single_mapping origin_block="1" data_block="5" time="0"/>
	  </def>
	  <device dev_id="1" mapped_blocks="1" transaction="0" creation_time="0" snap_time="0">
	    <ref name="0"/>
	    <ref name="0"/>
	    <ref name="1"/>
	  </device>
	</superblock>
	XML
	head -c 65536 /dev/urandom | dd of=data bs=65536 seek=5 conv=notrunc status=none
	thin_materialize --size 131072 --data-dev data defs.xml 1 image
	cmp <(tail -c 65536 image) <(dd if=data bs=65536 skip=5 count=1 status=none)
	cmp <(head -c 65536 image) <(head -c 65536 /dev/zero)
}

@test "metadata in standard output has the size that is asked for" {
	thin_restore -q -i xml -o - --size 2M >out
	[ "$(stat -c %s out)" -eq $((2 * 1048576)) ]
	thin_check -q out
}

@test "a backup's block size that no pool has is no hint, its transaction is" {
	cat >backup <<-'T'
	vg { extent_size = 128 logical_volumes { pool { segment_count = 1 segment1 {
		start_extent = 0 extent_count = 100 type = "thin-pool" transaction_id = 5 chunk_size = 100 } } } }
	T
	dd if=/dev/zero of=meta bs=4096 count=1 conv=notrunc status=none
	run --separate-stderr thin_repair --dry-run --vg-backup backup -i meta
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"the superblock's data block size is lost: give it to thin_repair with --data-block-size"* ]]
	# the readers that have no such option tell the command that has
	for command in "thin_materialize --repair --data-dev data meta 1 image" "thin_dump --repair meta"; do
		run --separate-stderr $command
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"give it to thin_repair with --data-block-size"* ]]
	done
	thin_materialize --repair table a image 2>/dev/null || [ $? -eq 1 ]
	[ -f image ] # the table has it
	sed -i 's/chunk_size = 100/chunk_size = 128/' backup
	run --separate-stderr thin_repair --dry-run --vg-backup backup -i meta
	[[ "$stderr" != *"data block size is lost"* ]]
}

@test "a size above all devices is refused, given or in the table" {
	run --separate-stderr thin_materialize --size 9223372036854775808 --data-dev data meta 1 image
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"9223372036854775808"* ]]
	sed -i 's/^a: 0 1024/a: 0 18014398509481984/' table
	run --separate-stderr thin_materialize table a image
	[ "$status" -ne 0 ]
	[ ! -e image ]
}

@test "a device without a line is read without a warning where its origin is given" {
	echo 'b: 0 1024 thin pool 2 base' >>table
	head -c 512K /dev/urandom >base
	run --separate-stderr thin_materialize --size 512K table 3 image
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"is read without an external origin"* ]]
	run --separate-stderr thin_materialize -f --size 512K --origin base table 3 image
	[ "$status" -eq 0 ]
	[[ "$stderr" != *"is read without an external origin"* ]]
}

# stand_in SCRIPT: copies of the commands, beside which thin_lvm is this script
stand_in() {
	mkdir -p bin
	cp "$(command -v thin_ls)" "$(command -v thin_check)" bin/
	printf '#!/bin/sh\n%s\n' "$1" >bin/thin_lvm
	chmod +x bin/thin_lvm
}

@test "what thin_lvm says and how it ends is told, whatever that is" {
	need_plain "a command that was copied"
	truncate -s 2M pv
	python3 - <<-'PY'
	# the label of a physical volume without areas
	import struct, zlib
	def crc(data):
	    c = 0xf597a6cf
	    for b in data:
	        c ^= b
	        for _ in range(8):
	            c = c >> 1 ^ (0xedb88320 if c & 1 else 0)
	    return c
	s = bytearray(512)
	s[0:8] = b"LABELONE"
	struct.pack_into("<Q", s, 8, 1)
	struct.pack_into("<I", s, 20, 32)
	s[24:32] = b"LVM2 001"
	s[32:64] = b"p" * 32
	struct.pack_into("<Q", s, 64, 2 << 20)
	struct.pack_into("<I", s, 16, crc(s[20:]))
	with open("pv", "r+b") as f:
	    f.seek(512)
	    f.write(s)
	PY
	while IFS='|' read -r script status want; do
		stand_in "$script"
		run --separate-stderr bin/thin_check pv
		[ "$status" -eq "${status:-1}" ] && [[ "$stderr" == *"$want"* ]] || { echo "$script: $status $stderr"; false; }
	done <<-'CASES'
	exit 1|1|pv: thin_lvm found no volume group on it
	exit 74|74|pv: thin_lvm found no volume group on it
	exit 3|1|pv: thin_lvm failed
	kill -9 $$|1|pv: thin_lvm failed
	echo nonsense|1|nonsense
	CASES
	rm bin/thin_lvm
	PATH=/usr/bin:/bin run --separate-stderr bin/thin_check pv
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"pv is a disk with LVM, and thin_lvm, which reads it, cannot be started; 'thin_lvm pv' prints a table file"* ]]
	while IFS='|' read -r script status want; do
		stand_in "$script"
		run --separate-stderr bin/thin_check --take-metadata-snap vg/pool
		[[ "$stderr" == *"$want"* ]] || { echo "$script: $stderr"; false; }
	done <<-'CASES'
	echo 'thin_lvm: with its name' >&2; exit 1|1|thin_check: with its name
	echo 'without its name' >&2; exit 1|1|thin_check: without its name
	exit 74|74|thin_lvm failed
	exit 1|1|thin_lvm failed
	CASES
}
