#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_repair: which roots are used, when the exit status is 0, and how much is told.

bats_require_minimum_version 1.5.0
load needs

setup_file() {
	export SEED=${SEED:-$RANDOM}
	truncate -s 262144 "$BATS_FILE_TMPDIR/tiny"
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o "$BATS_FILE_TMPDIR/tiny"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	RANDOM=$((SEED + BATS_TEST_NUMBER))
	echo "SEED=$SEED"
	cp "$BATS_FILE_TMPDIR/tiny" pool
	truncate -s 8M out
}

u64_at() { od -An -tu8 -j"$2" -N8 "$1" | tr -d ' '; }
zero_block() { dd if=/dev/zero of="$1" bs=4096 seek="$2" count=1 conv=notrunc status=none; }
# FILE OFFSET LENGTH: none of the bytes stays as it is
spoil() {
	for ((i = 0; i < $3; i++)); do
		old=$(od -An -tu1 -j$(($2 + i)) -N1 "$1")
		printf "\\x$(printf %02x $(((old + 1 + RANDOM % 255) % 256)))" |
			dd of="$1" bs=1 seek=$(($2 + i)) conv=notrunc status=none
	done
}
repair() { run --separate-stderr thin_repair -i pool -o out "$@"; }
# All mappings, device by device, with the details; not the header
content() { thin_dump --no-shared "$1" | sed 1d; }
mappings() { thin_dump --no-shared "$1" | sed -n 's/ mapped_blocks=.*//; /device\|mapping/p'; }
last_line() { [[ "${stderr##*$'\n'}" == *"$1"* ]] || { echo "last line: ${stderr##*$'\n'}"; return 1; }; }

fixture() {
	need zstd
	for name; do
		tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$name.tar.zst" "$name/meta.img"
	done
}

@test "thin_repair: a superblock whose checksum or flags are damaged still names the roots that are used" {
	fixture metasnap snap-tree fuzz-1 fuzz-2 ids resize
	for name in metasnap snap-tree fuzz-1 fuzz-2 ids resize; do
		for damage in "0 4" "0 8" "4 4" "8 8" "0 16"; do
			cp "$name/meta.img" pool
			# shellcheck disable=SC2086
			spoil pool $damage
			repair
			[ "$status" -eq 0 ] || { echo "$name $damage: $status $stderr"; return 1; }
			diff <(thin_dump --no-shared "$name/meta.img" | sed 's/ flags="1"//; s/ metadata_snap="[0-9]*"//') \
				<(thin_dump --no-shared out) || { echo "$name $damage"; return 1; }
			thin_check -q out
		done
	done
}

@test "thin_repair: roots that a damaged superblock names are used beside other damage, too" {
	fixture metasnap many-thins
	for name in metasnap many-thins; do
		cp "$name/meta.img" pool
		spoil pool 0 8
		zero_block pool "$(u64_at pool 208)"
		repair
		[ "$status" -eq 0 ]
		diff <(content "$name/meta.img") <(content out)
		# the top-level mapping tree is lost: its devices are found again
		cp "$name/meta.img" pool
		zero_block pool "$(u64_at pool 320)"
		cp pool lost
		thin_repair -q -i lost -o out && want=0 || want=$?
		content out >want.xml
		spoil pool 0 8
		repair
		[ "$status" -eq "$want" ]
		diff want.xml <(content out)
	done
}

@test "thin_repair: a damaged superblock that names other blocks as roots is not believed" {
	fixture snap-tree
	for at in 320 328; do
		cp snap-tree/meta.img pool
		thin_repair --list-roots -i pool >roots
		spoil pool 0 8
		spoil pool $at 2
		repair
		diff <(mappings snap-tree/meta.img) <(mappings out)
	done
}

