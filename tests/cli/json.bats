#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The JSON of every command against the schemas that are installed, and these against doc/json.md.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is not installed"
}

fixture() { tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$1.tar.zst"; }

valid() {
	python3 "$abs_top_srcdir/tests/cli/json_valid.py" "$abs_top_srcdir/doc/schema/$1.schema.json" "${@:2}"
}

ALL_FIELDS=DEV,MAPPED,MAPPED_BLOCKS,MAPPED_SECTORS,MAPPED_BYTES,EXCLUSIVE,EXCLUSIVE_BLOCKS,EXCLUSIVE_SECTORS,SHARED,SHARED_BYTES,HIGHEST_BLOCK,HIGHEST_SECTOR,HIGHEST_BYTE,HIGHEST_MAPPED,TRANSACTION,CREATE_TIME,SNAP_TIME,NAME,SIZE,ORIGIN

# every_reader POOL DEV: all documents that can be made of a pool, each valid
every_reader() {
	local ids
	thin_check --format json "$1" >check || [ $? -eq 1 ]
	thin_info --format json "$1" >info || [ $? -eq 1 ]
	thin_info --format json --super-block-only "$1" >info2 || [ $? -eq 1 ]
	thin_dump --format json "$1" >dump
	thin_dump --format json --no-shared "$1" >dump2
	thin_ls --format json "$1" >ls
	thin_ls --format json -o $ALL_FIELDS "$1" >ls2
	thin_rmap --format json --region 0..1000000 "$1" >rmap
	valid thin_check check && valid thin_info info info2 && valid thin_dump dump dump2 &&
		valid thin_ls ls ls2 && valid thin_rmap rmap
	ids=$(jq -r '.devices[].dev_id' info | head -2 | xargs)
	[[ "$ids" == *' '* ]] || return 0
	thin_delta --format json --thin1 "${ids% *}" --thin2 "${ids#* }" "$1" >delta
	thin_delta --format json --verbose --thin1 "${ids% *}" --thin2 "${ids#* }" "$1" >delta2
	valid thin_delta delta delta2
}

@test "the JSON of every command that reads a pool is what its schema says" {
	for name in metasnap ids fresh extorigin-snaps; do
		fixture $name
		every_reader $name/tables || { echo "$name"; return 1; }
	done
	thin_info -m --format json metasnap/tables >info
	thin_dump -m --format json metasnap/tables >dump
	valid thin_info info
	valid thin_dump dump
	thin_dump extorigin-snaps/meta.img >xml
	thin_info --format json xml >info
	valid thin_info info
	for device in t0 t1; do
		thin_materialize --map=json extorigin-snaps/tables $device >map
		valid thin_materialize map
	done
}

@test "the JSON about damage is what its schema says" {
	fixture extorigin-snaps
	truncate -s 1M sound
	thin_dump extorigin-snaps/meta.img | thin_restore -q -i - -o sound
	for seed in 1 2 3 4; do
		cp sound bad
		for i in 1 2 3 4; do
			at=$(((seed * 7919 + i * 104729) % 14 + 1))
			printf 'spoilt' | dd of=bad bs=1 seek=$((at * 4096 + 500)) conv=notrunc status=none
		done
		thin_check --format json bad >check || [ $? -eq 1 ]
		thin_repair --dry-run --format json -i bad >repair 2>/dev/null || [ $? -eq 1 ]
		valid thin_check check
		cat check >>checks
		cat repair >>repairs
		[ ! -s repair ] || valid thin_repair repair
	done
	grep -q '"kind": "node-csum"' checks
	[ -s repairs ]
}

# The ranges of a repair, a line each: of the text in FILE, and of the JSON in FILE
text_ranges() {
	sed -nE "s/^.*(device [0-9]+): likely, but not proved: blocks ([^(]*[^ (]).*/\1 likely \2/p
		s/^.*(device [0-9]+): open, may be another device's or older: blocks ([^(]*[^ (]).*/\1 open \2/p
		s/^.*(device [0-9]+): (the lost blocks are|blocks may be lost) in blocks ([^(]*[^ (]).*/\1 lost \3/p" "$1" | sort
}
json_ranges() {
	jq -r '.devices[] | .dev_id as $d | ("likely", "open", "lost") as $k | .[$k + "_ranges"][] |
		"device \($d) \($k) " + (if .length then "\(.begin)-\(.begin + .length - 1)" else "from \(.begin) on" end)' "$1" | sort
}

@test "thin_repair: text and JSON say the same of what is proved, likely, open and lost" {
	fixture snap-tree
	RANDOM=${SEED:=11}
	echo "SEED=$SEED"
	for round in {1..4}; do
		cp snap-tree/meta.img bad
		list=
		for ((i = RANDOM % 16; i >= 0; i--)); do
			list+=" $((1 + RANDOM % 800))"
		done
		# the top level, the details, the index of the metadata map, that of the data map
		for at in 320 328 208 80; do
			[ $((RANDOM % 2)) = 0 ] || list+=" $(od -An -tu8 -j$at -N8 bad)"
		done
		for block in $list; do
			dd if=/dev/zero of=bad bs=4096 seek="$block" count=1 conv=notrunc status=none
		done
		thin_repair --dry-run -v -i bad 2>text >/dev/null || [ $? -eq 1 ]
		thin_repair --dry-run --format json -i bad >repair 2>/dev/null || [ $? -eq 1 ]
		[ -s repair ] || continue
		valid thin_repair repair
		text_ranges text >told
		json_ranges repair >listed
		grep -q ' more such ranges' text || diff told listed
		cat listed >>all
		# a device is as certain as its least certain part
		jq -e 'all(.devices[]; .certainty == (
			if .lost > 0 or (.lost_ranges + .dropped_ranges | length) > 0 then "lost"
			elif (.open_ranges | length) > 0 or .id_invented then "open"
			elif (.likely_ranges | length) > 0 or (.tree_found and .details != "kept") then "likely"
			else "proved" end))' repair
		! jq -e '.intact or .lossless' repair >/dev/null ||
			jq -e 'all(.devices[]; .certainty == "proved" or .certainty == "likely")' repair
	done
	[ -s all ]
}

@test "the JSON of thin_lvm is what its schema says" {
	fixture lvm
	thin_lvm --list -f json lvm/pv.img >list
	thin_lvm --list-texts -f json lvm/pv.img >texts
	thin_lvm --check -f json lvm/pv.img >check || [ $? -eq 1 ]
	valid thin_lvm list texts check
	[ "$(jq '.vgs | length' list)" -gt 0 ]
}

@test "JSON that a command cannot print is refused, and no text takes its place" {
	fixture lvm
	run --separate-stderr thin_lvm --format json lvm/pv.img
	[ "$status" -eq 64 ] && [ -z "$output" ]
	[[ "$stderr" == *"--format json needs --list, --list-texts or --check"* ]]
	run --separate-stderr thin_repair --list-roots --format json -i lvm/meta.img
	[ "$status" -eq 64 ] && [ -z "$output" ]
	[[ "$stderr" == *"--format json cannot be used with --list-roots"* ]]
	run --separate-stderr thin_repair --dry-run --explain --format json -i lvm/meta.img
	[ "$status" -eq 64 ] && [ -z "$output" ]
	[[ "$stderr" == *"--format json cannot be used with --explain"* ]]
	run --separate-stderr thin_repair --format json -i lvm/meta.img -o -
	[ "$status" -eq 64 ] && [ -z "$output" ]
	[[ "$stderr" == *"--format json cannot be used with -o -"* ]]
}

@test "a number above 2^53 - 1 is a string, and one below is a number" {
	for n in 9007199254740991 9007199254740992 18446744073709551615; do
		cat >xml <<-XML
		<superblock uuid="" time="0" transaction="$n" version="2" data_block_size="128" nr_data_blocks="100">
		  <device dev_id="1" mapped_blocks="1" transaction="$n" creation_time="0" snap_time="0">
		    <single_mapping origin_block="$((n < 0 ? 9223372036854775807 : n))" data_block="5" time="0"/>
		  </device>
		</superblock>
		XML
		rm -f pool && truncate -s 1M pool
		thin_restore -i xml -o pool
		every_reader pool
		want=$n
		[ "$n" = 9007199254740991 ] || want="\"$n\""
		for f in check dump info; do
			grep -q "\"transaction_id\": $want[,}]*" $f || { echo "$f: $want"; return 1; }
		done
	done
}

@test "doc/json.md names every key of the schemas, and no other" {
	jq -r '.. | .properties? // empty | keys[]' "$abs_top_srcdir"/doc/schema/*.json | sort -u >keys
	[ "$(wc -l <keys)" -gt 80 ]
	sed -n 's/^| \(`[^|]*`\) |.*/\1/p' "$abs_top_srcdir/doc/json.md" | grep -o '`[^`]*`' | tr -d '`' | sort -u | diff keys -
}

