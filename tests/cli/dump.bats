#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_dump: what callers parse, sharing, damage, output files.

bats_require_minimum_version 1.5.0
load needs

setup_file() {
	export DIR=$BATS_FILE_TMPDIR TINY=$abs_top_srcdir/xml/good/tiny.xml
	truncate -s 256K "$DIR/tiny"
	thin_restore -i "$TINY" -o "$DIR/tiny"

	# devices 1 and 2 share a part of two leaves and one of one; many single mappings
	{
		echo '<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="9000">'
		echo '  <def name="1">'
		singles 0 504 0
		echo '  </def>'
		echo '  <def name="2">'
		singles 2000 252 1000
		echo '  </def>'
		for dev in 1 2; do
			echo "  <device dev_id=\"$dev\" mapped_blocks=\"1756\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">"
			echo '    <ref name="1"/>'
			singles 1000 1000 $((dev * 2000))
			echo '    <ref name="2"/>'
			echo '  </device>'
		done
		echo '</superblock>'
	} >"$DIR/shared.xml"
	truncate -s 4M "$DIR/shared"
	thin_restore -i "$DIR/shared.xml" -o "$DIR/shared"
}

# $2 mappings from device block $1 to data block $3 on, none of which can be merged
singles() {
	awk -v v="$1" -v n="$2" -v d="$3" 'BEGIN { for (i = 0; i < n; i++)
		printf "    <single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", v + i, d + n - 1 - i }'
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# Flips a byte of block $2 of file $1.
flip() {
	local at=$(($2 * 4096 + 100)) old
	old=$(od -An -tu1 -j $at -N1 "$1")
	printf "\\$(printf %o $((old ^ 255)))" | dd of="$1" bs=1 seek=$at conv=notrunc status=none
}

number() { # of $3 bytes at $2 in file $1
	od -An -tu"$3" -j"$2" -N"$3" "$1" | tr -d ' '
}

# The root of device $2's mapping tree in file $1.
root_of() {
	local top i
	top=$(($(number "$1" 320 8) * 4096))
	for ((i = 0; i < $(number "$1" $((top + 16)) 4); i++)); do
		[ "$(number "$1" $((top + 32 + 8 * i)) 8)" -ne "$2" ] ||
			number "$1" $((top + 2048 + 8 * i)) 8
	done
}

@test "thin_dump: the XML is token for token what callers parse" {
	run --separate-stderr thin_dump "$DIR/tiny"
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	diff "$TINY" - <<<"$output"
}

@test "thin_dump: human_readable has inclusive ranges and the header in order" {
	run --separate-stderr thin_dump -f human_readable --dev-id 1 "$DIR/tiny"
	[ "$status" -eq 0 ]
	diff - <(echo "$output") <<-'TXT'
	begin superblock: "", 2, 5, 0, 2, 128, 100
	device: 1
	mapped_blocks: 4
	transaction: 1
	creation time: 0
	snap time: 1
	    (0..2) -> (10..12), 0
	    (7..7) -> (20..20), 1

	end superblock
	TXT
}

@test "thin_dump: json is one document with the same content" {
	need jq
	run --separate-stderr thin_dump -f json "$DIR/tiny"
	[ "$status" -eq 0 ]
	[ "$(jq -c '[.devices[].dev_id]' <<<"$output")" = '[1,2,3]' ]
	[ "$(jq -c '.devices[0].mappings[1]' <<<"$output")" = '{"begin":7,"data_begin":20,"length":1,"time":1}' ]
	thin_dump -f json "$DIR/shared" | jq -e '.defs | length == 2' >/dev/null
}

