#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_shrink: blocks move to the front, data before metadata.

bats_require_minimum_version 1.5.0
load needs
load loop

teardown() {
	loops_end
}

XML=$abs_top_srcdir/xml

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	cp "$XML/good/tiny.xml" tiny.xml
	truncate -s 8M data # 128 blocks of 64 KiB
	for b in 10 11 12 20 30; do
		put $b "content of $b"
	done
	cp data data.before
	truncate -s 256K meta
	thin_restore -i tiny.xml -o meta
	truncate -s 256K out
}

put() { printf '%s' "$2" | dd of=data bs=65536 seek="$1" conv=notrunc status=none; }
get() { dd if=data bs=65536 skip="$1" count=1 status=none | tr -d '\0'; }

@test "thin_shrink: the worked example at 15 blocks moves 20 to 0 and 30 to 1" {
	run --separate-stderr thin_shrink -i tiny.xml -o out.xml --data data --nr-blocks 15
	[ "$status" -eq 0 ]
	[[ "$stderr" == "thin_shrink: 100 data blocks become 15; 5 are in use, 2 of them (0.1 MiB) move" ]]
	sed 's/nr_data_blocks="100"/nr_data_blocks="15"/; s/data_block="20"/data_block="0"/; s/data_block="30"/data_block="1"/' \
		tiny.xml | cmp - out.xml
	[ "$(get 0)" = "content of 20" ]
	[ "$(get 1)" = "content of 30" ]
	for b in 10 11 12 20 30; do
		[ "$(get $b)" = "content of $b" ]
	done
}

@test "thin_shrink: binary metadata come out as the XML would, and check clean" {
	thin_shrink -q -i tiny.xml -o out.xml --data data --nr-blocks 15
	cp data data.xml-way
	cp data.before data
	thin_shrink -q --binary -i meta -o out --data data --nr-blocks 15
	thin_dump out | cmp - out.xml
	cmp data data.xml-way
	thin_check -q out
	if [[ "$(/usr/sbin/thin_check -V 2>/dev/null)" == 0.9.0 ]]; then
		/usr/sbin/thin_check -q out
	fi
}

@test "thin_shrink: a table file names metadata and data" {
	cat >table <<-TABLE
	0 12800 thin-pool meta data 128 0
	TABLE
	thin_shrink -q --binary -i table -o out --nr-blocks 15
	[ "$(get 0)" = "content of 20" ]
	thin_dump out | grep -q 'nr_data_blocks="15"'
}

@test "thin_shrink: too few blocks are refused with the numbers, and nothing is written" {
	run --separate-stderr thin_shrink -i tiny.xml -o out.xml --data data --nr-blocks 4
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"Insufficient free space: 5 data blocks are in use, but the pool would have only 4"* ]]
	[ ! -e out.xml ]
	cmp data data.before
	thin_shrink -q -i tiny.xml -o out.xml --data data --nr-blocks 5
}

@test "thin_shrink: --dry-run says what would move and writes nothing" {
	for n in -n --dry-run; do
		run --separate-stderr thin_shrink $n --binary -i meta --nr-blocks 15
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"2 of them (0.1 MiB) would move"* ]]
		run thin_shrink $n -i tiny.xml -o out.xml --data data --nr-blocks 15
		[ "$status" -eq 0 ]
	done
	[ ! -e out.xml ]
	cmp data data.before
}

@test "thin_shrink: --dry-run refuses the data device that the run would refuse" {
	local n
	truncate -s $((31 * 65536 - 1)) short
	for n in -n ''; do
		run --separate-stderr thin_shrink $n -i tiny.xml -o out.xml --data missing --nr-blocks 15
		[ "$status" -eq 74 ]
		run --separate-stderr thin_shrink $n -i tiny.xml -o out.xml --data short --nr-blocks 15
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"short: data block 30 is in use and lies beyond the end of the data device"* ]]
	done
	thin_shrink -q -n --no-copy -i tiny.xml -o out.xml --data missing --nr-blocks 15
	[ ! -e out.xml ]
}

@test "thin_shrink: --no-copy changes the metadata only" {
	thin_shrink -q -i tiny.xml -o out.xml --no-copy --nr-blocks 15
	grep -q 'data_block="0"' out.xml
	thin_shrink -q --binary -i meta -o out --no-copy --nr-blocks 15
	thin_dump out | cmp - out.xml
	cmp data data.before
}

@test "thin_shrink: more blocks than before make the pool larger" {
	thin_shrink -q --binary -i meta -o out --data data --nr-blocks 40000
	thin_dump out | sed 's/nr_data_blocks="40000"/nr_data_blocks="100"/' | cmp - tiny.xml
	thin_check -q out
	cmp data data.before
}