@test "thin_repair: the roots that are given are used, with and without a superblock" {
	fixture plain fuzz-1 discards
	for name in plain fuzz-1 discards; do
		for lost in none checksum superblock; do
			cp "$name/meta.img" pool
			m=$(u64_at pool 320) d=$(u64_at pool 328)
			[ "$lost" != checksum ] || spoil pool 0 8
			[ "$lost" != superblock ] || zero_block pool 0
			size=$(u64_at "$name/meta.img" 40)
			for given in "--mapping-root $m --details-root $d" "--mapping-root $m" "--details-root $d"; do
				# shellcheck disable=SC2086
				repair --data-block-size 128 $given
				[ "$status" -eq 0 ] || { echo "$name $lost $given: $stderr"; return 1; }
				diff <(content "$name/meta.img") <(content out) || { echo "$name $lost $given $size"; return 1; }
			done
		done
	done
}

@test "thin_repair: an older state comes back as it was when its root is given" {
	fixture plain
	thin_repair --list-roots -i plain/meta.img >roots
	for lost in no yes; do
		cp plain/meta.img pool
		[ $lost = no ] || zero_block pool 0
		for given in "--mapping-root 19 --details-root 20" "--mapping-root 19" "--details-root 20"; do
			# shellcheck disable=SC2086
			repair --data-block-size 128 $given
			[[ "$stderr" == *"the roots that were given are used: mapping root "*", details root 20"* ]]
			[ "$(thin_dump out | grep -c 'mapped_blocks="0"')" -eq 2 ] || { echo "$lost $given: $stderr"; return 1; }
		done
	done
}

@test "thin_repair: a block that is no root of the wanted kind is refused, with the reason" {
	m=$(u64_at pool 320) d=$(u64_at pool 328) leaf=$(u64_at pool $((m * 4096 + 2048)))
	head -c 8192 /dev/urandom | dd of=pool bs=4096 seek=60 conv=notrunc status=none
	before=$(sha256sum out)
	for lost in no yes; do
		[ $lost = no ] || spoil pool 0 8
		while read -r option block reason; do
			repair --data-block-size 128 "$option" "$block"
			[ "$status" -eq 1 ]
			[[ "$stderr" == *"$option $block: "*"$reason"*"'thin_repair --list-roots -i "*"' lists the roots"* ]] ||
				{ echo "$lost $option $block: $stderr"; return 1; }
		done <<-END
			--mapping-root $d it belongs to a device details tree
			--mapping-root $leaf it holds mappings of one device
			--mapping-root 0 it 
			--mapping-root 60 it has a bad checksum
			--mapping-root 50 it is zero
			--mapping-root 64 the metadata device has only 64 blocks
			--mapping-root $(u64_at pool 208) it belongs to a space map
			--details-root $m it belongs to a top-level mapping tree
			--details-root $leaf it holds mappings of one device
			--details-root 18446744073709551615 the metadata device has only 64 blocks
		END
	done
	[ "$(sha256sum out)" = "$before" ]
}

@test "thin_repair: rebuilt details and fields are told, and the exit status is 0 when all mappings are back" {
	zero_block pool "$(u64_at pool 328)"
	repair
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"device 1: details lost; "* ]]
	last_line "3 devices, 13 mapped blocks: all mappings are back; the details and fields named above were rebuilt" ||
		last_line "mapped blocks: all mappings are back; the details and fields named above were rebuilt"
	diff <(mappings "$BATS_FILE_TMPDIR/tiny") <(mappings out)
	cp "$BATS_FILE_TMPDIR/tiny" pool
	zero_block pool 0
	repair --data-block-size 128
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"the transaction id is lost"* ]]
	last_line "all mappings are back; the details and fields named above were rebuilt"
	run --separate-stderr thin_dump --repair --data-block-size 128 pool
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"the transaction id is lost"* ]]
}