@test "thin_dump: shared leaves become defs, numbered from 0 as they come, and come back the same" {
	thin_dump "$DIR/shared" >a.xml
	[ "$(grep -c '<def ' a.xml)" -eq 2 ]
	[ "$(grep -c '<ref ' a.xml)" -eq 4 ]
	[ "$(grep -o '<def name="[0-9]*' a.xml | tr -dc '0-9\n')" = $'0\n1' ]
	[ "$(thin_dump --repair "$DIR/shared" | sha256sum)" = "$(sha256sum <a.xml)" ]
	truncate -s 4M again
	thin_restore -i a.xml -o again
	thin_dump again | diff a.xml -
}

@test "thin_dump: equal pools have equal dumps, wherever their nodes lie" {
	# the same devices, made in opposite orders: the shared leaves lie in opposite orders too
	local H='<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="9000">'
	def() { echo "<def name=\"$1\">"; singles "$2" 300 "$2"; echo '</def>'; }
	for order in '7 8 9' '9 7 8' '8 9 7'; do
		{
			echo "$H"
			for n in $order; do def "$n" $((n * 400)); done
			for dev in 1 2; do
				echo "<device dev_id=\"$dev\" mapped_blocks=\"900\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">"
				for n in 7 8 9; do echo "<ref name=\"$n\"/>"; singles $((n * 400 + 300)) 90 $((dev * 1000 + n * 100)); done
				echo '</device>'
			done
			echo '</superblock>'
		} >in.xml
		truncate -s 4M "m${order// /}"
		thin_restore -i in.xml -o "m${order// /}"
		for f in xml json human_readable; do
			thin_dump -f $f "m${order// /}" >"d.$f"
			[ -e "first.$f" ] || cp "d.$f" "first.$f"
			cmp "d.$f" "first.$f"
			thin_dump -f $f --repair "m${order// /}" | cmp - "first.$f"
		done
	done
	! cmp -s m789 m978
	[ "$(grep -c '<def ' first.xml)" -eq 3 ]
}

@test "thin_dump and thin_delta: a held snapshot and needs_check add no word that thin-send-recv does not know" {
	cp "$DIR/tiny" m
	thin_message m reserve_metadata_snap
	for f in xml human_readable; do
		thin_dump -f $f --dev-id 1 "$DIR/tiny" >live
		thin_dump -f $f -m --dev-id 1 m | cmp - live
		# as lvmsync writes it
		thin_dump --format $f m --dev-id 1 --metadata-snap "$(thin_dump -m -f json m | jq .superblock.metadata_snap)" | cmp - live
	done
	run --separate-stderr thin_dump --format xml m --metadata-snap 1
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"asked for block 1"* ]]
	tar -xf "$abs_top_srcdir/tests/fixtures/needscheck-enospc.tar.zst" -C .
	local meta; meta=$(find . -name 'meta*.img' | head -1)
	[[ "$(thin_dump -q "$meta" | head -1)" == *' flags="1"'* ]]
	local ids; mapfile -t ids < <(thin_ls --no-headers -o DEV "$meta" | tr -d ' ')
	thin_delta --thin1 "${ids[0]}" --thin2 "${ids[-1]}" "$meta" >delta
	[[ "$(head -1 delta)" == '<superblock uuid="" time='*' transaction='*' data_block_size='*' nr_data_blocks='* ]]
	! grep -qE 'flags|metadata_snap' delta
}

@test "thin_dump: --no-shared and --dev-id write everything inline" {
	thin_dump --no-shared "$DIR/shared" >a.xml
	[ "$(grep -c 'single_mapping' a.xml)" -eq 3512 ]
	[ "$(grep -cE '<(def|ref)' a.xml)" -eq 0 ]
	thin_dump --dev-id 2 "$DIR/shared" >b.xml
	[ "$(grep -c '<device ' b.xml)" -eq 1 ]
	diff <(sed -n '/dev_id="2"/,/<.device>/p' a.xml) <(sed -n '/dev_id="2"/,/<.device>/p' b.xml)
	thin_dump --dev-id 2 --dev-id 1 "$DIR/shared" | cmp - a.xml
}

