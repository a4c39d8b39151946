#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The rule that protects shared blocks: what writes metadata keeps it, whatever it is given.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	damage="${abs_top_builddir:-$BATS_TEST_DIRNAME/../../build}/tests/damage/damage"
	truncate -s 4M out
}

# Devices that share blocks, leaves and whole trees at any times, also above their snap_times, and
# blocks that one device maps twice: what is put together by hand.  Seed $1, the pool's time $2.
careless_xml() {
	awk -v seed="$1" -v now="$2" '
	function rnd(n) { return int(rand() * n) }
	function when() { return now - rnd(now < 5 ? now + 1 : 5) }
	function part(key, nr,   i, len, data, t) {
		data = rnd(2000); t = when()
		for (i = 0; i < nr; i += len) {
			len = rnd(3) ? 1 : 1 + rnd(40)
			if (len > nr - i) len = nr - i
			if (!rnd(4)) data = rnd(few ? 300 : 9000)
			if (!rnd(9)) t = when()
			printf "<range_mapping origin_begin=\"%d\" data_begin=\"%d\" length=\"%d\" time=\"%d\"/>\n",
				key + i, data, len, t
			data += len
		}
	}
	BEGIN {
		srand(seed); few = rnd(2); nr_defs = rnd(4); nr_devs = 1 + rnd(6)
		printf "<superblock uuid=\"\" time=\"%d\" transaction=\"0\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"20000\">\n", now
		for (d = 0; d < nr_defs; d++) {
			printf "<def name=\"%d\">\n", d + 1
			part(d * 1000, 1 + rnd(rnd(2) ? 30 : 600))
			print "</def>"
		}
		for (n = 1; n <= nr_devs; n++) {
			printf "<device dev_id=\"%d\" mapped_blocks=\"0\" transaction=\"0\" creation_time=\"%d\" snap_time=\"%d\">\n", n, when(), when()
			for (d = 0; d < 4; d++) {
				if (d < nr_defs && rnd(3)) printf "<ref name=\"%d\"/>\n", d + 1
				else if (rnd(3)) part(d * 1000, 1 + rnd(rnd(2) ? 20 : 700))
			}
			print "</device>"
		}
		print "</superblock>"
	}'
}


@test "thin_restore: whatever the XML shares at whatever times, thin_check finds the result sound" {
	first=$((RANDOM * 32768 + RANDOM))
	echo "# seeds $first to $((first + 59))"
	for ((seed = first; seed < first + 60; seed++)); do
		now=$((seed % 4 ? seed % 7 : 16777215 - seed % 3))
		careless_xml $seed $now >pool.xml
		rm -f out; truncate -s 4M out
		thin_restore -q -i pool.xml -o out
		run thin_check out
		[ "$status" -eq 0 ] && [[ "$output" != *warning* ]] || { echo "seed $seed time $now: $output"; return 1; }
		# what is sound is written as it is
		thin_dump out >first.xml
		rm -f again; truncate -s 4M again
		run thin_restore -i first.xml -o again
		[ "$status" -eq 0 ] && [ -z "$output" ] || { echo "seed $seed time $now: $output"; return 1; }
		thin_dump again | cmp - first.xml
	done
}