@test "thin_repair: exit status 0 only when all mappings of all devices are back, whichever blocks are lost" {
	fixture snap-tree fuzz-1 discards
	zeros=0 good=0
	for name in snap-tree fuzz-1 discards; do
		mappings "$name/meta.img" >want
		thin_check "$name/meta.img" >/dev/null
		for ((trial = 0; trial < 25; trial++)); do
			cp "$name/meta.img" pool
			lost=
			for ((n = RANDOM % 4; n >= 0; n--)); do
				case $((RANDOM % 5)) in
				0) b=$(u64_at "$name/meta.img" 320) ;;
				1) b=$(u64_at "$name/meta.img" 328) ;;
				2) b=$(u64_at "$name/meta.img" 208) ;;
				*) b=$((1 + RANDOM % 80)) ;;
				esac
				zero_block pool $b
				lost="$lost $b"
			done
			repair
			[ "$status" -le 1 ]
			[ "$status" -ne 0 ] || good=$((good + 1))
			[ "$status" -ne 0 ] || diff want <(mappings out) || { echo "$name:$lost: $stderr"; return 1; }
			zeros=$((zeros + 1))
		done
	done
	echo "$good of $zeros"
	[ "$good" -gt 10 ] && [ "$good" -lt "$zeros" ]
}

@test "thin_repair: --accept-loss exits with 0 when there is a result, and its last line says so" {
	zero_block pool "$(u64_at pool $(($(u64_at pool 320) * 4096 + 2048)))"
	repair
	[ "$status" -eq 1 ]
	last_line "--accept-loss takes the result as it is, with exit status 0"
	cp out first
	repair --accept-loss
	[ "$status" -eq 0 ]
	last_line "the loss is accepted (--accept-loss). Keep the damaged metadata, and check the content of each device before use"
	cmp out first
	run thin_repair --dry-run --accept-loss -i pool
	[ "$status" -eq 0 ]
	run --separate-stderr thin_dump --repair pool
	[ "$status" -eq 1 ]
	run --separate-stderr thin_dump --repair --accept-loss pool
	[ "$status" -eq 0 ]
	last_line "the loss is accepted (--accept-loss)"
	head -c 262144 /dev/urandom >pool
	repair --accept-loss --data-block-size 128
	[ "$status" -eq 1 ]
	run thin_dump --accept-loss pool
	[ "$status" -eq 64 ]
	run thin_materialize --accept-loss pool 1 image
	[ "$status" -eq 64 ]
}

@test "thin_materialize --repair: exit 0 when the device's mappings are back, 1 when some are lost, 0 with --accept-loss" {
	truncate -s 64M data
	zero_block pool "$(u64_at pool 328)"
	run --separate-stderr thin_materialize --repair --size 4M --data-dev data pool 1 image
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"device 1: details lost"* ]]
	cp "$BATS_FILE_TMPDIR/tiny" pool
	zero_block pool "$(u64_at pool $(($(u64_at pool 320) * 4096 + 2048)))"
	run --separate-stderr thin_materialize -f --repair --size 4M --data-dev data pool 2 image
	[ "$status" -eq 0 ]
	run --separate-stderr thin_materialize -f --repair --size 4M --data-dev data pool 1 image
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 1: mappings are lost, or may be; --accept-loss takes"* ]]
	run --separate-stderr thin_materialize -f --repair --accept-loss --size 4M --data-dev data pool 1 image
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"device 1: mappings are lost, or may be; the loss is accepted"* ]]
}

@test "thin_repair: at most some tens of bad blocks are listed, all of them with -v" {
	fixture many-thins
	cp many-thins/meta.img pool
	m=$(u64_at pool 320)
	thin_dump --no-shared pool >/dev/null
	# every leaf that the first leaf of the top-level mapping tree names
	leaf=$m
	while (($(od -An -tu4 -j$((leaf * 4096 + 4)) -N4 pool) & 1)); do leaf=$(u64_at pool $((leaf * 4096 + 2048))); done
	for ((i = 0; i < 100; i++)); do zero_block pool "$(u64_at pool $((leaf * 4096 + 2048 + 8 * i)))"; done
	repair
	listed=$(grep -c '^thin_repair: block [0-9]' <<<"$stderr")
	[ "$listed" -ge 10 ] && [ "$listed" -le 50 ]
	more=$(sed -n 's/^thin_repair: and \([0-9]*\) more such blocks; -v lists them all/\1/p' <<<"$stderr")
	[ $((listed + more)) -ge 90 ]
	repair -v
	[ "$(grep -c '^thin_repair: block [0-9]' <<<"$stderr")" -eq $((listed + more)) ]
}

