#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What thin_check and the readers say of parts that are lost.

bats_require_minimum_version 1.5.0
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	damage=$abs_top_builddir/tests/damage/damage
}

@test "thin_check: what a lost leaf of the devices or of their details costs is told by the devices' numbers" {
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="1000">'
		for i in $(seq 0 2 1198); do
			echo "<device dev_id=\"$i\" mapped_blocks=\"1\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\"><single_mapping origin_block=\"0\" data_block=\"$((i / 2))\" time=\"0\"/></device>"
		done
		echo '</superblock>'
	} >many.xml
	thin_restore -q -i many.xml -o many --size 8M
	cp many pool
	"$damage" pool node-csum --tree top-level --leaf 1
	run --separate-stderr thin_check pool
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ "of the top-level mapping tree has a bad checksum: devices "[0-9]+-[0-9]+" cannot be found; " ]]
	cp many pool
	"$damage" pool node-csum --tree details --leaf 1
	run --separate-stderr thin_check pool
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ "of the device details tree has a bad checksum: the details of devices "[0-9]+-[0-9]+" are lost; " ]]
}

# fixture NAME: a pool of the kernel as ./pool
fixture() {
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$1.tar.zst" "$1/meta.img"
	cp --sparse=always "$1/meta.img" pool
}

# each_damage POOL [WORDS...]: each damage to a node of a mapping tree of a copy of POOL, with these words for it
each_damage() {
	local recipe c
	for recipe in $("$damage" --list | grep '^node-' | grep -vE '^node-(in-use|underfull)$'); do # these can be read
		cp --sparse=always "$1" pool
		"$damage" pool "$recipe" "${@:2}"
		for c in thin_dump thin_ls thin_info 'thin_rmap --region 0..-1' 'thin_delta --thin1 0 --thin2 1'; do
			run --separate-stderr $c pool
			[ "$status" -eq 1 ] || { echo "$recipe: $c: $status"; return 1; }
			[[ "$stderr" =~ "node at block "[0-9]+" ".*": "(blocks|no block|all blocks).*" the device " ]] || { echo "$recipe: $c: $stderr"; return 1; }
			# no range runs backwards
			while read -r from to; do [ "$from" -le "$to" ] || { echo "$recipe: $c: $stderr"; return 1; }; done \
				< <(grep -oE 'blocks [0-9]+-[0-9]+' <<<"$stderr" | tr -c '0-9\n' ' ')
		done
	done
}

@test "each damage to a node is told by every reader with its block and what is lost, and none of them ends well" {
	fixture snap-tree
	cp --sparse=always pool sound
	each_damage sound
	# the first leaf tells how high a tree is, and so it is read in another way than the others
	awk 'BEGIN {
		print "<superblock uuid=\"\" time=\"1\" transaction=\"2\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"5000\">"
		for (d = 0; d < 2; d++) {
			printf "<device dev_id=\"%d\" mapped_blocks=\"1000\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">\n", d
			for (i = 0; i < 1000; i++)
				printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", i, d * 2000 + 999 - i
			print "</device>"
		}
		print "</superblock>" }' >two.xml
	thin_restore -q -i two.xml -o two --size 1M
	each_damage two --leaf 1
}

# lose OFFSET...: zeroes the blocks to which these words of block 0 of "pool" point.
lose() {
	local at
	for at; do
		dd if=/dev/zero of=pool bs=4096 seek="$(od -An -tu8 -j"$at" -N8 pool | tr -d ' ')" count=1 conv=notrunc status=none
	done
}

@test "where the lists of devices are lost, readers name a metadata snapshot that has its own" {
	local note="-m reads it"
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/metasnap.tar.zst"
	for roots in 320 328 '320 328'; do
		cp --sparse=always metasnap/meta.img pool
		lose $roots
		for c in thin_dump thin_ls thin_info 'thin_rmap --region 0..9' 'thin_delta --thin1 0 --thin2 7'; do
			run -1 --separate-stderr $c pool
			[[ "$stderr" == *"metadata snapshot"*"$note"* ]] || { echo "$roots: $c: $stderr"; return 1; }
			run --separate-stderr $c -q pool
			[ -z "$stderr" ]
		done
	done
	thin_dump -m pool >out
	grep -q '<device dev_id="2"' out
	# the snapshot is damaged as well; the lists are sound; there is no snapshot
	cp pool both
	lose 56
	cp pool no_held; cp metasnap/meta.img pool
	lose "$((44 * 4096 + 320))"; cp pool sound
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/plain.tar.zst"
	cp plain/meta.img pool; lose 320; mv pool none
	for f in no_held sound none; do
		for c in thin_dump thin_ls; do
			run --separate-stderr $c $f
			[[ "$stderr" != *"$note"* ]] || { echo "$f: $c: $stderr"; return 1; }
		done
	done
}

@test "thin_delta, thin_dump --dev-id: a device that damage hides is not said to be none of the pool" {
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/plain.tar.zst"
	cp --sparse=always plain/meta.img pool
	lose 320
	for c in 'thin_delta --thin1 0 --thin2 1' 'thin_delta --thin1 77 --thin2 1' 'thin_dump --dev-id 77'; do
		run -1 --separate-stderr $c pool
		[[ "$stderr" == *"run thin_check for details: 'thin_check pool'"* && "$stderr" != *thin_ls* ]] || { echo "$c: $stderr"; return 1; }
	done
}

