#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_repair: what looks whole is compared with the space maps before it is called whole.

bats_require_minimum_version 1.5.0
load needs

setup() {
	export SEED=${SEED:-$RANDOM}
	cd "$BATS_TEST_TMPDIR" || return 1
	RANDOM=$((SEED + BATS_TEST_NUMBER))
	echo "SEED=$SEED"
	truncate -s 16M out
}

u64_at() { od -An -tu8 -j"$2" -N8 "$1" | tr -d ' '; }
zero_block() { dd if=/dev/zero of=pool bs=4096 seek="$1" count=1 conv=notrunc status=none; }
copy_block() { dd if="$1" of=pool bs=4096 skip="$2" seek="$3" count=1 conv=notrunc status=none; }
repair() { run --separate-stderr thin_repair -i pool -o out "$@"; }
mappings() { thin_dump --no-shared "$1" | sed 's/ mapped_blocks=.*//; s/ time=.*//; /device\|mapping/!d'; }
# What is mapped where, under whatever id
runs() { mappings "$1" | grep _mapping | sort; }

fixture() {
	need zstd
	for name; do
		tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$name.tar.zst" "$name/meta.img"
	done
}

@test "thin_repair: a leaf that holds another block's content is never called whole" {
	fixture plain snap-tree
	for name in plain snap-tree; do
		cp "$name/meta.img" pool
		root=$(u64_at pool 320)
		nr=$(od -An -tu4 -j$((root * 4096 + 16)) -N4 pool | tr -d ' ')
		for round in 1 2 3 4 5 6 7 8; do
			cp "$name/meta.img" pool
			to=$(u64_at pool $((root * 4096 + 2048 + 8 * (RANDOM % nr))))
			from=$((1 + RANDOM % 300))
			copy_block "$name/meta.img" $from "$to"
			cmp -s pool "$name/meta.img" && continue
			repair
			[ "$status" -eq 1 ] || diff <(mappings "$name/meta.img") <(mappings out) ||
				{ echo "$round $name: $from to $to: $stderr"; return 1; }
			thin_check -q out
		done
	done
}

@test "thin_repair: with roots, metadata index and its bitmap lost the leaves are back, and it is told" {
	fixture plain lvm
	for name in plain lvm; do
		cp "$name/meta.img" pool
		index=$(u64_at pool 208)
		bitmap=$(u64_at pool $((index * 4096 + 16)))
		for b in $(u64_at pool 320) $(u64_at pool 328) "$index" "$bitmap"; do zero_block "$b"; done
		repair
		[ "$status" -eq 1 ]
		[[ "$stderr" != *"nothing was lost"* ]]
		thin_check -q out
		[ "$name" = plain ] || continue
		[[ "$stderr" == *"its id is lost; this number is invented"* ]]
		diff <(runs plain/meta.img) <(runs out)
	done
}

@test "thin_repair: an older leaf in a newer one's place is told, with the data blocks that nothing maps" {
	fixture plain
	cp plain/meta.img pool
	copy_block plain/meta.img 17 25 # an empty leaf that block 25 replaced
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"97 data blocks are in use according to the data space map, but no mapping to them was found"* ]]
	[[ "$stderr" == *"0 mapped blocks kept, 97 lost"* ]]
	[[ "$stderr" != *"corrected"* ]]
}

# A pool of a device and a snapshot of it that was written to since: its runs are BEGIN DATA LENGTH TIME
origin_and_snapshot() {
	echo '<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="1000">
		<device dev_id="1" mapped_blocks="100" transaction="0" creation_time="0" snap_time="1">
		<range_mapping origin_begin="0" data_begin="0" length="100" time="0"/></device>
		<device dev_id="2" mapped_blocks="100" transaction="1" creation_time="1" snap_time="1">'
	for run; do
		read -r begin data length time <<<"$run"
		echo "<range_mapping origin_begin=\"$begin\" data_begin=\"$data\" length=\"$length\" time=\"$time\"/>"
	done
	echo '</device></superblock>'
}
open_ranges() { jq -c '[.devices[] | .dev_id, .certainty, (.open_ranges[] | .begin, .length)]' json; }

