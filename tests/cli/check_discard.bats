#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_check: what a power cut during a discard leaves. The kernel removes the mapping, and holds the data block with one
# reference more until the data device has discarded it, too; a commit may come between.

bats_require_minimum_version 1.5.0
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	damage=$abs_top_builddir/tests/damage/damage
	[ -x "$damage" ]
}

# Data block 10 + N is mapped by N devices since before the last snapshot; 20, by device 1, since then.
make_pool() { # TIME DEVICES
	{
		echo "<superblock uuid=\"\" time=\"$1\" transaction=\"5\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"100\">"
		for d in $(seq "$2"); do
			echo "<device dev_id=\"$d\" mapped_blocks=\"$((5 - d + (d == 1)))\" transaction=\"0\" creation_time=\"0\" snap_time=\"$1\">"
			for n in $(seq $d 4); do echo "<single_mapping origin_block=\"$n\" data_block=\"$((10 + n))\" time=\"0\"/>"; done
			[ $d -gt 1 ] || echo "<single_mapping origin_block=\"5\" data_block=\"20\" time=\"$1\"/>"
			echo '</device>'
		done
		echo '</superblock>'
	} >xml
	thin_restore -q -i xml -o pool --size 256K
	thin_dump pool >whole
}

@test "thin_check: a block that was shared may have one reference more than mappings: the pool is sound, and still has all of them" {
	for block in 11 12 13 14; do
		rm -f pool
		make_pool 3 4
		"$damage" pool count-high --value $block
		run -0 --separate-stderr thin_check pool
		[[ "$stderr" == *"warning: data space map: data block $block has reference count $((block - 9)), but "*": held by a discard that a crash or power cut ended"* ]] ||
			{ echo "$stderr"; return 1; }
		run -0 --separate-stderr thin_check --format json pool
		jq -e --argjson b $block '.findings[] | select(.begin == $b) | .kind == "leak" and .severity == "warning" and .stored == .expected + 1' <<<"$output"
		diff whole <(thin_dump pool)
		cp pool kept
		run -0 thin_check -q --auto-repair pool
		run -0 --separate-stderr thin_check pool
		# a count of three or more is in a tree, and stays
		if [ $block -lt 12 ]; then [ -z "$stderr" ]; else [[ "$stderr" == *"held by a discard"* ]]; fi
		diff whole <(thin_dump pool)
		run -0 --separate-stderr thin_repair -i kept -o mended --size auto
		run -0 --separate-stderr thin_check mended
		[ -z "$stderr" ]
		diff whole <(thin_dump mended)
		truncate -s 7M data
		run -0 thin_trim --metadata-dev kept --data-dev data --dry-run
		rm mended
	done
}

@test "thin_check: one reference too many is damage in a pool without snapshots, of a block mapped since the last one, and in the metadata map" {
	make_pool 3 4
	cp pool sound
	"$damage" pool count-high --value 20
	run -1 --separate-stderr thin_check pool
	[[ "$stderr" == *"data block 20 has reference count 2, but 1 reference exists: they will never be freed"* ]] || { echo "$stderr"; return 1; }
	cp sound pool
	"$damage" pool count-high --metadata
	run -1 --separate-stderr thin_check pool
	for n in 1 2; do # two too many
		cp sound pool
		for i in 0 1; do "$damage" pool count-high --value $((10 + n)); done
		run -1 thin_check pool
	done
	rm pool
	make_pool 0 1
	"$damage" pool count-high --value 11
	run -1 thin_check pool
}

@test "thin_repair: a sound pool with any number of leaked blocks, as a long discard leaves them, is called whole, also without its superblock's checksum" {
	make_pool 3 4
	for b in $(seq 30 99); do "$damage" pool leak --value "$b"; done
	"$damage" pool nr-allocated --value 75
	"$damage" pool nr-free --value $((16320 - 75))
	run -0 --separate-stderr thin_check pool
	[ "$(grep -c warning <<<"$stderr")" -eq 1 ] || { echo "$stderr"; return 1; }
	for recipe in '' superblock-csum; do
		[ -z "$recipe" ] || "$damage" pool $recipe
		rm -f out
		run -0 --separate-stderr thin_repair -i pool -o out --size auto
		diff whole <(thin_dump out)
	done
}