@test "thin_restore: at the end of the clock times keep their order, and snapshots can be made again" {
	M=16777215
	{
		echo "<superblock uuid=\"\" time=\"$M\" transaction=\"1\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"100\">"
		echo "<device dev_id=\"1\" mapped_blocks=\"3\" transaction=\"0\" creation_time=\"7\" snap_time=\"$((M - 1))\">"
		echo "<single_mapping origin_block=\"0\" data_block=\"5\" time=\"9\"/>"
		echo "<single_mapping origin_block=\"1\" data_block=\"6\" time=\"$M\"/>"
		echo "<single_mapping origin_block=\"2\" data_block=\"7\" time=\"$((M - 1))\"/></device>"
		echo "<device dev_id=\"2\" mapped_blocks=\"1\" transaction=\"0\" creation_time=\"$M\" snap_time=\"$M\">"
		echo "<single_mapping origin_block=\"0\" data_block=\"6\" time=\"$M\"/></device></superblock>"
	} >end.xml
	run thin_restore -i end.xml -o out
	[ "$status" -eq 0 ]
	[[ "$output" == *"snap_time $((M - 1)) is raised to $((M + 1))"*"all times are renumbered"* ]]
	thin_check -q out
	thin_dump out >got.xml
	# 0 7 9 M-1 M M+1 are 0 1 2 3 4 5
	grep -q '<superblock .* time="5"' got.xml
	grep -q 'dev_id="1" .* creation_time="1" snap_time="5"' got.xml
	grep -q 'origin_block="0" data_block="5" time="2"' got.xml
	grep -q 'data_block="7" time="3"' got.xml
	[ "$(grep -c 'data_block="6" time="4"' got.xml)" -eq 2 ]
	thin_message out 'create_snap 3 1'
	thin_check -q out
}

@test "thin_repair and thin_shrink: a pool whose shared blocks are not protected comes out sound" {
	first=$((RANDOM * 32768 + RANDOM))
	echo "# seeds $first to $((first + 19))"
	hurt=0
	for ((seed = first; seed < first + 20; seed++)); do
		now=$((seed % 4 ? 1 + seed % 7 : 16777000 - seed % 3))
		careless_xml $seed $now >pool.xml
		rm -f pool out; truncate -s 4M pool out
		thin_restore -q -i pool.xml -o pool
		"$damage" pool shared-time >log 2>&1 || true
		thin_check -q pool || hurt=$((hurt + 1))
		thin_repair -q -i pool -o out || { echo "seed $seed time $now: thin_repair $?"; return 1; }
		run thin_check out
		[ "$status" -eq 0 ] || { echo "seed $seed time $now, repaired: $output"; return 1; }
		rm -f again; truncate -s 4M again
		thin_dump --repair pool 2>log | thin_restore -q -i - -o again
		run thin_check again
		[ "$status" -eq 0 ] || { echo "seed $seed time $now, dumped: $output"; return 1; }
		rm -f small; truncate -s 4M small
		thin_shrink -q --binary --no-copy --nr-blocks 15000 -i pool -o small || continue
		run thin_check small
		[ "$status" -eq 0 ] || { echo "seed $seed time $now, shrunk: $output"; return 1; }
	done
	[ "$hurt" -gt 0 ]
}

without_times() { thin_dump "$@" | sed -E 's/ (snap_)?time="[0-9]+"( transaction|>)/\2/'; }

@test "thin_check --auto-repair, --clear-needs-check-flag: times that do not protect shared data are raised in place" {
	first=$((RANDOM * 32768 + RANDOM))
	echo "# seeds $first to $((first + 29))"
	hurt=0
	for ((seed = first; seed < first + 30; seed++)); do
		careless_xml $seed $((1 + seed % 7)) >pool.xml
		rm -f out; truncate -s 4M out
		thin_restore -q -i pool.xml -o out
		for recipe in shared-time device-time mapping-time; do
			cp out pool
			"$damage" pool $recipe >log 2>&1 || continue
			! thin_check -q pool || continue # the recipe did no harm, because nothing is shared
			cp pool before
			hurt=$((hurt + 1))
			option=--auto-repair
			((seed % 2)) || option=--clear-needs-check-flag
			thin_check -q $option pool
			run thin_check --format json pool
			[ "$status" -eq 0 ] || { echo "seed $seed, $recipe: $output"; return 1; }
			jq -e '.findings == []' <<<"$output"
			cmp <(without_times before) <(without_times pool) || { echo "seed $seed, $recipe"; return 1; }
			cp pool again
			thin_check -q $option pool
			cmp pool again
		done
	done
	[ $hurt -gt 20 ]
}

