#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Increments on block devices; overlays larger than what they lie over; an image of something else.

bats_require_minimum_version 1.5.0
load needs
load increment.bash

# two_states: snapshots s0 and s1 of a pool, their images and the increment in each form
two_states() {
	small_pool
	thin_materialize --since s0 -O rbd-diff pool s1 inc.rbd
	thin_materialize --since s0 -O qcow2 --backing s0.img pool s1 inc.qcow2
}

# disk FILE [SECTOR]: a loop device over a file of 32 MiB of junk, which becomes s0
disk() {
	rm -f "$1"
	yes junk | head -c 32M >"$1"
	loop ${2:+-b $2} "$1"
	thin_apply -f -i s0.img "$LOOP"
	cmp -n "$(stat -c %s s0.img)" s0.img "$LOOP"
}

# What lies behind the image is still the junk that lay there
junk_behind() {
	cmp -i "$1:$1" "$2" <(yes junk | head -c 32M)
}

@test "a block device is brought up to date by an increment of each form, and what lies behind the image stays" {
	need_root
	new_seed 31
	two_states
	local sector size form
	size=$(stat -c %s s1.img)
	[ "$size" -ge "$(stat -c %s s0.img)" ] || size=$(stat -c %s s0.img)
	for sector in 512 4096; do
		for form in since rbd pipe qcow2 raw; do
			disk "disk.$form$sector" $sector
			case $form in
			since) thin_materialize --since s0 pool s1 "$LOOP" ;;
			rbd) thin_apply -i inc.rbd "$LOOP" ;;
			pipe) thin_apply "$LOOP" <inc.rbd ;;
			qcow2) thin_apply -i inc.qcow2 --top "$LOOP" ;;
			raw) thin_apply -i s1.img -f "$LOOP" ;;
			esac
			cmp -n "$(stat -c %s s1.img)" s1.img "$LOOP"
			junk_behind "$size" "$LOOP"
			rm -f "disk.$form$sector"
		done
	done
}

@test "a device proves its base, whether the image has grown or shrunk since, and another base is refused" {
	need_root
	new_seed 35
	local base now form size
	two_states
	# snapshots of every size: s0 as it is, and cut or grown by their lines
	for now in $((SECTORS - 1500)) $((SECTORS + 1500)); do
		sed -i "s/^s1: 0 [0-9]*/s1: 0 $now/" pool
		thin_materialize -f pool s1 s1.img
		thin_materialize -f --since s0 -O rbd-diff pool s1 inc.rbd
		thin_materialize -f --since s0 -O qcow2 --backing s0.img pool s1 inc.qcow2
		base=$(sha256sum <s0.img | cut -d' ' -f1)
		for form in "-i inc.rbd" "-i inc.qcow2 --top" pipe; do
			rm -f disk
			yes junk | head -c 32M >disk
			loop disk
			dd if=s0.img of="$LOOP" bs=64k conv=notrunc status=none
			if [ "$form" = pipe ]; then
				thin_apply --base-sha256 "$base" --sha256 "$(sha256sum <s1.img | cut -d' ' -f1)" "$LOOP" <inc.rbd
			else
				thin_apply $form --base-sha256 "$base" "$LOOP"
			fi
			cmp -n "$(stat -c %s s1.img)" s1.img "$LOOP"
			printf x | dd of="$LOOP" bs=1 seek=700 conv=notrunc status=none
			sha256sum <"$LOOP" >was
			run --separate-stderr thin_apply -i inc.rbd --base-sha256 "$base" "$LOOP"
			[ "$status" -eq 1 ]
			[[ "$stderr" == *"it is not the base, nothing was written"* ]]
			sha256sum <"$LOOP" | cmp - was
			loops_end
		done
	done
	# a thin device whose line has grown; the origin may have shrunk since s0
	size=$(($(stat -c %s s0.img) / 512))
	[ "$size" -gt "$SECTORS" ] || size=$SECTORS
	LINES[0]="vm: 0 $((size + 3000)) thin pool 900"
	mkdir other
	(cd other && truncate -s 2M meta.img && truncate -s 512M data.img && write_table "${LINES[0]}" && thin_message pool 'create_thin 900')
	thin_apply -i s0.img other/pool vm
	sed -i "s/^s1: 0 [0-9]*/s1: 0 $((SECTORS + 1500))/" pool
	thin_materialize --since s0 -O rbd-diff -f pool s1 inc.rbd
	thin_materialize -f pool s1 s1.img
	thin_apply -i inc.rbd --base-sha256 "$base" other/pool vm
	thin_materialize other/pool vm back
	cmp -n "$(stat -c %s s1.img)" s1.img back
}

