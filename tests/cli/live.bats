#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Pools that are active, without a kernel that has one: a stand-in for thin_lvm gives the table and holds the
# snapshot, as thin_lvm does with libdevmapper.  tests/vm/live does it with dm-thin and LVM.

bats_require_minimum_version 1.5.0
load loop
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 2M meta
	truncate -s 64M data
	echo "pool: 0 131072 thin-pool $PWD/meta $PWD/data 128 0" >plain
	thin_message plain 'create_thin 3'
	cat >table <<-EOT
	# active thin pool vg-pool-tpool, as the kernel has it
	# volume group vg, seqno 0
	pool: 0 131072 thin-pool $PWD/meta $PWD/data 128 0
	web: 0 32768 thin pool 3
	EOT
	# commands look for thin_lvm in their own folder first
	mkdir bin
	cp "$abs_top_builddir"/bin/thin_{check,dump,ls,materialize,message,repair} bin/
}

teardown() {
	loops_end
}

# stand_in LINES...: thin_lvm, which knows vg/pool
stand_in() {
	cat >bin/thin_lvm <<-EOT
	#!/bin/sh
	echo "\$*" >>$PWD/asked
	case \$3 in vg/pool | */vg-pool-tpool) ;; *) echo "thin_lvm: \$3: no such device or active volume" >&2; exit 74 ;; esac
	[ "\$1" = --active ] || thin_message $PWD/plain reserve_metadata_snap || exit 74
	cat $PWD/table
	exec >&-
	[ "\$1" = --active ] || { cat >/dev/null; thin_message $PWD/plain release_metadata_snap; }
	EOT
	chmod +x bin/thin_lvm
}

@test "thin_check, thin_dump, thin_ls: --take-metadata-snap reads an active pool, and the snapshot is released" {
	stand_in
	run -0 bin/thin_check --take-metadata-snap vg/pool
	[[ "$output" == TRANSACTION_ID=0* ]]
	run -0 bin/thin_ls --take-metadata-snap --no-headers -o NAME vg/pool
	[[ "$output" == web* ]]
	run -0 bin/thin_dump --take-metadata-snap vg/pool
	[[ "$output" == *'dev_id="3"'* ]]
	[ "$(grep -c -- '--take-metadata-snap -- vg/pool' asked)" = 3 ]
	run thin_check -m meta
	[ "$status" -eq 1 ] && [[ "$output" == *"no current metadata snap"* ]]
}

@test "--take-metadata-snap of what is no active pool fails and says so" {
	stand_in
	run --separate-stderr bin/thin_check --take-metadata-snap vg/other
	[ "$status" -eq 74 ] && [[ "$stderr" == *"vg/other: no such device or active volume"* ]]
	run --separate-stderr bin/thin_check --take-metadata-snap meta
	[ "$status" -eq 74 ] && [[ "$stderr" == *"meta: no such device"* ]]
	run --separate-stderr bin/thin_check --take-metadata-snap --auto-repair vg/pool
	[ "$status" -eq 64 ]
}

@test "without thin_lvm the way by dmsetup is named" {
	for c in thin_check thin_dump thin_ls; do
		PATH=/usr/bin:/bin run --separate-stderr bin/$c --take-metadata-snap vg/pool
		[ "$status" -eq 1 ] && [[ "$stderr" == *"'dmsetup table POOL >FILE' makes a table file, which is read with -m"* ]] || {
			echo "$c: $status $stderr"
			return 1
		}
	done
}

@test "what dmsetup table prints of an active pool is read with -m" {
	loop meta
	number=$(printf '%d:%d' "0x$(stat -Lc %t "$LOOP")" "0x$(stat -Lc %T "$LOOP")")
	loop data
	data=$(printf '%d:%d' "0x$(stat -Lc %t "$LOOP")" "0x$(stat -Lc %T "$LOOP")")
	thin_message plain reserve_metadata_snap
	echo "0 131072 thin-pool $number $data 128 0 1 skip_block_zeroing" >kernel
	run -0 bin/thin_check -m kernel
	[[ "$output" == *TRANSACTION_ID=0* ]]
	run -0 bin/thin_dump -q -m kernel
	[[ "$output" == *'dev_id="3"'* ]]
}

@test "a device is found by its number where there is neither /sys nor udev" {
	loop meta
	unshare -m true 2>/dev/null || skip "no mount name spaces"
	number=$(printf '%d:%d' "0x$(stat -Lc %t "$LOOP")" "0x$(stat -Lc %T "$LOOP")")
	echo "pool: 0 131072 thin-pool $number 255:254 128 0" >kernel
	run -0 unshare -m sh -c 'umount -l /sys 2>/dev/null; [ ! -d /dev/block ] || mount -t tmpfs none /dev/block
		[ ! -e /sys/dev ] && exec thin_check kernel'
	[[ "$output" == *TRANSACTION_ID=0* ]]
	run --separate-stderr unshare -m sh -c 'umount -l /sys; thin_materialize kernel 3 -'
	[ "$status" -eq 74 ] && [[ "$stderr" == *"255:254"* ]]
}

@test "writers refuse an active pool, and say what to do" {
	[ -e /dev/mapper/control ] || skip "without device-mapper, VG/POOL is no name of anything"
	stand_in
	cp meta before
	for c in "thin_message vg/pool create_thin\ 9" "thin_repair --dry-run -i vg/pool"; do
		eval "run --separate-stderr bin/$c"
		[ "$status" -eq 74 ] && [[ "$stderr" == *"'vg/pool' is an active thin pool"*"deactivate it first"* ]] || {
			echo "$c: $status $stderr"
			return 1
		}
	done
	cmp meta before
	run --separate-stderr bin/thin_message vg/none 'create_thin 9'
	[ "$status" -eq 74 ] && [[ "$stderr" == *"vg/none"* ]]
}

@test "the plugin serves no metadata snapshot, and says what does" {
	need_plugin
	for p in metadata-snap=held take-metadata-snap=true; do
		run nbd "$PLUGIN" pool=table $p --run true
		[ "$status" -ne 0 ] && [[ "$output" == *"a metadata snapshot is not served"*"nbdkit file /dev/VG/LV"* ]] || {
			echo "$p: $status $output"
			return 1
		}
	done
	[ -e /dev/mapper/control ] || return 0
	stand_in # nbdkit looks for it in the PATH
	PATH=$PWD/bin:$PATH run nbd "$PLUGIN" pool=/dev/vg-none/pool --run true
	[ "$status" -ne 0 ] && [[ "$output" == *"/dev/vg-none/pool"* ]]
}
