#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_repair: what LVM's text, on the disk or in a backup, tells of a pool that lost it.

bats_require_minimum_version 1.5.0
load needs

setup() {
	need zstd
	cd "$BATS_TEST_TMPDIR" || return 1
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/lvm.tar.zst"
}

repair() { run --separate-stderr thin_repair -i pool -o out "$@"; }
dump() { thin_dump --no-shared "$1"; }
u64_at() { od -An -tu8 -j"$2" -N8 "$1" | tr -d ' '; }
zero_block() { dd if=/dev/zero of="$1" bs=4096 seek="$2" count=1 conv=notrunc status=none; }

# What vgcfgbackup writes of a pool at transaction 4 that has these devices.
text() { # DEVICE...
	echo 'vg { id = "000000-0000-0000-0000-0000-0000-000000" seqno = 1 extent_size = 128 logical_volumes {'
	echo 'pool { segment_count = 1 segment1 { start_extent = 0 extent_count = 9000 type = "thin-pool" metadata = "m" pool = "d" transaction_id = 4 chunk_size = 128 } }'
	for d; do
		echo "thin$d { segment_count = 1 segment1 { start_extent = 0 extent_count = 1000 type = \"thin\" thin_pool = \"pool\" transaction_id = 1 device_id = $d } }"
	done
	echo '} }'
}

# A pool at a transaction that has these devices, with one block each.
make_pool() { # TRANSACTION DEVICE...
	local n=0
	{
		echo "<superblock uuid=\"\" time=\"0\" transaction=\"$1\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"9000\">"
		shift
		for d; do
			echo "<device dev_id=\"$d\" mapped_blocks=\"1\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
			echo "<single_mapping origin_block=\"0\" data_block=\"$((n++))\" time=\"0\"/></device>"
		done
		echo '</superblock>'
	} >xml
	thin_restore -q -i xml -o pool --size 256K
}

@test "thin_repair: --vg-backup reads transaction, block size and size from LVM's backup" {
	cp lvm/meta.img pool
	dump pool >before.xml
	zero_block pool 0
	truncate -s 2M out
	repair --vg-backup lvm/vg.txt
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"transaction 8 taken from LVM's text"* ]]
	[[ "$stderr" == *"it is not known whether the pool was in this state or in another that is there"* ]]
	repair --accept-loss --vg-backup lvm/vg.txt
	[ "$status" -eq 0 ]
	diff before.xml <(dump out)
	thin_check -q out
	repair --vg-backup lvm/vg.txt --pool nosuch
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"no thin pool 'nosuch'; it has: pool"* ]]
	echo 'vg { x = ' >broken
	repair --vg-backup broken
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"'broken' is not a backup of a volume group"*": line "* ]]
}

@test "thin_repair: of a disk with LVM, transaction and block size of a lost superblock are those of the text on it" {
	local at
	at=$(awk '$1 == "pool_tmeta:" { print $NF * 512 }' <(thin_lvm lvm/pv.img))
	dd if=/dev/zero of=lvm/pv.img bs=4096 seek=$((at / 4096)) count=1 conv=notrunc status=none
	run --separate-stderr thin_repair --accept-loss -i lvm/pv.img --pool pool -o out --size auto
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"transaction 8 taken from LVM's text"* ]] || { echo "$stderr"; return 1; }
	diff <(dump lvm/meta.img) <(dump out)
	run --separate-stderr thin_repair --accept-loss -i lvm/pv.img --pool vg/pool -o out2 --size auto
	[ "$status" -eq 0 ]
	cmp out out2
}

@test "thin_repair: the only device of LVM's text that is lacking gets what lacks a device, where top level and details are lost" {
	local root
	{
		echo '<superblock uuid="" time="0" transaction="4" version="2" data_block_size="128" nr_data_blocks="9000">'
		echo "<device dev_id=\"53\" mapped_blocks=\"1200\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
		awk 'BEGIN { for (i = 0; i < 1200; i++) printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", i, i * 7 }'
		echo '</device></superblock>'
	} >xml
	truncate -s 256K pool
	thin_restore -q -i xml -o pool
	thin_dump --no-shared pool | grep _mapping >whole
	root=$(u64_at pool $(($(u64_at pool 320) * 4096 + 2048)))
	for b in "$(u64_at pool 320)" "$(u64_at pool 328)" "$root"; do zero_block pool "$b"; done
	text 53 >vg
	run --separate-stderr thin_repair -i pool -o out --size auto --vg-backup vg
	[ "$status" -eq 1 ]
	[ "$(thin_ls --no-headers -o DEV out | xargs)" = 53 ] || { echo "$stderr"; return 1; }
	cmp <(thin_dump --no-shared out | grep _mapping) whole
	text 53 54 >vg # which of them had it is not known
	run --separate-stderr thin_repair -i pool -o out2 --size auto --vg-backup vg
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"its id is lost; this number is invented"* ]] || { echo "$stderr"; return 1; }
}

@test "thin_repair: a superblock more than one transaction behind LVM's text may be of an older state" {
	text 1 2 >vg
	make_pool 2 1 2
	repair --size auto --vg-backup vg
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"the superblock has transaction 2, not 4: it may be of an older state"* ]] || { echo "$stderr"; return 1; }
	for t in 3 4 5; do # LVM may have been interrupted; or the text is older
		rm -f pool out
		make_pool $t 1 2
		repair --size auto --vg-backup vg
		[ "$status" -eq 0 ] || { echo "$t: $stderr"; return 1; }
	done
}

@test "thin_repair: devices of LVM's text that do not come back, and others that do, are named" {
	make_pool 4 1 3
	cp pool sound
	text 1 2 3 >vg
	repair --size auto --vg-backup vg
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 2: LVM's text has it, but nothing of it was found"* ]] || { echo "$stderr"; return 1; }
	text 1 >vg # an intact superblock's device was made without LVM
	rm out
	repair --size auto --vg-backup vg
	[ "$status" -eq 0 ] || { echo "$stderr"; return 1; }
	zero_block pool 0
	rm out
	repair --size auto --vg-backup vg
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 3: LVM's text does not have it: it may be of an older state"* ]] || { echo "$stderr"; return 1; }
	cp sound pool # trees without an id may be those that are lacking
	for b in "$(u64_at pool 320)" "$(u64_at pool 328)"; do zero_block pool "$b"; done
	text 1 3 >vg
	rm out
	repair --size auto --vg-backup vg
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 1: LVM's text has it; one of the trees whose ids are lost may be its"* ]] || { echo "$stderr"; return 1; }
}