@test "zeros give a block device's space back" {
	need_root
	need qemu-img
	new_seed 32
	head -c 3M /dev/urandom >s0.img
	truncate -s 8M s0.img
	: >zero.img
	truncate -s 8M zero.img
	{ printf 'rbd diff v1\ns\0\0\200\0\0\0\0\0z\0\0\0\0\0\0\0\0\0\0\200\0\0\0\0\0e'; } >zero.rbd
	qemu-img convert -f raw -O qcow2 zero.img zero.qcow2
	for form in rbd qcow2 img; do
		disk disk
		[ "$(stat -c %b disk)" -ge $((26 * 2048)) ]
		thin_apply -f -i zero.$form "$LOOP"
		cmp -n 8M zero.img "$LOOP"
		sync disk
		[ "$(stat -c %b disk)" -le $((25 * 2048)) ]
	done
}

@test "a device that is too small, in use, read-only or holds a filesystem is refused, and is what it was" {
	need_root
	need mkfs.ext4
	new_seed 33
	two_states
	local small
	truncate -s 1M small.img
	loop small.img
	small=$LOOP
	for command in "thin_apply -i inc.rbd" "thin_apply -i inc.qcow2 --top" "thin_apply -i s1.img" "thin_materialize --since s0 pool s1"; do
		run --separate-stderr $command "$small"
		[ "$status" -eq 1 ] || { echo "$command: $status $stderr"; return 1; }
		[[ "$stderr" == *"has 1048576 bytes"*"nothing was written"* ]] || { echo "$command: $stderr"; return 1; }
		cmp small.img <(head -c 1M /dev/zero)
	done
	cp --sparse=never s0.img ro.img
	truncate -s 32M ro.img
	loop -r ro.img
	for command in "thin_apply -i inc.rbd" "thin_apply -i s1.img" "thin_materialize --since s0 pool s1"; do
		run --separate-stderr $command "$LOOP"
		[ "$status" -eq 74 ] || [ "$status" -eq 1 ] || { echo "$command: $status $stderr"; return 1; }
		[[ "$stderr" == *"$LOOP"* ]]
	done
	truncate -s 32M fs.img
	mkfs.ext4 -q fs.img
	loop fs.img
	cp fs.img was
	run --separate-stderr thin_apply -i s1.img "$LOOP"
	[ "$status" -ne 0 ]
	[[ "$stderr" == *ext4* ]]
	cmp fs.img was
	mount_loop
	for command in "thin_apply -i inc.rbd" "thin_apply -f -i s1.img" "thin_materialize --since s0 pool s1"; do
		run --separate-stderr $command "$LOOP"
		[ "$status" -eq 74 ] || [ "$status" -eq 1 ] || { echo "$command: $status $stderr"; return 1; }
		[[ "$stderr" == *"$LOOP"* ]]
	done
}

@test "a qcow2 image can be made on a block device, and is applied from one" {
	need_root
	need qemu-img
	new_seed 34
	two_states
	truncate -s 48M disk
	loop disk
	for options in "" "-c" "--since s0 --backing $PWD/s0.img"; do
		thin_materialize -f -O qcow2 $options pool s1 "$LOOP"
		qemu-img check -q -f qcow2 "$LOOP"
		qemu-img compare -q -f raw -F qcow2 s1.img "$LOOP"
		: >out
		thin_apply -i "$LOOP" out
		cmp out s1.img
	done
	run --separate-stderr thin_materialize -f -O rbd-diff pool s1 "$LOOP"
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"rbd diff is a stream"* ]]
}