@test "thin_shrink: an input that is not of the kind that --binary says is refused" {
	run --separate-stderr thin_shrink -i meta -o out.xml --data data --nr-blocks 15
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"--binary"* ]]
	run --separate-stderr thin_shrink --binary -i tiny.xml -o out --data data --nr-blocks 15
	[ "$status" -eq 1 ]
	[[ "$stderr" == *XML* ]]
	cmp data data.before
	[ ! -e out.xml ]
}

@test "thin_shrink: a data device that is too short is said before anything moves" {
	truncate -s $((30 * 65536)) data
	cp data data.before
	run --separate-stderr thin_shrink -i tiny.xml -o out.xml --data data --nr-blocks 15
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"data block 30 is in use and lies beyond the end of the data device"* ]]
	cmp data data.before
	[ ! -e out.xml ]
}

@test "thin_shrink: an output that is too small is said before anything moves" {
	truncate -s 32K small
	run --separate-stderr thin_shrink --binary -i meta -o small --data data --nr-blocks 15
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"output 'small': too small: needs at least 12 blocks, has 8"* ]]
	cmp data data.before
}

@test "thin_shrink: damaged metadata move nothing" {
	root=$((1 * 4096)) # the first leaf that thin_restore writes
	dd if=/dev/urandom of=meta bs=1 seek=$((root + 40)) count=8 conv=notrunc status=none
	run --separate-stderr thin_shrink --binary -i meta -o out --data data --nr-blocks 15
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 1"* ]]
	cmp data data.before
	cmp out /dev/zero -n 262144
}

@test "thin_shrink: input, output and data must be three" {
	for args in '-i tiny.xml -o tiny.xml --data data' '-i tiny.xml -o data --data data' '-i tiny.xml -o o --data tiny.xml'; do
		run --separate-stderr thin_shrink $args --nr-blocks 15
		[ "$status" -eq 64 ] || { echo "$args: $status $stderr"; return 1; }
	done
	cmp tiny.xml "$XML/good/tiny.xml"
	cmp data data.before
}

@test "thin_shrink: a missing option is named" {
	run --separate-stderr thin_shrink -o o --data data --nr-blocks 1
	[ "$status" -eq 64 ]
	run --separate-stderr thin_shrink -i tiny.xml --data data --nr-blocks 1
	[ "$status" -eq 64 ]
	run --separate-stderr thin_shrink -i tiny.xml -o o --data data
	[ "$status" -eq 64 ]
	[[ "$stderr" == *--nr-blocks* ]]
	run --separate-stderr thin_shrink -i tiny.xml -o o --nr-blocks 5
	[ "$status" -eq 64 ]
	[[ "$stderr" == *--data* ]]
}

@test "thin_shrink: how many data blocks the input or --nr-blocks tells costs neither memory nor time" {
	local n=60000000000
	need_plain
	ulimit -v 400000 # so that a test that fails does not take the machine's memory
	sed "s/nr_data_blocks=\"100\"/nr_data_blocks=\"$n\"/" tiny.xml >large.xml
	sed "s/data_block=\"30\"/data_block=\"$((n - 1))\"/" large.xml >end.xml
	timeout 10 thin_shrink -q -i large.xml -o out.xml --no-copy --nr-blocks 15
	grep -q 'nr_data_blocks="15"' out.xml && grep -q 'origin_block="7" data_block="0"' out.xml
	timeout 10 thin_shrink -q -i end.xml -o out.xml --no-copy --nr-blocks 21
	grep -q 'origin_block="9" data_block="0"' out.xml && grep -q 'origin_block="7" data_block="20"' out.xml
	timeout 10 thin_shrink -q -i tiny.xml -o out.xml --no-copy --nr-blocks $n
	sed 's/ version="2"//' large.xml | cmp - <(sed 's/ version="2"//' out.xml)
	run --separate-stderr timeout 10 thin_shrink --binary -i meta -o out --no-copy --nr-blocks $n
	[ "$status" -eq 1 ] && [[ "$stderr" == *"output 'out': too small: needs at least "* ]]
	# a range that no metadata has room for
	sed '/dev_id="2"/,/<.device>/ s/data_begin="10" length="3"/data_begin="10" length="50000000000"/' large.xml >long.xml
	run --separate-stderr timeout 10 thin_shrink -i long.xml -o out.xml --no-copy --nr-blocks $n
	[ "$status" -eq 1 ] && [[ "$stderr" == *"map more blocks than any metadata can hold"* ]]
}