@test "thin_repair: where the data map counts fewer mappings of a data block, all of them are open, but not by an older map" {
	truncate -s 256K old new
	nr=$((1 + RANDOM % 60)) at=$((1 + RANDOM % 39))
	origin_and_snapshot "0 0 100 0" | thin_restore -q -i - -o old
	origin_and_snapshot "0 0 $at 0" "$at 200 $nr 1" "$((at + nr)) $((at + nr)) $((100 - at - nr)) 0" | thin_restore -q -i - -o new
	cp new pool
	leaf=$(u64_at new $(($(u64_at new 320) * 4096 + 2048 + 8)))
	copy_block old "$leaf" "$leaf"
	repair
	[ "$status" -eq 1 ]
	for dev in 1 2; do
		[[ "$stderr" == *"device $dev: open, may be another device's or older: blocks $at-$((at + nr - 1)) "* ]]
	done
	thin_repair --dry-run --format json -i pool >json || [ $? -eq 1 ]
	[ "$(open_ranges)" = "[1,\"open\",$at,$nr,2,\"open\",$at,$nr]" ]
	cp new pool
	index=$(($(u64_at new 80) * 4096))
	bitmap=$(u64_at new $((index + 32 + 8 * $(od -An -tu4 -j$((index + 20)) -N4 new))))
	copy_block old "$bitmap" "$bitmap"
	repair
	[ "$status" -eq 0 ]
	thin_repair --dry-run --format json -i pool >json
	[ "$(open_ranges)" = '[1,"proved",2,"proved"]' ]
}

@test "thin_repair: parts that no number confirms are likely, also where they fit in no other place" {
	fixture snap-tree
	cp snap-tree/meta.img pool
	# all children of a device's root are found; a leaf of the same device is lost, too
	top=$(u64_at pool 320)
	root=$(u64_at pool $((top * 4096 + 2048)))
	leaf=$(u64_at pool $((root * 4096 + 2048 + 8)))
	zero_block "$root"
	zero_block "$leaf"
	repair
	[ "$status" -eq 1 ]
	thin_repair --dry-run --format json -i pool >json || [ $? -eq 1 ]
	jq -e 'any(.devices[]; .certainty == "lost" and (.likely_ranges | length) > 0)' json
}

@test "thin_repair: without a superblock another pool's rests are not called whole" {
	fixture plain fuzz-1
	cp plain/meta.img pool
	# the older pool lies behind what this one has used
	dd if=fuzz-1/meta.img of=pool bs=4096 skip=30 seek=30 conv=notrunc status=none
	zero_block 0
	repair --data-block-size 128 --transaction-id 0 --nr-data-blocks 1024
	[ "$status" -eq 1 ]
}

# An older program (0.9.0) counts one metadata block too many, and its indices do not have the entries past a map's end as free
@test "thin_repair: a pool that an older program restored, and whose devices were extended since, is judged as before" {
	local damage=$abs_top_builddir/tests/damage/damage name lost kind used nr
	need jq
	json() { thin_info --format json "$name/meta.img" | jq "$1"; }
	fixture plain snap-tree
	for name in plain snap-tree; do
		for lost in none top-level details; do
			for kind in restored metadata data both; do
				cp "$name/meta.img" pool
				used=$(u64_at pool 200)
				nr=$(json .metadata.nr_blocks)
				[[ $kind = restored || $kind = data ]] || nr=$((used + 1 + RANDOM % (nr - used - 4)))
				"$damage" pool nr-allocated --metadata
				"$damage" pool nr-free --metadata --value $((nr - used - 1))
				used=$(json .data.used_blocks)
				nr=$(json .data.nr_blocks)
				[[ $kind = restored || $kind = metadata ]] || nr=$((used + RANDOM % (nr - used - 3)))
				"$damage" pool nr-free --value $((nr - used))
				case $lost in
				top-level) zero_block "$(u64_at pool 320)" ;;
				details) zero_block "$(u64_at pool 328)" ;;
				esac
				repair
				echo "$name, $lost lost, $kind: $status $stderr"
				[ "$status" -eq 0 ]
				[ "$(mappings out)" = "$(mappings "$name/meta.img")" ]
			done
		done
	done
}