# A device that holds the base does not tell where that ends
@test "an overlay larger than what it lies over says that the rest is zeros, also alone" {
	need qemu-img
	new_seed 35
	local target
	BLOCK=128
	new_pool
	change_and_snap 0
	SECTORS=$((SECTORS + 9000))
	LINES+=("s1: 0 $SECTORS thin pool 101 $ORIGIN")
	write_table "${LINES[@]}"
	thin_message pool "create_snap 101 $VM"
	thin_materialize pool s0 s0.img
	thin_materialize pool s1 s1.img
	truncate -s 2M meta2
	yes junk | head -c 64M >data2
	yes "another base" | head -c 30M >origin2
	printf '%s\n' "pool: 0 131072 thin-pool meta2 data2 128 0" "d: 0 $SECTORS thin pool 1 origin2" >pool2
	for compress in "" -c; do
		thin_materialize -f --since s0 -O qcow2 $compress --backing s0.img pool s1 inc.qcow2
		qemu-img compare -q -f raw -F qcow2 s1.img inc.qcow2
		mkdir -p away
		cp inc.qcow2 away # its backing file is not there
		for from in inc.qcow2 away/inc.qcow2; do
			yes junk | head -c 40M >target
			dd if=s0.img of=target conv=notrunc status=none
			thin_apply -i $from --top target
			cmp target s1.img
			rm -f meta2
			truncate -s 2M meta2
			thin_message pool2 'create_thin 1'
			thin_apply -i s0.img pool2 d
			thin_apply -i $from --top pool2 d
			thin_materialize -f pool2 d out
			cmp out s1.img
		done
	done
	# over a base image in a file, which tells where that ends
	[ -n "$ORIGIN" ] || return 0
	thin_materialize -f -O qcow2 --backing base.img pool s1 inc.qcow2
	yes junk | head -c 40M >target
	dd if=base.img of=target conv=notrunc status=none
	thin_apply -i inc.qcow2 --top target
	cmp target s1.img
}

@test "an image that differs where base and device are the same is refused, too, with the first byte that differs" {
	thin_restore -q -i - -o "$(truncate -s 1M meta && echo meta)" <<-'XML'
		<superblock uuid="" time="1" transaction="2" flags="0" version="2" data_block_size="128" nr_data_blocks="100">
		<def name="d"><range_mapping origin_begin="0" data_begin="0" length="9" time="0"/></def>
		<device dev_id="1" mapped_blocks="10" transaction="0" creation_time="0" snap_time="1">
		<ref name="d"/><single_mapping origin_block="9" data_block="9" time="0"/></device>
		<device dev_id="2" mapped_blocks="10" transaction="1" creation_time="1" snap_time="1">
		<ref name="d"/><single_mapping origin_block="9" data_block="10" time="1"/></device>
		</superblock>
	XML
	yes "the same in base and device" | head -c $((10 * 65536)) >data
	yes "another block" | head -c $((90 * 65536)) >>data
	printf '%s\n' "pool: 0 12800 thin-pool meta data 128 0" "s0: 0 1280 thin pool 1" "s1: 0 1280 thin pool 2" >pool
	thin_materialize pool s0 s0.img
	cp s0.img wrong
	printf '\xa5' | dd of=wrong bs=1 seek=100 conv=notrunc status=none
	for form in "" "-O qcow2 --backing wrong"; do
		# shellcheck disable=SC2086
		run --separate-stderr thin_materialize --since s0 $form pool s1 $([ -n "$form" ] && echo x.qcow2 || echo wrong)
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"wrong: does not hold the bytes of 's0' at offset 100"* ]]
		[ ! -e x.qcow2 ]
	done
	thin_materialize --since s0 pool s1 s0.img
	thin_materialize pool s1 s1.img
	cmp s0.img s1.img
}