@test "thin_repair: 200,000 leaves without a parent find home in seconds of work, in a bounded stack" {
	mkpool=$abs_top_builddir/bench/mkpool
	"$mkpool" frag 0.02 small
	cp small pool
	"$abs_top_builddir/tests/damage/damage" pool inner-nodes
	repair
	[ "$status" -eq 0 ]
	diff <(content small) <(content out)
	rm pool small
	"$mkpool" frag 2.5 pool
	"$abs_top_builddir/tests/damage/damage" pool inner-nodes
	run --separate-stderr bash -c 'ulimit -t 60 -s 2048; thin_repair --dry-run -i pool'
	rm pool
	[ "$status" -eq 0 ]
	[[ "$stderr" == *" of its children were found"*"1 device, 50000000 mapped blocks: nothing was lost" ]]
}

@test "thin_repair: leaves that could be either device's are not called back" {
	# two devices of the same size, whose leaves cover the same keys, and nothing that tells them apart
	{
		echo '<superblock uuid="" time="0" transaction="1" data_block_size="128" nr_data_blocks="100000">'
		for d in 1 2; do
			echo "<device dev_id=\"$d\" mapped_blocks=\"2520\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
			echo "<range_mapping origin_begin=\"0\" data_begin=\"$((d * 10000))\" length=\"2520\" time=\"0\"/>"
			echo "</device>"
		done
		echo '</superblock>'
	} >two.xml
	thin_restore -q -i two.xml -o out
	# where metadata were written anew, the order of the blocks does
	tee pool <out >anew
	"$abs_top_builddir/tests/damage/damage" anew inner-nodes
	run -0 --separate-stderr thin_repair --explain -i anew -o out
	[[ "$stderr" == *"it is in front of the device's root and behind those before"* ]]
	cmp <(thin_dump out) <(thin_dump pool)
	truncate -s 10G data # but not where they were used since
	echo "pool: 0 12800000 thin-pool pool data 128 0" >table
	for m in 'create_thin 3' 'delete 3'; do thin_message table "$m"; done
	"$abs_top_builddir/tests/damage/damage" pool inner-nodes
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"some parts could belong to more than one device"* ]]
	thin_check -q out
}

@test "thin_check, thin_repair: an empty pool over an older one is told, and the named options bring that back" {
	fixture plain fuzz-1 discards snap-tree
	for name in plain fuzz-1 discards snap-tree; do
		cp "$name/meta.img" pool
		# as at an activation with a zeroed block 0
		zero_block pool 0
		truncate -s 1G data
		echo "pool: 0 2097152 thin-pool pool data 128 0" >table
		thin_message table 'create_thin 0'
		thin_message table 'delete 0'
		before=$(sha256sum pool)
		run --separate-stderr thin_check pool
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"warning: the pool is empty, but block "*" still holds details of devices"*"thin_repair"* ]]
		repair
		[ "$status" -eq 1 ] || { echo "$name: $stderr"; return 1; }
		[[ "$stderr" == *"the pool is empty, but an older pool with "* ]]
		run --separate-stderr thin_dump --repair pool
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"the pool is empty, but an older pool with "* ]]
		read -ra given < <(grep -oE -- '--mapping-root [0-9]+ --details-root [0-9]+' <<<"$stderr") || true
		[ "${#given[@]}" -eq 4 ] || { echo "$name: $stderr"; [ "$name" != plain ] || return 1; continue; }
		repair "${given[@]}" --transaction-id 7
		[[ "$(thin_dump out | head -1)" == *' transaction="7"'* ]]
		[ "$(thin_dump out | grep -c '<device')" -gt 0 ]
		thin_check -q out
		[ "$status" -ne 0 ] || [ "$name" != plain ] || diff <(content plain/meta.img) <(content out)
		[ "$name" != plain ] || [ "$status" -eq 0 ]
		[ "$(sha256sum pool)" = "$before" ]
	done
}