@test "thin_repair: a tree that lost a leaf comes back under a new id, where top level, details and metadata bitmaps are lost too" {
	local nr=1200 index root leaf b
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="5000">'
		echo "<device dev_id=\"7\" mapped_blocks=\"$nr\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
		awk -v nr=$nr 'BEGIN { for (i = 0; i < nr; i++) printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", i, (i * 7) % 5000 }'
		echo '</device></superblock>'
	} >xml
	truncate -s 4M pool
	thin_restore -q -i xml -o pool
	index=$(u64_at pool 208)
	root=$(u64_at pool $(($(u64_at pool 320) * 4096 + 2048)))
	leaf=$(u64_at pool $((root * 4096 + 2048 + 8))) # the second
	thin_dump --no-shared pool | sort >whole
	for b in "$(u64_at pool 320)" "$(u64_at pool 328)" "$(u64_at pool $((index * 4096 + 16)))" "$leaf"; do
		zero_block "$b"
	done
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"its id is lost; this number is invented"* ]] || { echo "$stderr"; return 1; }
	thin_dump --no-shared out | sort >back
	[ -z "$(grep mapping back | comm -23 - whole)" ]                   # nothing is invented
	[ "$(grep -c mapping back)" -gt 1 ] && [ "$(thin_ls --no-headers -o MAPPED_BLOCKS out)" -gt 700 ]
}

@test "thin_repair: a lost root that may have been a leaf gets nothing where the other device then has just what it lacks" {
	local root1 root2
	{
		echo '<superblock uuid="" time="3" transaction="1" version="2" data_block_size="128" nr_data_blocks="5000">'
		awk 'BEGIN {
			line = "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"1\"/>\n"
			print "<device dev_id=\"1\" mapped_blocks=\"220\" transaction=\"0\" creation_time=\"0\" snap_time=\"3\">"
			for (i = 0; i < 220; i++) printf line, 900000 + i * 2, i
			print "</device><device dev_id=\"2\" mapped_blocks=\"882\" transaction=\"0\" creation_time=\"3\" snap_time=\"3\">"
			for (i = 0; i < 882; i++) printf line, i * 3, 1000 + i * 2
			print "</device></superblock>" }'
	} >xml
	truncate -s 4M pool
	thin_restore -q -i xml -o pool
	root1=$(u64_at pool $(($(u64_at pool 320) * 4096 + 2048)))
	root2=$(u64_at pool $(($(u64_at pool 320) * 4096 + 2056)))
	cp pool whole
	zero_block "$root1"
	zero_block "$root2"
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 1: 0 mapped blocks kept, 220 lost"* && "$stderr" != *"may be another device's"* ]] || { echo "$stderr"; return 1; }
	cmp <(thin_dump --no-shared --dev-id 2 out | grep _mapping) <(thin_dump --no-shared --dev-id 2 whole | grep _mapping)
}

@test "thin_repair: two devices had one root where one block alone may have been it, though counts of three and more are lost" {
	local d root
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="5000">'
		for d in 1:428 3:156; do
			echo "<device dev_id=\"${d%:*}\" mapped_blocks=\"${d#*:}\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
			awk -v d="${d%:*}" -v nr="${d#*:}" 'BEGIN { for (i = 0; i < nr; i++) printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", i * 2, d * 1000 + i }'
			echo '</device>'
		done
		echo '</superblock>'
	} >xml
	truncate -s 4M pool
	thin_restore -q -i xml -o pool
	for d in 2:1 4:3 5:3 6:3; do thin_message pool "create_snap ${d%:*} ${d#*:}"; done
	thin_dump --no-shared pool | grep _mapping | sort >whole
	root=$(u64_at pool $(($(u64_at pool 320) * 4096 + 2048)))
	for b in "$root" "$(u64_at pool 320)" "$(u64_at pool 216)"; do zero_block "$b"; done
	repair
	[ "$status" -eq 1 ]
	thin_dump --no-shared out | grep _mapping | sort | cmp - whole || { echo "$stderr"; return 1; }
}
