#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_delta: what callers parse, and the truth block by block.

bats_require_minimum_version 1.5.0
load needs
load owners.bash

@test "thin_delta: the XML is token for token what callers parse" {
	run --separate-stderr thin_delta --snap1 1 --thin2 3 "$DIR/tiny"
	[ "$status" -eq 0 ]
	diff - <(echo "$output") <<-'XML'
	<superblock uuid="" time="2" transaction="5" data_block_size="128" nr_data_blocks="100">
	  <diff left="1" right="3">
	    <same begin="0" length="1"/>
	    <left_only begin="1" length="2"/>
	    <left_only begin="7" length="1"/>
	    <right_only begin="9" length="1"/>
	  </diff>
	</superblock>
	XML
	[ "$(thin_delta --thin1 1 --thin2 3 "$DIR/tiny" | tail -c 13)" = '</superblock>' ]
	[ "$(thin_delta --thin1 1 --thin2 3 "$DIR/tiny" | wc -l)" -eq 7 ] # no newline at the end
}

@test "thin_delta: --verbose groups ranges that are contiguous in data as well" {
	cat >d.xml <<-'XML'
	<superblock uuid="" time="1" transaction="0" version="2" data_block_size="128" nr_data_blocks="1000">
	  <device dev_id="1" mapped_blocks="6" transaction="0" creation_time="0" snap_time="1">
	    <single_mapping origin_block="0" data_block="100" time="0"/>
	    <single_mapping origin_block="1" data_block="500" time="0"/>
	    <range_mapping origin_begin="2" data_begin="600" length="2" time="0"/>
	    <range_mapping origin_begin="8" data_begin="700" length="2" time="0"/>
	  </device>
	  <device dev_id="2" mapped_blocks="5" transaction="0" creation_time="0" snap_time="1">
	    <single_mapping origin_block="2" data_block="800" time="0"/>
	    <single_mapping origin_block="3" data_block="300" time="0"/>
	    <range_mapping origin_begin="8" data_begin="700" length="3" time="0"/>
	  </device>
	</superblock>
	XML
	truncate -s 256K d
	thin_restore -i d.xml -o d
	run --separate-stderr thin_delta --verbose --thin1 1 --thin2 2 d
	diff - <(echo "$output") <<-'XML'
	<superblock uuid="" time="1" transaction="0" data_block_size="128" nr_data_blocks="1000">
	  <diff left="1" right="2">
	    <left_only>
	      <range begin="0" data_begin="100" length="1"/>
	      <range begin="1" data_begin="500" length="1"/>
	    </left_only>
	    <different>
	      <range begin="2" left_data_begin="600" right_data_begin="800" length="1"/>
	      <range begin="3" left_data_begin="601" right_data_begin="300" length="1"/>
	    </different>
	    <same>
	      <range begin="8" data_begin="700" length="2"/>
	    </same>
	    <right_only>
	      <range begin="10" data_begin="702" length="1"/>
	    </right_only>
	  </diff>
	</superblock>
	XML
}

@test "thin_delta: --verbose begins a new range where one of the two sides jumps, whichever it is" {
	cat >d.xml <<-'XML'
	<superblock uuid="" time="1" transaction="0" version="2" data_block_size="128" nr_data_blocks="1000">
	  <device dev_id="1" mapped_blocks="6" transaction="0" creation_time="0" snap_time="1">
	    <range_mapping origin_begin="0" data_begin="100" length="6" time="0"/>
	  </device>
	  <device dev_id="2" mapped_blocks="6" transaction="0" creation_time="0" snap_time="1">
	    <range_mapping origin_begin="0" data_begin="200" length="2" time="0"/>
	    <range_mapping origin_begin="2" data_begin="300" length="2" time="0"/>
	    <range_mapping origin_begin="4" data_begin="302" length="2" time="1"/>
	  </device>
	</superblock>
	XML
	thin_restore -q -i d.xml -o jump --size 256K
	thin_delta --verbose --thin1 1 --thin2 2 jump | grep '<range' | diff - <(printf '      <range %s/>\n' \
		'begin="0" left_data_begin="100" right_data_begin="200" length="2"' \
		'begin="2" left_data_begin="102" right_data_begin="300" length="4"')
	thin_delta --verbose --thin1 2 --thin2 1 jump | grep '<range' | diff - <(printf '      <range %s/>\n' \
		'begin="0" left_data_begin="200" right_data_begin="100" length="2"' \
		'begin="2" left_data_begin="300" right_data_begin="102" length="4"')
}

# The kinds of all blocks, a line each, from the XML.
blocks() {
	awk -F'"' '/ begin="/ { split($1, w, /[< ]+/); for (i = 0; i < $4; i++) print w[2], $2 + i }' | sort
}