# Writes what the kernel writes when it activates a pool with a zeroed block 0: the blocks of a new, empty pool.
format_over() {
	dd if=fresh/meta.img of=pool bs=4k count=12 conv=notrunc status=none
}

@test "thin_check, thin_repair: what the kernel formatted over is told, and comes back whole where its nodes are" {
	local whole=0 names='bs-192k crash-1 crash-2 discards empty extorigin-snaps fuzz-1 fuzz-2 ids many-thins metasnap
		needscheck-ioerror origin-short powercut-1 powercut-2 thin-short'
	fixture fresh $names
	for name in $names; do
		cp "$name/meta.img" pool
		format_over
		run --separate-stderr thin_check pool
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"warning: the pool is empty, but block "*" still holds details of devices"*"thin_repair"* ]]
		repair
		[ "$status" -eq 1 ]
		last_line "0 devices, 0 mapped blocks"
		read -ra given < <(grep -oE -- '--mapping-root [0-9]+ --details-root [0-9]+' <<<"$stderr")
		[ "${#given[@]}" -eq 4 ] || { echo "$name: $stderr"; return 1; }
		repair "${given[@]}"
		if [ "$status" -eq 0 ]; then # the old pool did not use those blocks
			diff <(content "$name/meta.img") <(content out) || { echo "$name"; return 1; }
			thin_check -q out
			whole=$((whole + 1))
		else
			[ "$status" -eq 1 ]
			[ "$(thin_dump out | grep -c '<device')" -gt 0 ]
		fi
	done
	[ "$whole" -ge 8 ]
}

@test "thin_check, thin_repair: a restored pool that the kernel formatted over is never called empty and sound" {
	fixture fresh
	for i in 1 2 3 4 5; do
		{
			echo '<superblock uuid="" time="1" transaction="7" version="2" data_block_size="128" nr_data_blocks="90000">'
			nr=$((200 + RANDOM % 200))
			for ((d = 1; d <= nr; d++)); do
				echo "<device dev_id=\"$d\" mapped_blocks=\"9\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
				for ((k = 0; k < 1 + RANDOM % 4; k++)); do
					echo "<single_mapping origin_block=\"$((k * 7))\" data_block=\"$((d * 8 + k))\" time=\"0\"/>"
				done
				echo '</device>'
			done
			echo '</superblock>'
		} >r.xml
		rm -f pool
		truncate -s 4M pool
		thin_restore -q -i r.xml -o pool
		format_over
		run --separate-stderr thin_check pool
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"warning: the pool is empty, but "* ]] || { echo "$stderr"; return 1; }
		repair
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"the pool is empty, but parts of an older pool can be read"* ]] || { echo "$stderr"; return 1; }
	done
}

@test "thin_check, thin_repair: a pool that never held a device is not suspected" {
	fixture fresh
	run --separate-stderr thin_check fresh/meta.img
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	cp fresh/meta.img pool
	repair
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
}

@test "thin_check, thin_repair: a pool whose last device was deleted under a metadata snapshot is sound" {
	local transaction
	for transaction in 0 1; do
		rm -f pool data
		truncate -s 1M pool
		truncate -s 8M data
		printf '%s\n' 'pool: 0 16384 thin-pool pool data 128 0' 'vm: 0 2000 thin pool 0' >table
		thin_message table 'create_thin 0' "set_transaction_id 0 $transaction"
		head -c 1000000 /dev/urandom | thin_apply -O raw table vm
		thin_message table reserve_metadata_snap 'delete 0'
		run --separate-stderr thin_check pool
		[ "$status" -eq 0 ] && [ -z "$stderr" ]
		repair
		[ "$status" -eq 0 ] && [ -z "$stderr" ]
		diff <(thin_dump pool | grep -v superblock) <(thin_dump out | grep -v superblock)
	done
}

