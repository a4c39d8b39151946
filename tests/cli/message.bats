#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_message: what dmsetup message does, to an inactive pool.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 2M meta
	truncate -s 64M data
	echo 'pool: 0 131072 thin-pool meta data 128 0' >table
}

# The superblock's u64 (or u32 with $2 = 4) at byte $1.
field() {
	od -An -t "u${2:-8}" -j "$1" -N "${2:-8}" meta | tr -d ' '
}

refused() {
	local before
	before=$(sha256sum meta)
	run --separate-stderr thin_message "$@"
	[ "$status" -eq 1 ]
	[ "$before" = "$(sha256sum meta)" ]
}

@test "thin_message: a zeroed pool is formatted from its table" {
	thin_message table 'create_thin 0'
	[ "$(field 32)" = 27022010 ]
	[ "$(field 40 4)" = 2 ]
	[ "$(field 64)" = 1024 ]
	[ "$(field 192)" = 512 ]
	[ "$(field 336 4)" = 128 ]
}

@test "thin_message: a zeroed pool without a table is refused, and says why" {
	refused meta 'create_thin 0'
	[[ "$stderr" == *unformatted* ]]
	cmp meta /dev/zero -n 2097152
}

@test "thin_message: an existing device id is refused and nothing changes" {
	thin_message table 'create_thin 3'
	refused meta 'create_thin 3'
	[[ "$stderr" == *"device 3 exists already"* ]]
	refused meta 'create_snap 3 3'
}

@test "thin_message, thin_apply: damage that they meet names thin_check" {
	thin_message table 'create_thin 3'
	for at in 320 328; do
		cp meta broken
		dd if=/dev/zero of=broken bs=4096 seek="$(od -An -tu8 -j$at -N8 broken | tr -d ' ')" count=1 conv=notrunc status=none
		refused broken 'create_thin 4'
		[[ "$stderr" == *"run thin_check for details: 'thin_check broken'"* ]]
		echo text >image
		run -1 --separate-stderr thin_apply -O raw -i image --data-dev data broken 3
		[[ "$stderr" == *"run thin_check for details: 'thin_check broken'"* ]]
	done
}

@test "thin_message: a snapshot needs its origin" {
	thin_message table 'create_thin 3'
	refused meta 'create_snap 4 7'
	[[ "$stderr" == *"origin device 7 does not exist; 'thin_ls "*"' lists the devices"* ]]
	thin_message meta 'create_snap 4 3'
	[ "$(field 44 4)" = 1 ]
}

@test "thin_message: deleting a device that is not there is refused" {
	thin_message table 'create_thin 3'
	refused meta 'delete 4'
	[[ "$stderr" == *"device 4 does not exist"* ]]
	thin_message meta 'delete 3'
	refused meta 'delete 3'
}

@test "thin_message: set_transaction_id is refused when the old id is wrong" {
	thin_message table 'create_thin 3' set_transaction_id 0 41
	[ "$(field 48)" = 41 ]
	refused meta 'set_transaction_id 40 42'
	[[ "$stderr" == *"transaction id is 41, not 40"* ]]
}

@test "thin_message: one refused message of several undoes all of them" {
	thin_message table 'create_thin 1'
	refused meta 'create_thin 2' 'set_transaction_id 0 5' 'delete 9'
	[ "$(field 48)" = 0 ]
	thin_message meta 'create_thin 2'
}

@test "thin_message: a metadata snapshot is held once and let go once" {
	thin_message table 'create_thin 1'
	refused meta release_metadata_snap
	[[ "$stderr" == *"no metadata snapshot is held"* ]]
	thin_message meta reserve_metadata_snap
	[ "$(field 56)" != 0 ]
	refused meta reserve_metadata_snap
	[[ "$stderr" == *"held already"* ]]
	thin_message meta 'delete 1' release_metadata_snap
	[ "$(field 56)" = 0 ]
}

@test "thin_message: data and metadata maps grow with their devices" {
	thin_message table 'create_thin 1'
	truncate -s 4M meta
	truncate -s 128M data
	echo 'pool: 0 262144 thin-pool meta data 128 0' >table
	thin_message table 'create_thin 2'
	[ "$(field 64)" = 2048 ]
	[ "$(field 192)" = 1024 ]
}