@test "thin_dump: mappings beyond the pool's data blocks are told with their device, or once for those that share them" {
	{
		echo '<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="40000">'
		echo '<def name="1"><range_mapping origin_begin="0" data_begin="20000" length="1000" time="0"/>'
		echo '<single_mapping origin_block="1000" data_block="35000" time="0"/></def>'
		for dev in 1 2; do
			echo "<device dev_id=\"$dev\" mapped_blocks=\"1001\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\"><ref name=\"1\"/></device>"
		done
		echo '<device dev_id="3" mapped_blocks="8000" transaction="0" creation_time="0" snap_time="1">'
		singles 0 8000 22000
		echo '</device></superblock>'
	} >outside.xml
	thin_restore -q -i outside.xml -o outside --size 4M
	thin_dump outside >whole
	"$abs_top_builddir/tests/damage/damage" outside superblock-map-size --value 20500
	run --separate-stderr bash -c 'thin_dump outside >part'
	[ "$status" -eq 1 ]
	[ "$(grep -c 'point beyond' <<<"$stderr")" -eq 2 ]
	[[ "$stderr" == *"several devices (they share the leaf at block "*"): 501 mappings point beyond the pool's 20500 data blocks, the first from block 500 to data block 20500"* ]]
	[[ "$stderr" == *"device 3: 8000 mappings point beyond the pool's 20500 data blocks, the first from block 0 to data block 29999"* ]]
	cmp <(grep _mapping whole) <(grep _mapping part)
}

@test "thin_dump: what lies below a pointer that leads nowhere is told, and the rest is printed" {
	"$abs_top_builddir/bench/mkpool" frag 0.02 big
	thin_dump big >whole
	"$abs_top_builddir/tests/damage/damage" big node-outside --node 1
	run --separate-stderr bash -c 'thin_dump big >part'
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ "lies beyond the end of the metadata device: blocks 0-"([0-9]+)" of the device cannot be read" ]]
	# all other mappings
	awk -v last="${BASH_REMATCH[1]}" -F'"' '/_mapping/ && !($2 <= last && dev == 1) { print } /<device/ { dev = $2 }' whole |
		cmp - <(grep _mapping part)
}

@test "thin_dump: a --dev-id that the pool does not have is an error, and no output is made or replaced" {
	echo old >out
	for words in '' --repair '--skip-mappings' '-o out' '-o out --repair'; do
		# shellcheck disable=SC2086 # several words
		run --separate-stderr thin_dump --dev-id 2 --dev-id 77 $words "$DIR/tiny"
		[ "$status" -eq 1 ]
		[ -z "$output" ] || { echo "$words: $output"; return 1; }
		[[ "$stderr" == *"device 77 is not "* ]] || { echo "$words: $stderr"; return 1; }
	done
	[ "$(cat out)" = old ]
}

@test "thin_dump: --skip-mappings prints empty devices" {
	run --separate-stderr thin_dump --skip-mappings "$DIR/tiny"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 8 ]
	[[ "$output" != *mapping\ * ]]
}

@test "thin_dump: header overrides are taken as given, an illegal block size is refused" {
	run --separate-stderr thin_dump --transaction-id 3 --data-block-size 256 --nr-data-blocks 50 "$DIR/tiny"
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = '<superblock uuid="" time="2" transaction="3" version="2" data_block_size="256" nr_data_blocks="50">' ]
	run --separate-stderr thin_dump --data-block-size 100 "$DIR/tiny"
	[ "$status" -eq 64 ]
	run --separate-stderr thin_dump -f bogus "$DIR/tiny"
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"unknown format 'bogus'"* ]]
}

@test "thin_dump: one job gives the same as sixteen" {
	thin_dump --jobs 1 "$DIR/shared" >a
	thin_dump --jobs 16 "$DIR/shared" | cmp a -
}

@test "thin_dump: without a metadata snapshot -m says so" {
	for m in -m -m7 -m=7 --metadata-snap --metadata-snapshot=7; do
		run --separate-stderr thin_dump $m "$DIR/tiny"
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"no current metadata snap"* ]]
	done
}

@test "thin_dump: a table file names the metadata, and its block size must fit" {
	cp "$DIR/tiny" meta
	truncate -s 1M data
	echo "pool: 0 12800 thin-pool meta data 128 0" >table
	thin_dump table | diff "$TINY" -
	echo "pool: 0 12800 thin-pool meta data 256 0" >table
	run --separate-stderr thin_dump table
	[ "$status" -eq 1 ]
	[[ "$stderr" == *256*128* ]]
}