@test "thin_shrink: metadata whose superblock tells of more data blocks than they can count are refused" {
	"$abs_top_builddir/tests/damage/damage" meta superblock-map-size --value 10000000000
	run --separate-stderr timeout 10 thin_shrink --binary -i meta -o out --no-copy --nr-blocks 15
	[ "$status" -eq 1 ] && [[ "$stderr" == *"a size of 10000000000 data blocks is impossible (at most 1044480): 'thin_repair -i meta -o FILE'"* ]]
}

@test "thin_shrink: killed while it copies it leaves the old pool, and a second run completes" {
	truncate -s 1G big # 16384 blocks
	for b in $(seq 9000 40 16380); do
		printf 'block %d' "$b" | dd of=big bs=65536 seek="$b" conv=notrunc status=none
	done
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="16384">'
		echo '<device dev_id="0" mapped_blocks="7384" transaction="0" creation_time="0" snap_time="0">'
		echo '<range_mapping origin_begin="0" data_begin="9000" length="7384" time="0"/>'
		echo '</device></superblock>'
	} >big.xml
	for wait in 0 0.02 0.1 0.2; do
		timeout -s KILL $wait thin_shrink -i big.xml -o big.out --data big --nr-blocks 8000 || true
		[ ! -e big.out ] || rm big.out
		[ "$(dd if=big bs=65536 skip=9040 count=1 status=none | tr -d '\0')" = "block 9040" ]
	done
	thin_shrink -q -i big.xml -o big.out --data big --nr-blocks 8000
	grep -q 'origin_begin="0" data_begin="0" length="7384"' big.out
	for b in $(seq 9000 400 16380); do
		[ "$(dd if=big bs=65536 skip=$((b - 9000)) count=1 status=none | tr -d '\0')" = "block $b" ]
	done
	# holes stay holes
	[ "$(du -k big | cut -f1)" -lt 100000 ]
}

# Every device of the kernel's pool $1, shrunk to the blocks in use, reads as the kernel read it.
shrinks_whole() {
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$1.tar.zst"
	cd "$1" || return 1
	used=$(thin_shrink -n --binary -i meta.img --nr-blocks 99999999 2>&1 |
		sed -n 's/.*; \([0-9]*\) are in use.*/\1/p')
	truncate -s "$(stat -c %s meta.img)" new.img
	thin_shrink -q --binary -i meta.img -o new.img --data data.img --nr-blocks "$used"
	thin_check -q new.img
	bs=$(thin_dump --skip-mappings new.img | sed -n 's/.*data_block_size="\([0-9]*\)".*/\1/p')
	truncate -s $((used * bs * 512)) data.img
	nr=0
	while read -r kind name id sectors origin want; do
		[ "$kind" = thin ] || continue
		from=--no-origin
		[ "$origin" = - ] || from="--origin=$origin"
		got=$(thin_materialize $from --size "${sectors}s" --data-dev data.img new.img "$id" - | sha256sum)
		[ "${got%% *}" = "$want" ] || { echo "$1: $name differs"; return 1; }
		nr=$((nr + 1))
	done <oracle
	[ $nr -gt 0 ]
	cd ..
}

@test "thin_shrink: pools that the kernel made, shrunk as far as they go, read the same" {
	need zstd
	for pool in fuzz-1 extorigin-snaps bs-192k ids; do
		shrinks_whole $pool
	done
}

@test "thin_shrink: a data device in use is busy, before anything is written" {
	truncate -s 8M disk
	need mkfs.ext4
	mkfs.ext4 -q disk
	loop disk
	mount_loop
	run --separate-stderr thin_shrink --binary -i meta -o out --data "$LOOP" --nr-blocks 15
	[ "$status" -eq 74 ]
	[[ "$stderr" == *busy* ]]
	cmp -n 262144 out /dev/zero
}