@test "thin_check names thin_repair where the pool's clock nears its end or is past it, and thin_repair sets it back" {
	need python3
	for time in 16777205 16777216 4294967295; do
		PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$abs_top_srcdir/tests/oracle python3 - "$time" <<-'EOT'
		import struct, sys
		from thinpool import BLOCK, SALT_SUPER, crc
		with open("pool", "r+b") as f:
		    b = bytearray(f.read(BLOCK))
		    struct.pack_into("<I", b, 44, int(sys.argv[1]))
		    struct.pack_into("<I", b, 0, crc(b) ^ SALT_SUPER)
		    f.seek(0)
		    f.write(b)
		EOT
		run -0 thin_check pool
		[[ "$output" == *"time $time nears 16777215"*"thin_repair -i "*" -o FILE' renumbers all times"* ]]
		rm out && truncate -s 8M out
		thin_repair -i pool -o out
		run -0 thin_check out
		[[ "$output" != *nears* ]]
		diff <(thin_dump pool | grep mapping | sed 's/ time=.*//') <(thin_dump out | grep mapping | sed 's/ time=.*//')
	done
	run -1 thin_shrink --binary -i pool -o small --size auto --no-copy --nr-blocks 1000
	[[ "$output" == *"thin_repair -i "*" -o FILE' renumbers all times"* ]]
}

@test "thin_repair: a leaf of the top level in the place of an empty device's tree is seen, though its only value reads as data block 0" {
	need python3
	for devices in '100' '5 100'; do
		{
			echo '<superblock uuid="" time="5" transaction="3" version="2" data_block_size="128" nr_data_blocks="100">'
			for dev in $devices; do
				echo "<device dev_id=\"$dev\" mapped_blocks=\"$((dev / 100 * 20))\" transaction=\"0\" creation_time=\"0\" snap_time=\"5\">"
				[ "$dev" = 5 ] || echo '<range_mapping origin_begin="0" data_begin="0" length="20" time="1"/>'
				echo '</device>'
			done
			echo '</superblock>'
		} >xml
		truncate -s 1M "pool.${devices// /.}"
		thin_restore -q -i xml -o "pool.${devices// /.}"
	done
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$abs_top_srcdir/tests/oracle python3 - <<-'EOT'
	import struct
	from thinpool import BLOCK, SALT_NODE, crc, u64
	alone, both = (bytearray(open(name, "rb").read()) for name in ("pool.100", "pool.5.100"))
	old, top = (u64(b, 320) * BLOCK for b in (alone, both))
	empty = u64(both, top + 32 + 8 * 252)  # the root of device 5, by the first value of the leaf
	b = alone[old:old + BLOCK]
	struct.pack_into("<Q", b, 8, empty)
	struct.pack_into("<I", b, 0, crc(b) ^ SALT_NODE)
	both[empty * BLOCK:(empty + 1) * BLOCK] = b
	open("pool", "wb").write(both)
	EOT
	run --separate-stderr thin_check pool
	[[ "$stderr" == *"device 5: details say 0 mapped blocks, but 1 are"* ]]
	truncate -s 1M out
	repair
	[ "$status" -eq 1 ] || diff <(mappings out) <(mappings pool.5.100)
}

@test "a sound pool whose transaction id was set back is whole" {
	thin_message pool 'create_snap 9 1' 'create_thin 10' # also what several trees share
	thin_message pool 'set_transaction_id 5 0'
	thin_check -q pool
	repair
	[ "$status" -eq 0 ]
	cmp <(content out) <(content pool)
	cmp <(thin_dump -r pool) <(thin_dump pool)
}