@test "thin_delta: every block has the kind that the oracle says, with deep sharing" {
	for seed in 1 2 3; do
		for pair in '1 2' '3 101' '101 102' '2 5' '6 3'; do
			set -- $pair
			oracle -v mode=delta -v left="$1" -v right="$2" "$DIR/random$seed.flat" | sort >want
			thin_delta --thin1 "$1" --thin2 "$2" "$DIR/random$seed" | blocks | cmp - want
			thin_delta --skip-same --thin1 "$1" --thin2 "$2" "$DIR/random$seed" | blocks >got
			{ grep -v same want || true; } | cmp - got
			thin_delta --verbose --jobs 1 --thin1 "$1" --thin2 "$2" "$DIR/random$seed" >a
			thin_delta --verbose --jobs 8 --thin1 "$1" --thin2 "$2" "$DIR/random$seed" | cmp - a
		done
	done
}

@test "thin_delta: a damaged leaf that both devices share is told, but with --skip-same, which does not read it" {
	local b seen=0

	# two devices: 200 blocks in common, and 200 of their own
	awk 'function single(from, data) { for (v = from; v < from + 200; v++) printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", v, data + v * 2 }
	BEGIN {
		print "<superblock uuid=\"\" time=\"1\" transaction=\"2\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"5000\"><def name=\"1\">"
		single(200, 0)
		print "</def>"
		for (id = 1; id <= 2; id++) {
			printf "<device dev_id=\"%d\" mapped_blocks=\"400\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">\n", id
			single(0, id * 1000)
			print "<ref name=\"1\"/></device>"
		}
		print "</superblock>"
	}' >common.xml
	thin_restore -q -i common.xml -o common --size 256K
	thin_delta --skip-same --thin1 1 --thin2 2 common >want
	grep -q '<different' want
	for ((b = 1; b < 30; b++)); do
		cp common hurt
		dd if=/dev/urandom of=hurt bs=4096 seek=$b count=1 conv=notrunc status=none
		run --separate-stderr thin_delta --thin1 1 --thin2 2 hurt
		[[ "$status" -eq 1 && "$stderr" == *"both trees"* ]] || continue
		thin_delta --skip-same --thin1 1 --thin2 2 hurt | cmp - want
		seen=$((seen + 1))
	done
	[ "$seen" -gt 0 ]
}

@test "thin_delta: a large device and a small one, which are read in a different number of pieces" {
	# device 1 maps 300,000 blocks, none beside its neighbour; device 2 every 997th, a third of them in the same place
	awk 'function place(v) { return v * 7919 % 300007 }
	function device(id, n) { printf "<device dev_id=\"%d\" mapped_blocks=\"%d\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">\n", id, n }
	function single(v, d) { printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", v, d }
	BEGIN {
		print "<superblock uuid=\"\" time=\"1\" transaction=\"2\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"700000\">"
		device(1, 300000)
		for (v = 0; v < 300000; v++) single(v, place(v))
		print "</device>"
		device(2, 401)
		for (v = i = 0; i <= 400; i++) { v = i * 997; single(v, i % 3 ? 300007 + v : v < 300000 ? place(v) : 300007 + v) }
		print "</device>"
		device(3, 50)
		for (v = 0; v < 100; v += 2) single(v, place(v))
		print "</device></superblock>"
	}' >sizes.xml
	thin_restore -q -i sizes.xml -o sizes --size 16M
	awk 'BEGIN { for (v = 0; v < 300000 || v <= 400 * 997; v++) {
		two = v % 997 == 0 && v <= 400 * 997
		if (v < 300000 || two) print (!two ? "left_only" : v >= 300000 ? "right_only" : v / 997 % 3 ? "different" : "same"), v } }' | sort >want
	thin_delta --thin1 1 --thin2 2 sizes | blocks | cmp - want
	sed 's/^left_only/x/; s/^right_only/left_only/; s/^x/right_only/' want | sort >other
	thin_delta --thin1 2 --thin2 1 sizes | blocks | cmp - other
	# device 3 ends in the first piece of the other
	thin_delta --thin1 3 --thin2 1 sizes | blocks | cmp - <(seq 0 299999 | awk '{ print ($1 < 100 && $1 % 2 == 0 ? "same" : "right_only"), $1 }' | sort)
	thin_delta --verbose --thin1 2 --thin2 1 sizes | grep -c '<range' >nr
	[ "$(cat nr)" -ge 300000 ]
}

