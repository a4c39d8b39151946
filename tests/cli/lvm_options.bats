#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Options about a disk with LVM, together with others and with commands that write.

bats_require_minimum_version 1.5.0
load needs

setup() {
	need zstd
	cd "$BATS_TEST_TMPDIR" || return 1
	zstd -qdc --long=27 "$abs_top_srcdir/tests/fixtures-lvm/lvm-multi.tar.zst" | tar -xSf -
}

@test "--seqno: no command writes to a pool where an older text of LVM has it, for another volume may be there now" {
	cp -r --sparse=always lvm-multi written
	cd written
	thin_materialize pv0.img --pv pv1.img --pv pv2.img t1 new.img
	head -c 512K /dev/urandom | dd of=new.img conv=notrunc status=none
	sum=$(sha256sum pv*.img)
	while read -r command; do
		# shellcheck disable=SC2086
		run --separate-stderr $command --pool pool --seqno 30 --pv pv1.img --pv pv2.img
		[ "$status" -eq 1 ] && [[ "$stderr" == *"only read by its text of seqno 30, because the newest is 40: "* ]] ||
			{ echo "$command: $status $stderr"; return 1; }
	done <<-'EOT'
	thin_trim --metadata-dev pv0.img
	thin_apply -O raw -i new.img pv0.img t1
	thin_message --force pv0.img reserve_metadata_snap
	thin_shrink --binary -i pv0.img --nr-blocks 700 -o new.meta --size auto
	thin_check --auto-repair pv0.img
	EOT
	[ "$(sha256sum pv*.img)" = "$sum" ]
	# what only reads takes it, and the newest is not an older one
	thin_check -q --pool pool --seqno 30 --pv pv1.img --pv pv2.img pv0.img
	thin_trim -q -n --pool pool --seqno 30 --pv pv1.img --pv pv2.img --metadata-dev pv0.img
	thin_apply -q -O raw -i new.img --pool pool --seqno 40 --pv pv1.img --pv pv2.img pv0.img t1
	thin_materialize pv0.img --pv pv1.img --pv pv2.img t1 - | cmp - new.img
}

@test "nbdkit: by an older text of LVM, or of a disk from a pipe, a pool is served for reading alone" {
	need_plugin
	run nbd "$PLUGIN" lvm-multi pool-name=pool seqno=30 device=t1 --run true
	[ "$status" -ne 0 ] && [[ "$output" == *"because the newest is 40: "*"; readonly=true serves it as it is" ]]
	run -0 nbd "$PLUGIN" lvm-multi pool-name=pool seqno=30 device=t1 readonly=true --run true
	run nbd "$PLUGIN" - pool-name=pool2 device=u1 --run true < <(cat lvm-multi/pv0.img)
	[ "$status" -ne 0 ] && [[ "$output" == *"standard input cannot be changed in place"* ]]
	run -0 nbd "$PLUGIN" - pool-name=pool2 device=u1 readonly=true --run true < <(cat lvm-multi/pv0.img)
}

@test "--vg-backup with --vg: the backup must be of that group" {
	run -0 thin_lvm --vg vg --vg-backup lvm-multi/vg.txt lvm-multi
	run --separate-stderr thin_lvm --vg other --vg-backup lvm-multi/vg.txt lvm-multi
	[ "$status" -eq 1 ] && [ -z "$output" ]
	[[ "$stderr" == *"no volume group 'other' in 'lvm-multi/vg.txt'; there is: vg" ]]
}

@test "thin_repair: --pool names the pool of a disk with several also where --vg-backup is given" {
	for pool in pool2 vg/pool2; do
		run -0 thin_repair --dry-run -i lvm-multi --pool $pool --vg-backup lvm-multi/vg.txt
		[[ "$output" == *"2 devices, 57 mapped blocks: nothing was lost"* ]]
	done
	run -64 thin_repair --dry-run -i lvm-multi --vg-backup lvm-multi/vg.txt
	run -64 thin_repair --dry-run -i lvm-multi --pool none --vg-backup lvm-multi/vg.txt
	# of metadata alone it is the pool in the backup
	thin_repair -q -i lvm-multi --pool pool2 -o meta --size auto
	run -0 thin_repair --dry-run -i meta --pool pool2 --vg-backup lvm-multi/vg.txt
	run -1 thin_repair --dry-run -i meta --pool none --vg-backup lvm-multi/vg.txt
	# and so it is beside a table of one pool, whatever that is called
	truncate -s 8M meta.data
	echo "vg-pool2-tpool: 0 16384 thin-pool meta meta.data 256 0" >table
	run -0 thin_repair --dry-run -i table --pool pool2 --vg-backup lvm-multi/vg.txt
}

@test "thin_lvm --active: --leg is refused, which is about LVM's metadata" {
	run -64 thin_lvm --active --leg 0 /dev/null
}

@test "--since-metadata: options about the disks with LVM are not about the older dump" {
	thin_dump --pool pool2 -o old.xml lvm-multi
	thin_repair -q -i lvm-multi --pool pool2 -o old.meta --size auto
	cd lvm-multi
	all='pv0.img --pv pv1.img --pv pv2.img --seqno 40'
	for old in ../old.xml ../old.meta; do
		for pool in '' '--pool pool2'; do
			# shellcheck disable=SC2086
			thin_materialize --map --since-metadata $old $pool $all u1 >changes
			# shellcheck disable=SC2086
			cmp changes <(thin_materialize --map --since-metadata $old . u1)
		done
		# shellcheck disable=SC2086
		thin_materialize $all u1 image
		# shellcheck disable=SC2086
		thin_materialize --since-metadata $old $all u1 image && rm image
	done
}