@test "thin_message: devices that have shrunk are refused" {
	thin_message table 'create_thin 1'
	echo 'pool: 0 65536 thin-pool meta data 128 0' >small
	refused small 'create_thin 2'
	[[ "$stderr" == *"data device has 512 blocks"* ]]
	truncate -s 1M meta
	refused meta 'create_thin 2'
	[[ "$stderr" == *"has 256 blocks"* ]]
}

@test "thin_message: a table with another block size names both sizes" {
	thin_message table 'create_thin 1'
	echo 'pool: 0 131072 thin-pool meta data 256 0' >other
	refused other 'create_thin 2'
	[[ "$stderr" == *256*128* ]]
}

@test "thin_message: full metadata is refused before the reserve is touched" {
	truncate -s 256K meta
	echo 'pool: 0 131072 thin-pool meta data 128 0' >table
	n=0
	while thin_message -q table "create_thin $n"; do n=$((n + 1)); [ $n -lt 100 ]; done
	[ $n -gt 30 ]
	refused table 'create_thin 1000'
	[[ "$stderr" == *"out of metadata space"* ]]
	thin_message table 'delete 0' 'delete 1'
	thin_message table 'create_thin 1000'
}

@test "thin_message: metadata whose last blocks a commit lacks is refused as any full metadata, whatever its size" {
	local size n
	for size in 48 56 64 72 80; do
		rm meta
		truncate -s ${size}K meta
		for n in 1 2 3 4 5 6 7 8; do
			run --separate-stderr thin_message table "create_thin $n"
			[ "$status" -eq 0 ] || [ "$status" -eq 1 ]
		done
		refused table 'create_thin 9'
		[[ "$stderr" == *"no free metadata block"* || "$stderr" == *"out of metadata space"* ]]
	done
}

@test "thin_message: --dry-run judges and writes nothing" {
	thin_message table 'create_thin 1'
	before=$(sha256sum meta)
	thin_message -n meta 'create_thin 2'
	[ "$before" = "$(sha256sum meta)" ]
	refused -n meta 'create_thin 1'
}

@test "thin_message: --dry-run says what the run says where metadata are full" {
	printf '<superblock uuid="" time="0" transaction="0" flags="0" version="2" data_block_size="128" nr_data_blocks="100">\n</superblock>\n' >xml
	seen=
	for blocks in {10..18}; do
		for messages in 'create_thin 1' 'create_thin 1;create_snap 2 1' 'create_thin 1;reserve_metadata_snap'; do
			IFS=';' read -ra list <<<"$messages"
			truncate -s 0 small && truncate -s $((blocks * 4096)) small
			thin_restore -q -i xml -o small 2>err || continue
			before=$(sha256sum small)
			dry=0 real=0
			thin_message -n small "${list[@]}" 2>err || dry=$?
			[ "$before" = "$(sha256sum small)" ]
			thin_message small "${list[@]}" 2>err || real=$?
			[ "$dry" = "$real" ] || { echo "$blocks blocks, $messages: $dry, $real"; return 1; }
			seen+=$real
		done
	done
	[[ "$seen" == *0* && "$seen" == *1* ]]
}

@test "thin_message: a table that says read_only is obeyed" {
	thin_message table 'create_thin 1'
	echo 'pool: 0 131072 thin-pool meta data 128 0 1 read_only' >table
	refused table 'create_thin 2'
	[[ "$stderr" == *read_only* ]]
}

@test "thin_message: mistakes in messages exit 64 and name the word" {
	thin_message table 'create_thin 1'
	for m in 'creat_thin 2' 'create_thin' 'create_thin x' 'create_thin 16777216' 'delete 1 2' 'create_snap 1'; do
		run --separate-stderr thin_message meta "$m"
		[ "$status" -eq 64 ] || { echo "$m: $status"; return 1; }
	done
	[[ "$stderr" == *"create_snap ID ORIGIN_ID"* ]]
}

@test "thin_message: a file that another writer holds is busy" {
	thin_message table 'create_thin 1'
	exec 9<meta
	flock 9
	run --separate-stderr thin_message meta 'create_thin 2'
	[ "$status" -eq 74 ]
	[[ "$stderr" == *busy* ]]
}