@test "thin_delta: roots and names choose sides, mistakes are told" {
	top=$(($(od -An -tu8 -j320 -N8 "$DIR/tiny" | tr -d ' ') * 4096))
	root=$(od -An -tu8 -j$((top + 2048)) -N8 "$DIR/tiny" | tr -d ' ')
	run --separate-stderr thin_delta --root1 "$root" --thin2 3 "$DIR/tiny"
	[ "${lines[1]}" = "  <diff left_root=\"$root\" right=\"3\">" ]
	[ "${lines[3]}" = '    <left_only begin="1" length="2"/>' ]
	cp "$DIR/tiny" meta
	truncate -s 1M data
	printf '%s\n' 'pool: 0 12800 thin-pool meta data 128 0' 'web: 0 2048 thin pool 1' >table
	run --separate-stderr thin_delta --thin1 web --thin2 3 table
	[ "${lines[1]}" = '  <diff left="1" right="3">' ]
	run --separate-stderr thin_delta --thin1 nobody --thin2 3 table
	[ "$status" -eq 1 ]
	run --separate-stderr thin_delta --thin1 1 --snap2 9 "$DIR/tiny"
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"Unable to find mapping tree for snap2 (9)"* ]]
	run --separate-stderr thin_delta --thin1 1 "$DIR/tiny"
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"--thin2 or --root2 not specified"* ]]
	run --separate-stderr thin_delta --thin1 1 --root1 7 --thin2 1 "$DIR/tiny"
	[ "$status" -eq 64 ]
}

@test "thin_delta: a block that is no root is not only called damage, and the tree is named" {
	local bad="or the block given is not the root of a device's mapping tree"
	for block in 0 99999999; do
		run -1 --separate-stderr thin_delta --root1 $block --thin2 3 "$DIR/tiny"
		[[ "$stderr" == *"the left tree: node at block $block "*"$bad"* ]]
		run -1 --separate-stderr thin_delta --thin1 3 --root2 $block "$DIR/tiny"
		[[ "$stderr" == *"the right tree: node at block $block "*"$bad"* ]]
	done
	thin_check -q "$DIR/tiny"
}

@test "thin_delta: what lies below a node that is lost is told with its blocks, and nothing closes the document" {
	"$abs_top_builddir/bench/mkpool" frag 0.02 big
	"$abs_top_builddir/tests/damage/damage" big node-csum --node 1
	run --separate-stderr thin_delta --thin1 1 --thin2 1 big
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ "has a bad checksum: blocks 0-"[0-9]+" of the device cannot be read" ]]
	[ "$(grep -c 'bad checksum' <<<"$stderr")" -eq 1 ]
	[[ "$output" != *'</superblock>'* ]]
}

@test "thin_delta: a metadata snapshot can be compared with the live trees" {
	cp "$DIR/random1" p
	thin_message p reserve_metadata_snap
	thin_message p 'delete 2'
	thin_message p 'create_snap 2 1'
	thin_delta --metadata-snap1 --thin1 2 --thin2 2 p >got
	blocks <got | cmp - <(oracle -v mode=delta -v left=2 -v right=1 "$DIR/random1.flat" | sort)
	thin_delta -m --thin1 2 --thin2 1 p | blocks | cmp - <(blocks <got)
	thin_ls -m --no-headers -o DEV,EXCLUSIVE_BLOCKS p | cmp - <(thin_ls --no-headers -o DEV,EXCLUSIVE_BLOCKS "$DIR/random1")
	thin_rmap -m --region 0..20000 p | cmp - <(thin_rmap --region 0..20000 "$DIR/random1")
}

@test "thin_delta: without a metadata snapshot the message names the option that was given" {
	local given
	for given in --metadata-snap1 --metadata-snap2 '--metadata-snap1 and --metadata-snap2' --metadata-snap; do
		# shellcheck disable=SC2086
		run --separate-stderr thin_delta ${given/ and/} --thin1 1 --thin2 2 "$DIR/random1"
		[ "$status" -eq 1 ]
		[[ "$stderr " == *"no current metadata snap: the pool holds none; leave out $given "* ]] || { echo "$stderr"; return 1; }
	done
}

@test "thin_delta: damage is named and the output does not end as if it were whole" {
	cp "$DIR/tiny" bad
	spoil bad
	run --separate-stderr thin_delta --thin1 1 --thin2 3 bad
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"bad checksum"* ]]
	[[ "$output" != *"</superblock>"* ]]
}

@test "callers: thin-send-recv, wyng and OpenNebula find the words that they know and no others" {
	cp "$DIR/random1" live
	thin_message live reserve_metadata_snap 2>log
	thin_delta -m --snap1 3 --snap2 5 live >got
	for word in $(tr -c 'a-z_' '\n' <got | sort -u); do
		case $word in
		diff | left | right | uuid | time | same | begin | length | different | left_only | right_only) ;;
		superblock | transaction | nr_data_blocks | data_block_size) ;;
		*) echo "'$word'"; return 1 ;;
		esac
	done
	# one element a line, attributes in double quotes, begin before length
	sed '1,2d; $d' got | sed '$d' | { ! grep -vE '^    <(same|different|left_only|right_only) begin="[0-9]+" length="[0-9]+"/>$'; }
	thin_delta --thin2=5 -m --thin1=3 live | cmp - got
	thin_delta live --thin2 5 --metadata-snap --thin1 3 | cmp - got
}