@test "thin_dump: a reader that closes the pipe hears nothing on stderr" {
	run bash -c "thin_dump '$DIR/shared' 2>err | head -1; exit \${PIPESTATUS[0]}"
	[[ "${lines[0]}" == '<superblock uuid="" time="1" transaction="2" '* ]]
	[ ! -s err ]
}

@test "thin_dump: a full disk is an error, on stdout and with -o" {
	[ -e /dev/full ] || skip "no /dev/full"
	run bash -c "thin_dump '$DIR/tiny' >/dev/full"
	[ "$status" -eq 74 ]
	[[ "$output" == *"No space left on device"* ]]
	run thin_dump -o /dev/full "$DIR/tiny"
	[ "$status" -eq 74 ]
	[[ "$output" == *"No space left on device"* ]]
}

@test "thin_dump: -o replaces the file when all is there, and leaves no other behind" {
	mkdir d
	echo old >d/out
	thin_dump -o d/out "$DIR/tiny"
	diff "$TINY" d/out
	[ "$(ls d)" = out ]
	ln -s out d/link
	thin_dump --dev-id 1 -o d/link "$DIR/tiny"
	[ -L d/link ]
	[ "$(grep -c '<device ' d/out)" -eq 1 ]
	run --separate-stderr thin_dump -o nowhere/out "$DIR/tiny"
	[ "$status" -eq 74 ] && [ -n "$stderr" ]
	cp "$DIR/tiny" in
	run --separate-stderr thin_dump -o in in
	[ "$status" -eq 64 ]
	cmp in "$DIR/tiny"
	truncate -s 1M data
	printf '%s\n' "pool: 0 12800 thin-pool in data 128 0" "0 2048 thin pool 1 base" >table
	echo base >base
	for precious in table in data base; do
		run --separate-stderr thin_dump -o $precious table
		[ "$status" -eq 64 ]
	done
	cmp in "$DIR/tiny" && [ "$(cat base)" = base ]
	thin_dump -o /dev/stdout "$DIR/tiny" | diff "$TINY" -
}

@test "thin_dump: a damaged device is named with its blocks, the others are printed, and nothing closes the pool" {
	cp "$DIR/tiny" bad
	flip bad "$(root_of bad 2)"
	run --separate-stderr thin_dump bad
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 2: node at block "*" has a bad checksum: all blocks "* ]]
	[[ "$output" == *'dev_id="3"'*'data_block="30"'* ]]
	[[ "$output" != *'</superblock>'* ]]
	echo old >out
	run --separate-stderr thin_dump -o out bad
	[ "$status" -eq 1 ]
	[ "$(cat out)" = old ]
	run --separate-stderr thin_dump -q bad
	[ "$status" -eq 1 ] && [ -z "$stderr" ]
}

@test "thin_dump: a damaged shared leaf is named once, with the devices that have it" {
	cp "$DIR/shared" bad
	# the first child of device 1's root: 252 keys stand before the values
	name=$(od -An -td8 -j $(($(root_of bad 1) * 4096 + 32 + 252 * 8)) -N 8 bad | tr -d ' ')
	flip bad "$name"
	run --separate-stderr thin_dump bad
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"devices 1, 2"*": node at block $name has a bad checksum: blocks 0-251 "* ]]
	[ "$(grep -c "node at block $name" <<<"$stderr")" -eq 1 ]
	[ "$(grep -c single_mapping <<<"$output")" -eq $((3 * 252 + 2000 - 252)) ]
}

@test "thousands of leaves of one run each, and of many, are dumped as they were made" {
	mkpool=$abs_top_builddir/bench/mkpool
	for kind in dense frag; do
		"$mkpool" $kind 0.01 leaves
		"$mkpool" $kind 0.01 leaves.xml xml
		thin_dump leaves | cmp - leaves.xml
	done
}