@test "thin_check --auto-repair: times are raised beside a held snapshot, whose mappings stay" {
	tar -C . --zstd -xf "${abs_top_srcdir:-$BATS_TEST_DIRNAME/../..}/tests/fixtures/metasnap.tar.zst"
	cp metasnap/meta.img pool
	without_times -m pool >held
	"$damage" pool shared-time >log 2>&1
	run -1 --separate-stderr thin_check pool
	[[ "$stderr" == *"'thin_check --auto-repair pool' corrects it"* ]]
	run thin_check --auto-repair pool
	[ "$status" -eq 0 ]
	[[ "$output" == *"raised the snapshot time of "*": shared data is protected again"* ]]
	thin_check -q pool
	cmp held <(without_times -m pool)
}

@test "thin_check --auto-repair: near the end of the clock nothing is changed, and the way out is said" {
	first=$((RANDOM * 32768 + RANDOM))
	echo "# seed $first"
	careless_xml $first 3 >pool.xml
	thin_restore -q -i pool.xml -o out
	"$damage" out device-time --value 16777000 >log 2>&1
	cp out before
	run -1 --separate-stderr thin_check --auto-repair out
	[[ "$stderr" == *"nothing was changed"*"'thin_repair -i out -o FILE' corrects it"* ]]
	cmp out before
	truncate -s 4M repaired
	thin_repair -i out -o repaired
	thin_check -q repaired

	careless_xml $first 16777215 >pool.xml
	rm out; truncate -s 4M out
	thin_restore -q -i pool.xml -o out # which numbers the times anew
	"$damage" out superblock-time --value 16777215 >log 2>&1
	"$damage" out device-time --value 16777216 >log 2>&1
	cp out before
	run -1 --separate-stderr thin_check --auto-repair out
	[[ "$stderr" == *"nothing was changed"*"'thin_repair -i out -o FILE' corrects it"* ]]
	cmp out before
	rm repaired; truncate -s 4M repaired
	thin_repair --accept-loss -i out -o repaired
	thin_check -q repaired
}

@test "thin_check: a time too late for --auto-repair to raise the clock to it is thin_repair's, and is said to be" {
	careless_xml 1 3 >pool.xml
	for recipe in mapping-time device-time; do
		rm -f out repaired; truncate -s 4M out repaired
		thin_restore -q -i pool.xml -o out
		"$damage" out $recipe --value 16777215 >log 2>&1
		run -1 --separate-stderr thin_check out
		[[ "$stderr" == *"'thin_repair -i out -o FILE' corrects it" && "$stderr" != *auto-repair* ]]
		run -1 thin_check -q --auto-repair out
		thin_repair --accept-loss -i out -o repaired
		thin_check -q repaired
	done
}

@test "thin_check --auto-repair: what an older thin_restore made of devices that share blocks comes up" {
	other=/usr/sbin/thin_restore
	[ -x $other ] || skip "no other thin_restore is installed"
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="20000">'
		for ((d = 0; d < 300; d++)); do
			echo "<device dev_id=\"$d\" mapped_blocks=\"50\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
			echo "<range_mapping origin_begin=\"0\" data_begin=\"$((d % 3 * 20))\" length=\"50\" time=\"0\"/></device>"
		done
		echo '</superblock>'
	} >pool.xml
	$other -i pool.xml -o out >/dev/null
	run -1 thin_check -q out
	thin_check -q --clear-needs-check-flag out
	thin_check -q out
}

@test "thin_repair: a pool's time that has to be raised is told" {
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o pool --size 256K
	run --separate-stderr thin_repair --dry-run -i pool
	[[ "$stderr" != *"time raised"* ]]
	now=$(thin_dump pool | sed -n 's/^<superblock.* time="\([0-9]*\)".*/\1/p')
	for how in mapping-time device-time; do
		cp pool late
		"$damage" late "$how" --value $((now + 7)) >log
		run --separate-stderr thin_repair -i late -o out
		echo "$how: $status $stderr"
		[[ "$stderr" == *"the pool's time was raised from $now to $((now + 7)), "* ]]
		[[ "$(thin_dump out)" == *" time=\"$((now + 7))\""* ]]
	done
}