@test "thin_delta: a lost leaf that both devices share is told of both trees, another one of its own" {
	awk 'BEGIN {
		print "<superblock uuid=\"\" time=\"1\" transaction=\"2\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"5000\"><def name=\"0\">"
		for (i = 0; i < 1000; i++)
			printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", i, 1999 - i
		print "</def>"
		for (d = 0; d < 2; d++)
			printf "<device dev_id=\"%d\" mapped_blocks=\"1001\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\"><ref name=\"0\"/><single_mapping origin_block=\"3000\" data_block=\"%d\" time=\"1\"/></device>\n", d, 3000 + d
		print "</superblock>" }' >shared.xml
	thin_restore -q -i shared.xml -o shared --size 1M
	for leaf in 1 3; do
		cp shared pool
		"$damage" pool node-csum --leaf $leaf
		run -1 --separate-stderr thin_delta --thin1 0 --thin2 1 pool
		[ $leaf = 3 ] || [[ "$stderr" == *"both trees: node at block "*" has a bad checksum: blocks 252-503 of the device cannot be read"* ]]
		[ $leaf = 1 ] || [[ "$stderr" == *"the left tree: node at block "*" has a bad checksum: blocks from 752 on of the device cannot be read"* ]]
	done
}

@test "thin_check: very many data blocks and several threads, one device alone beyond them, the last device without details" {
	{
		echo '<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="40000000">'
		echo '<device dev_id="1" mapped_blocks="3000" transaction="0" creation_time="0" snap_time="1"><range_mapping origin_begin="0" data_begin="39990000" length="3000" time="0"/></device>'
		echo '</superblock>'
	} >wide.xml
	thin_restore -q -i wide.xml -o wide --size 20M
	thin_check -q --jobs 8 wide # so many blocks that the threads count in one map
	cp wide pool
	"$damage" pool leak
	run --separate-stderr thin_check --jobs 8 pool
	[[ "$stderr" == *"leak"* ]] || { echo "$stderr"; return 1; }
	cp wide pool
	"$damage" pool superblock-map-size --value 39991000
	run --separate-stderr thin_check --format json --jobs 8 pool
	[ "$status" -eq 1 ]
	[ "$(jq -c '[.findings[] | select(.kind == "data-outside") | .count]' <<<"$output")" = '[2000]' ] || { echo "$output"; return 1; }
	fixture snap-tree
	"$damage" pool device-without-details --device 30
	run --separate-stderr thin_check pool
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 30: has mappings, but no details"* ]]
}

@test "thin_check: a part of a check that finds damage does not clear needs_check" {
	fixture needscheck-ioerror
	"$damage" pool device-time
	cp pool before
	run --separate-stderr thin_check --clear-needs-check-flag --skip-mappings pool
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"nothing was changed: "* ]]
	cmp pool before
	run --separate-stderr thin_check --clear-needs-check-flag --super-block-only pool # block 0 alone is asked about
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"cleared needs_check flag"* ]]
}

@test "thin_check: a pool without metadata blocks, and one that is new and wrong, are told" {
	fixture snap-tree
	"$damage" pool superblock-map-size --metadata --value 0
	run --separate-stderr thin_check pool
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"metadata space map: a size of 0 blocks is impossible"* ]]
	fixture fresh
	"$damage" pool superblock-block-size
	run --separate-stderr thin_check pool
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"block size"* ]]
}

@test "thin_shrink: a pool whose mappings reach beyond its data blocks is refused, also by one run that is longer than the pool" {
	local n
	{
		echo '<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="2000">'
		echo '<device dev_id="1" mapped_blocks="1000" transaction="0" creation_time="0" snap_time="1"><range_mapping origin_begin="0" data_begin="100" length="1000" time="0"/></device>'
		echo '</superblock>'
	} >run.xml
	thin_restore -q -i run.xml -o run --size 1M
	for n in 1050 500; do
		cp run pool
		"$damage" pool superblock-map-size --value $n
		run --separate-stderr thin_shrink --binary --no-copy -i pool -o "shrunk$n" --size auto --nr-blocks 200
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"is beyond the pool's $n"* || "$stderr" == *"point beyond the pool's $n data blocks"* ]] || { echo "$stderr"; return 1; }
		[ ! -e "shrunk$n" ]
	done
}

@test "thin_repair: of a device that was cut short the blocks behind its end are told as such" {
	fixture random-50k
	truncate -s $((845 * 4096)) pool
	run --separate-stderr thin_repair --dry-run -v -i pool
	[ "$status" -eq 1 ]
	[ "$(grep -c '^thin_repair: block [0-9]* (.*) is past the end of the device' <<<"$stderr")" -gt 100 ]
	# and none before it
	grep -o 'block [0-9]* (.*past the end' <<<"$stderr" | awk '$2 < 845 { exit 1 }'
}