@test "a disk with LVM that comes by standard input is read, but not changed: a pipe's copy would be lost" {
	echo new >meta
	# all of this group that one disk holds: its second pool
	disk=lvm-multi/pv0.img
	run -0 --separate-stderr thin_ls --pool pool2 --no-headers - < <(cat "$disk")
	[ "${#lines[@]}" -eq 2 ]
	sum=$(sha256sum <"$disk")
	while read -r command; do
		for how in pipe file; do
			# shellcheck disable=SC2086
			if [ $how = pipe ]; then
				run --separate-stderr $command --pool pool2 < <(cat "$disk")
			else
				run --separate-stderr $command --pool pool2 <"$disk"
			fi
			[ "$status" -eq 64 ] && [[ "$stderr" == *"standard input cannot be changed in place: name the device or file"* ]] ||
				{ echo "$command, $how: $status $stderr"; return 1; }
		done
	done <<-'EOT'
	thin_message --force - reserve_metadata_snap
	thin_trim --metadata-dev -
	thin_check --auto-repair -
	thin_apply -O raw -i meta - u1
	thin_shrink --binary -i - --nr-blocks 60 -o new --size auto
	EOT
	[ ! -e new ] && [ "$(sha256sum <"$disk")" = "$sum" ]
	thin_trim -q -n --pool pool2 --metadata-dev - <"$disk"
}

@test "where LVM does not say which leg is in sync, each command names thin_lvm --leg, from whose table the volume is read" {
	zstd -qdc --long=27 "$abs_top_srcdir/tests/fixtures-lvm/lvm-other.tar.zst" | tar -xSf -
	head -c 1M /dev/urandom >image
	for command in "thin_materialize lvm-other rt out" "thin_apply -O raw -i image lvm-other rt" \
		"thin_trim -n --metadata-dev lvm-other --pool rpool" "thin_message -n lvm-other reserve_metadata_snap --pool rpool"; do
		run $command
		[[ "$output" == *"'thin_lvm --leg N PV...' prints a table from which leg N (0 to 1) can be read as it is"* ]] ||
			{ echo "$command: $status $output"; return 1; }
	done
	thin_lvm --leg 0 lvm-other >table
	thin_materialize table rt out
}

@test "a volume whose name two volume groups have is refused, be it thin or not, until its group is named" {
	local seed name sum pvs
	need python3
	for seed in 5 9; do
		mkdir -p two made
		python3 "$abs_top_srcdir/tests/lvm/vg.py" made $seed whole
		for f in made/pv*.img; do
			mv "$f" two/$seed-"${f#made/}"
		done
		mv made/oracle oracle-$seed
	done
	run --separate-stderr thin_materialize two base-lv x
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"'base-lv' is in several volume groups: write VG/base-lv" ]]
	[ ! -e x ]
	while read -r name seed; do
		read -r _ _ _ sum pvs < <(grep '^lv base-lv ' oracle-$seed)
		thin_materialize two "$name/base-lv" - | sha256sum | grep -q "^$sum"
	done <<-'EOT'
	old.vg_1+x 5
	a-b 9
	EOT
	# with a pool, names are those of its devices
	read -r _ name _ < <(grep '^thin pool.t' oracle-5)
	thin_materialize --pool old.vg_1+x/pool two "$name" x
}

@test "no disk that was looked at for volume groups is an output, though no part of the pool is on it" {
	local c kept
	need python3
	mkdir made disks
	for seed in 5 9; do
		python3 "$abs_top_srcdir/tests/lvm/vg.py" made $seed whole
		for f in made/pv*.img; do
			mv "$f" disks/$seed-"${f#made/}"
		done
	done
	kept=$(sha256sum disks/*)
	while read -r c; do
		run --separate-stderr bash -c "$c"
		[ "$status" -eq 64 ] && [[ "$stderr" == *"/disks/9-pv0.img' is a disk of volume groups that were read: name another output"* ]] ||
			{ echo "$c: $status $stderr"; return 1; }
		[ "$(sha256sum disks/*)" = "$kept" ]
	done <<-'EOT'
	thin_materialize -f disks old.vg_1+x/base-lv disks/9-pv0.img
	thin_materialize -n -f disks/5-pv0.img --pv 'disks/*' old.vg_1+x/base-lv disks/9-pv0.img
	thin_materialize disks old.vg_1+x/base-lv - 1<>disks/9-pv0.img
	thin_repair --force -i disks --pool old.vg_1+x/pool -o disks/9-pv0.img
	thin_shrink --binary --no-copy --nr-blocks 14 --force -i disks --pool old.vg_1+x/pool -o disks/9-pv0.img
	thin_metadata_pack -f -i disks --pool old.vg_1+x/pool -o disks/9-pv0.img
	thin_ls --pool old.vg_1+x/pool disks 1<>disks/9-pv0.img
	thin_lvm disks 1<>disks/9-pv0.img
	EOT
	thin_materialize disks old.vg_1+x/base-lv disks/out
	thin_materialize -f disks old.vg_1+x/base-lv disks/out
}