@test "thin_repair: a device whose tree was found by itself is likely, and one whose number is invented is open" {
	local root
	wipe() { dd if=/dev/zero of=lost bs=4096 seek="$(od -An -tu8 -j"$1" -N8 lost | tr -d ' ')" count=1 conv=notrunc status=none; }
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/snap-tree.tar.zst"
	cp --sparse=always snap-tree/meta.img lost
	wipe 320 # the top level
	thin_repair --format json -i lost -o lost.new --size auto >report 2>/dev/null || :
	jq -e '[.devices[] | select(.kept > 0)] | length > 20 and all(.tree_found and .certainty == "likely" and .details == "kept")' report
	cat >two.xml <<-'XML'
	<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="1000">
	<device dev_id="7" mapped_blocks="300" transaction="0" creation_time="0" snap_time="1"><range_mapping origin_begin="0" data_begin="10" length="300" time="0"/></device>
	</superblock>
	XML
	thin_restore -q -i two.xml -o two --size 1M
	cp two lost
	wipe 320
	wipe 328 # and the details
	thin_repair --format json -i lost -o lost.new2 --size auto >report 2>/dev/null || :
	jq -e '[.devices[] | [.kept, .details, .id_invented, .certainty]] == [[300, "invented", true, "open"]]
		and .devices[0].dev_id >= 10000000' report # no number that LVM gave a volume
	block=$(thin_repair -i lost --dry-run 2>&1 | sed -n 's/.*--take DEV=//p')
	thin_repair -i lost -o lost.new2 --size auto --take "7=$block" 2>/dev/null || [ $? -eq 1 ]
	[ "$(thin_ls --no-headers -o DEV,MAPPED_BLOCKS lost.new2 | tr -s ' ')" = "$(thin_ls --no-headers -o DEV,MAPPED_BLOCKS two | tr -s ' ')" ]
}