@test "thin_shrink and thin_trim take a disk: data moves on it, and each volume reads as before with old and new metadata" {
	need jq zstd
	hash() { sha256sum | cut -d' ' -f1; }
	local s pool bs nr moved=0 name
	for s in lvm-multi:vg/pool lvm-partition:debian-vg/data-pool lvm-ring:new.vg_1+a-b/0day; do
		pool=${s#*:}
		s=${s%:*}
		zstd -qdc --long=27 "$abs_top_srcdir/tests/fixtures-lvm/$s.tar.zst" | tar -xSf -
		# makes a gap into which data moves
		thin_message -q --force --pool "$pool" "$s" 'delete 1'
		thin_lvm -q "$s" >table
		thin_ls --no-headers -o NAME --pool "$pool" "$s" | tr -d ' ' >names
		for name in $(<names); do thin_materialize -q "$s" "$name" - | hash >"before-$name"; done
		read -r bs nr < <(thin_info --format json --pool "$pool" "$s" | jq -r '"\(.data.block_bytes / 512) \(.data.used_blocks)"')
		rm -f small
		thin_shrink --binary --pool "$pool" -i "$s" -o small --size 8M --nr-blocks "$nr" 2>said
		grep -q ' 0 of them' said || moved=$((moved + 1))
		thin_check -q small
		# the table as it is after LVM has swapped the metadata in
		awk -v pool="${pool#*/}" -v len=$((nr * bs)) '$1 == pool ":" { $3 = len; $5 = "small" } { print }' table >swapped
		grep -q ' thin-pool small ' swapped
		for name in $(<names); do
			[ "$(thin_materialize -q swapped "$name" - | hash)" = "$(<"before-$name")" ] || { echo "$s: $name, new metadata"; return 1; }
		done
		thin_trim -q --metadata-dev "$s" --pool "$pool"
		for name in $(<names); do
			[ "$(thin_materialize -q "$s" "$name" - | hash)" = "$(<"before-$name")" ] || { echo "$s: $name, old metadata"; return 1; }
		done
		thin_lvm -q "$s" | cmp - table # LVM's text is not changed
		run --separate-stderr thin_shrink --binary --pool "$pool" -i "$s" -o "$s/pv0.img" --nr-blocks "$nr"
		[ "$status" -eq 64 ] && [[ "$stderr" == *"$s/pv0.img"* ]] || { echo "$stderr"; return 1; }
	done
	[ "$moved" -gt 0 ]
}

@test "thin_shrink: LVM takes its text with the smaller pool, and the disk agrees with it, as the manual says" {
	need lvm
	PATH=$abs_top_builddir/bin:$PATH BUILD=$abs_top_builddir QUICKSTART_SAMPLE=$PWD/sample "$abs_top_srcdir/quickstart" --sample >/dev/null
	cp sample/disk.img before.img
	loop sample/disk.img
	thin_shrink -q --binary -i "$LOOP" --pool sample/pool -o small --size 1M --nr-blocks 32
	dd if=small of="$LOOP" bs=1M seek=1 conv=notrunc,fsync status=none # where LVM swaps it in
	mkdir lvm
	printf '%s\n' 'devices { use_devicesfile = 0' "filter = [ \"a|^$LOOP\$|\", \"r|.*|\" ] }" \
		'activation { monitoring = 0' 'udev_sync = 0' 'udev_rules = 0 }' >lvm/lvm.conf
	export LVM_SYSTEM_DIR=$PWD/lvm LVM_SUPPRESS_FD_WARNINGS=1
	lvm vgcfgbackup --driverloaded n -f text sample >said 2>&1 || { cat said; return 1; }
	# 4 extents of 1 MiB become 2, which are 32 blocks of 64 KiB
	awk '/^\t\t(pool|pool_tdata) \{/ { in_pool = 1 } in_pool { sub(/extent_count = 4/, "extent_count = 2") } /^\t\t\}/ { in_pool = 0 } { print }' text >new
	[ "$(diff text new | grep -c '^>')" -eq 2 ]
	run thin_lvm --check "$LOOP"
	[[ "$output" == *"it grows when it is activated"* ]]
	lvm vgcfgrestore --driverloaded n --force -f new sample >said 2>&1 || { cat said; return 1; }
	run -0 thin_lvm --check "$LOOP"
	[ -z "$output" ] || { echo "$output"; return 1; }
	for v in web0 web1; do
		thin_materialize "$LOOP" $v - | cmp - <(thin_materialize before.img $v -)
	done
}

@test "an increment since metadata of before a shrink has every block, because a moved one may lie where the base's was" {
	local form
	mkdir older
	cd older
	truncate -s 1M meta
	truncate -s 4M data
	printf '%s\n' 'pool: 0 8192 thin-pool meta data 128 0' 'a: 0 128 thin pool 1' 'b: 0 128 thin pool 2' >tab
	thin_message tab 'create_thin 1' 'create_thin 2'
	head -c 64K /dev/urandom >A
	head -c 64K /dev/urandom >B
	thin_apply -i A tab a
	thin_apply -i B tab b
	thin_message tab 'create_snap 3 1'
	thin_dump meta -o then.xml
	cp meta then.meta
	thin_message tab 'delete 1' 'delete 3'
	thin_shrink -q --binary -i tab -o small --size 1M --nr-blocks 1
	mv small meta
	# the mapping of b is now that of a then, with the same time
	for form in then.xml then.meta; do
		cp A image
		thin_materialize -O rbd-diff --since a --since-metadata $form tab b - | thin_apply image
		cmp image B
	done
}
