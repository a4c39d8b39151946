#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_ls, thin_rmap: what callers parse, and the truth block by block.

bats_require_minimum_version 1.5.0
load needs
load owners.bash

@test "thin_ls: the default table is right-aligned with a blank after each column" {
	run --separate-stderr thin_ls "$DIR/tiny"
	[ "$status" -eq 0 ]
	diff - <(echo "$output") <<-'TXT'
	DEV MAPPED CREATE_TIME SNAP_TIME 
	  1 256KiB           0         1 
	  2 192KiB           1         1 
	  3 128KiB           2         2 
	TXT
	[ "$(thin_ls --no-headers "$DIR/tiny" | head -1)" = '1 256KiB 0 1 ' ]
}

@test "thin_ls: fields come as asked for, sizes in every unit" {
	run --separate-stderr thin_ls -o DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS,EXCLUSIVE,SHARED,TRANSACTION "$DIR/tiny"
	[ "${lines[1]}" = '  1             4                1             3     64KiB 192KiB           1 ' ]
	[ "${lines[2]}" = '  2             3                0             3        0b 192KiB           2 ' ]
	run --separate-stderr thin_ls --no-headers -o HIGHEST_BLOCK,HIGHEST_SECTOR,HIGHEST_BYTE,HIGHEST_MAPPED,DEV,DEV "$DIR/tiny"
	[ "${lines[0]}" = '7 1023 524287 512KiB 1 1 ' ]
	run --separate-stderr thin_ls -o DEV,FOO "$DIR/tiny"
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"unknown field 'FOO'"* && "$stderr" != *"did you mean"* ]]
	run --separate-stderr thin_ls -o DEV,MAPPD_BLOCKS meta
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"unknown field 'MAPPD_BLOCKS'; did you mean 'MAPPED_BLOCKS'?"* ]]
	run --separate-stderr thin_ls -o jsn meta
	[[ "$stderr" == *"unknown field 'jsn'; did you mean 'json'?"* ]]
	run --separate-stderr thin_ls --sort jsn meta
	[[ "$status" -eq 64 && "$stderr" != *"did you mean"* ]]
}

@test "thin_ls: sorts by any field, also downwards and by one that is not shown" {
	[ "$(thin_ls --no-headers -o DEV --sort=-MAPPED "$DIR/tiny" | tr -d ' \n')" = 123 ]
	[ "$(thin_ls --no-headers -o DEV --sort MAPPED_BLOCKS "$DIR/tiny" | tr -d ' \n')" = 321 ]
	[ "$(thin_ls --no-headers -o DEV --sort=-TRANSACTION "$DIR/tiny" | tr -d ' \n')" = 321 ]
}

@test "thin_ls: sorts by a table's names, where a missing one is -, and by the number where they are equal" {
	cp "$DIR/tiny" meta
	truncate -s 100M data
	printf '%s\n' 'pool: 0 12800 thin-pool meta data 128 0' 'web: 0 2048 thin pool 1' 'root: 0 4096 thin pool 2' >table
	[ "$(thin_ls -q --no-headers -o DEV,NAME,POOL --sort NAME table | tr -d ' ' | tr '\n' ' ')" = '3-pool 2rootpool 1webpool ' ]
	[ "$(thin_ls -q --no-headers -o DEV --sort=-NAME table | tr -d ' \n')" = 123 ]
	[ "$(thin_ls -q --no-headers -o DEV --sort POOL table | tr -d ' \n')" = 123 ]
	[ "$(thin_ls -q --no-headers -o DEV --sort NAME meta | tr -d ' \n')" = 123 ]
	[ "$(thin_ls -q --format json -o DEV,POOL table | jq -c '[.devices[].pool]')" = '["pool","pool","pool"]' ]
}

@test "thin_ls: a device that has no details, or nothing but them, is told, and the others are listed" {
	local recipe
	for recipe in without-details without-mappings; do
		cp "$DIR/tiny" meta
		"$abs_top_builddir/tests/damage/damage" meta device-$recipe
		run --separate-stderr thin_ls --no-headers -o DEV,CREATE_TIME meta
		[ "$status" -eq 1 ] && [ "$(grep -c 'device 1: ' <<<"$stderr")" -eq 1 ]
		[ "$(tr -d ' \n' <<<"$output")" = "$(thin_ls --no-headers -o DEV,CREATE_TIME "$DIR/tiny" | sed 1d | tr -d ' \n')" ]
	done
}

# chain BLOCKS: each of 30 devices is a snapshot of the one before and maps the same BLOCKS
chain() {
	{
		echo "<superblock uuid=\"\" time=\"40\" transaction=\"1\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"$1\">"
		[ "$1" -eq 0 ] || echo "<def name=\"1\"><range_mapping origin_begin=\"0\" data_begin=\"0\" length=\"$1\" time=\"0\"/></def>"
		for i in $(seq 30); do
			echo "<device dev_id=\"$i\" mapped_blocks=\"$1\" transaction=\"0\" creation_time=\"$((i - 1))\" snap_time=\"$i\">"
			[ "$1" -eq 0 ] || echo '<ref name="1"/>'
			echo '</device>'
		done
		echo '</superblock>'
	} >chain.xml
	thin_restore -q -i chain.xml -o chain --size 1M
}

@test "thin_ls, thin_info: a pool of more data blocks than are counted at once" {
	{
		echo '<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="300000000">'
		echo '<def name="1"><range_mapping origin_begin="0" data_begin="268435000" length="1000" time="0"/></def>' # across 2^28
		echo '<device dev_id="1" mapped_blocks="1500" transaction="0" creation_time="0" snap_time="1"><ref name="1"/>'
		echo '<range_mapping origin_begin="5000" data_begin="299999000" length="500" time="1"/></device>'
		echo '<device dev_id="2" mapped_blocks="1700" transaction="0" creation_time="0" snap_time="1"><ref name="1"/>'
		echo '<range_mapping origin_begin="5000" data_begin="10" length="700" time="1"/></device></superblock>'
	} >wide.xml
	thin_restore -q -i wide.xml -o wide --size 200M
	[ "$(thin_ls --no-headers -o MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS wide | xargs)" = '1500 500 1000 1700 700 1000' ]
	[ "$(thin_info --format json wide | jq -c '[.devices[] | [.mapped_blocks, .exclusive_blocks]]')" = '[[1500,500],[1700,700]]' ]
	rm wide
}

@test "thin_ls: a device whose last blocks are behind a pointer that leads nowhere is told" {
	chain 300
	"$abs_top_builddir/tests/damage/damage" chain node-outside --leaf 1
	run --separate-stderr thin_ls chain
	[ "$status" -eq 1 ] && [ -z "$output" ]
	[[ "$stderr" == *" lies beyond the end of the metadata device: blocks from 150 on of the device cannot be read"* ]] ||
		{ echo "$stderr"; return 1; }
}

@test "thin_ls: a tree of empty devices has no bars, and says how deep what it cannot indent is" {
	chain 0
	thin_ls --no-headers --format tree chain >tree
	[ "$(wc -l <tree)" -eq 30 ]
	! grep '[#+]' tree
	thin_info chain >info # no data blocks: no part of them is used
	thin_info --warn 80 chain.xml >info # here the metadata is not known, either
	thin_info --warn 90 chain >info
	grep -q '^Pool' info
	chain 300
	thin_ls --no-headers --format tree chain >tree
	[ "$(wc -l <tree)" -eq 30 ]
	grep -q '^                                      `- 21 ' tree
	grep -q '^                                      (21) `- 22 ' tree
	grep -q '^                                      (29) `- 30 ' tree
	[ "$(grep -c '+++' tree)" -eq 30 ]
}

@test "thin_ls: a table gives names, sizes and origins; json has bytes and nulls" {
	need jq
	cp "$DIR/tiny" meta
	truncate -s 1M data
	printf '%s\n' 'pool: 0 12800 thin-pool meta data 128 0' 'web: 0 2048 thin pool 1 base.img' '0 4096 thin pool 2' >table
	run --separate-stderr thin_ls --no-headers -o DEV,NAME,SIZE table
	[ "${lines[0]}" = '1 web 1024KiB ' ]
	[ "${lines[1]}" = '2   - 2048KiB ' ]
	[ "${lines[2]}" = '3   -       - ' ]
	thin_ls --format json -o DEV,MAPPED,NAME,SIZE,ORIGIN table >j
	[ "$(jq -c '.devices[0] | [.dev_id, .mapped_bytes, .name, .size_bytes]' j)" = '[1,262144,"web",1048576]' ]
	[ "$(jq -c '.devices[2] | [.name, .size_bytes, .origin]' j)" = '[null,null,null]' ]
	[[ "$(jq -r '.devices[0].origin' j)" == *base.img ]]
}

@test "thin_ls: mapped, exclusive and highest are those of the oracle, with deep sharing" {
	for seed in 1 2 3; do
		oracle -v mode=ls "$DIR/random$seed.flat" >want
		for jobs in 1 4; do
			thin_ls --jobs $jobs --no-headers -o DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,HIGHEST_BLOCK "$DIR/random$seed" |
				sed 's/  */ /g; s/^ //; s/ $//' | diff want -
		done
	done
}

@test "thin_ls: a block that one device maps twice is still its own" {
	cat >twice.xml <<-'XML'
	<superblock uuid="" time="0" transaction="0" version="2" data_block_size="128" nr_data_blocks="100">
	  <device dev_id="1" mapped_blocks="3" transaction="0" creation_time="0" snap_time="0">
	    <single_mapping origin_block="0" data_block="5" time="0"/>
	    <single_mapping origin_block="1" data_block="5" time="0"/>
	    <single_mapping origin_block="2" data_block="6" time="0"/>
	  </device>
	  <device dev_id="2" mapped_blocks="2" transaction="0" creation_time="0" snap_time="0">
	    <single_mapping origin_block="0" data_block="6" time="0"/>
	    <single_mapping origin_block="1" data_block="7" time="0"/>
	  </device>
	</superblock>
	XML
	truncate -s 256K twice
	thin_restore -i twice.xml -o twice
	[ "$(thin_ls --no-headers -o EXCLUSIVE_BLOCKS twice | tr -d ' \n')" = 21 ]
}

@test "thin_ls: with damage there are no counts, but the list stays" {
	cp "$DIR/tiny" bad
	spoil bad
	run --separate-stderr thin_ls bad
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[[ "$stderr" == *"device 1: node at block "*"bad checksum"*"metadata contains errors"* ]]
	run --separate-stderr thin_ls --no-headers -o DEV,TRANSACTION bad
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = '1 1 ' ]
}

@test "thin_rmap: lines are sorted by data begin, end, device and place" {
	run --separate-stderr thin_rmap --region 0..100 "$DIR/tiny"
	[ "$status" -eq 0 ]
	diff - <(echo "$output") <<-'TXT'
	data 10..11 -> thin(3) 0..1
	data 10..13 -> thin(1) 0..3
	data 10..13 -> thin(2) 0..3
	data 20..21 -> thin(1) 7..8
	data 30..31 -> thin(3) 9..10
	TXT
}

@test "thin_rmap: lines are cut at regions, and regions that touch are one" {
	run --separate-stderr thin_rmap --region 12..20 --region 11..12 "$DIR/tiny"
	[ "${lines[0]}" = 'data 11..13 -> thin(1) 1..3' ]
	[ "${#lines[@]}" -eq 2 ]
	for bad in 5..5 7..3 5 5..6x x..3 ..; do
		run --separate-stderr thin_rmap --region "$bad" "$DIR/tiny"
		[ "$status" -eq 64 ]
		[[ "${stderr_lines[0]}" == "thin_rmap: --region: badly formed region '$bad': "* ]]
	done
	run --separate-stderr thin_rmap "$DIR/tiny"
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"No regions provided."* ]]
}

@test "thin_rmap: all owners are those of the oracle, in one round, in many, with any number of jobs" {
	for seed in 1 2 3; do
		for regions in 0..20000 '100..3000 3000..3500 7777..9999'; do
			oracle -v mode=rmap -v regions="$regions" "$DIR/random$seed.flat" | numbers |
				sort -n -k1,1 -k2,2 -k3,3 -k4,4 >want
			[ -s want ]
			args=()
			for r in $regions; do args+=(--region "$r"); done
			for how in '--jobs 1' '--jobs 4' '--max-kept 1' '--max-kept 100000'; do
				thin_rmap $how "${args[@]}" "$DIR/random$seed" | numbers | cmp - want
			done
		done
	done
}

# Single blocks and runs all over a data device of $2 blocks, at places up to 2^45 of three devices.
far_xml() {
	awk -v seed="$1" -v nr="$2" '
	function rnd(n) { return int(rand() * n) }
	BEGIN {
		srand(seed)
		printf "<superblock uuid=\"\" time=\"1\" transaction=\"0\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"%d\">\n", nr
		for (n = 1; n <= 3; n++) {
			printf "<device dev_id=\"%d\" mapped_blocks=\"0\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">\n", n
			v = 0
			for (i = 0; i < 1500; i++) {
				v += rnd(2) ? 1 + rnd(3) : 2 ^ rnd(34)
				len = rnd(3) ? 1 : 1 + rnd(300)
				printf "<range_mapping origin_begin=\"%.0f\" data_begin=\"%d\" length=\"%d\" time=\"0\"/>\n",
					v, rnd(nr - len), len
				v += len
			}
			print "</device>"
		}
		print "</superblock>"
	}'
}

@test "thin_rmap: data blocks and places far apart come out right" {
	truncate -s 32M far
	for nr in 500 9000 3000000 60000000; do
		far_xml $nr $nr >far.xml
		thin_restore -q -i far.xml -o far
		thin_dump --no-shared far >far.flat
		regions="0..$nr"
		[ $nr = 60000000 ] && regions='7..20000000 30000000..59999999'
		oracle -v mode=rmap -v regions="$regions" far.flat | numbers | sort -n -k1,1 -k2,2 -k3,3 -k4,4 >want
		[ -s want ]
		args=()
		for r in $regions; do args+=(--region "$r"); done
		for how in '--jobs 1' '--jobs 4' '--max-kept 1' '--max-kept 300000'; do
			thin_rmap $how "${args[@]}" far | numbers | cmp - want
		done
	done
}

# kinds of crowds, small enough for the oracle
crowds='one:60:40 own:40:30 own:300:7 deep:50:400 deep:9:900'

@test "thin_rmap: where many devices share many leaves, all owners are those of the oracle" {
	for kind in $crowds; do
		for flaw in none same; do
			for seed in 1 2 3; do
				IFS=: read -r name devices leaves <<<"$kind"
				[ $flaw = none ] || leaves=$((leaves / 20 + 2)) devices=$((devices / 5 + 2))
				crowd "$name" "$devices" "$leaves" $flaw $seed pool
				thin_dump --no-shared pool | awk -F'"' '!/_mapping/ || $4 < 900' >flat
				oracle -v mode=rmap -v regions=0..900 flat | numbers | sort -n -k1,1 -k2,2 -k3,3 -k4,4 >want
				[ -s want ]
				for how in '--jobs 1' '--jobs 4' '--max-kept 1'; do
					thin_rmap $how --region 0..900 pool | numbers | cmp - want ||
						{ echo "$kind $flaw $seed $how"; return 1; }
				done
			done
		done
	done
}

@test "thin_rmap, thin_ls, thin_dump: a node that many devices miss is one sentence, with their number" {
	for kind in one own deep; do
		crowd $kind 70 50 csum 1 pool
		for c in "thin_rmap --region 0..99" thin_ls thin_dump "thin_dump --no-shared"; do
			run --separate-stderr $c pool
			[ "$status" -eq 1 ]
			[ "$(grep -c 'node at block' <<<"$stderr")" -le 50 ]
			[ -z "$(grep -o 'node at block [0-9]*' <<<"$stderr" | sort | uniq -d)" ]
			if [ $kind = deep ]; then
				grep -qE ': devices [0-9]+, [0-9]+, [0-9]+, [0-9]+ and [0-9]+ more: node at block 7 has' <<<"$stderr"
			else
				grep -q ': devices 1, 2, 3, 4 and 66 more: node at block 7 has' <<<"$stderr"
			fi
		done
	done
}

# The pairs of a device and a leaf are 4 to 60 millions here; the files have 7 to 60 MiB.
@test "many devices over many leaves take neither more memory nor time than the file is large" {
	need_plain
	for kind in one:63000:1000:time one:63000:1000:csum own:15000:250:late own:15000:250:none \
		deep:8000:8000:time deep:3000:3000:csum; do
		IFS=: read -r name devices leaves flaw <<<"$kind"
		crowd "$name" "$devices" "$leaves" "$flaw" 1 pool
		for c in "thin_check --jobs 2" "thin_check --jobs 2 --format json" "thin_rmap --jobs 2 --region 0..20" \
			"thin_ls --jobs 2" "thin_dump --jobs 2"; do
			status=0
			(ulimit -v 400000; exec timeout 100 $c pool) >out 2>err || status=$?
			[ "$status" -le 1 ] || { echo "$kind $c: $status"; tail -3 err; return 1; }
			[[ "$c" != *json ]] || tail -c 3 out | grep -q '^}' || { echo "$kind $c: cut"; return 1; }
		done
	done
}

@test "thin_rmap: billions of lines come out one by one" {
	need_plain
	crowd one 63000 1000 same 1 pool
	# record r of a leaf is the same block in all devices: the devices come in order
	(ulimit -v 400000; exec timeout 60 thin_rmap --jobs 2 --region 0..20 pool) 2>err | head -600000 >got || true
	[ ! -s err ] || { cat err; return 1; }
	[ "$(wc -l <got)" -eq 600000 ]
	numbers <got | sort -c -n -k1,1 -k2,2 -k3,3 -k4,4
	grep -q 'thin(3)' got
}

@test "thin_rmap: json says the same" {
	need jq
	thin_rmap --region 0..20000 "$DIR/random1" | numbers >want
	thin_rmap -f json --region 0..20000 "$DIR/random1" |
		jq -r '.mappings[] | "\(.data_begin) \(.data_begin + .length) \(.dev_id) \(.begin) \(.begin + .length)"' | cmp - want
	[ "$(thin_rmap -f json --region 50..60 "$DIR/tiny" | jq -c .)" = '{"format":1,"mappings":[]}' ]
}

@test "thin_rmap: with damage the rest is printed and what is missing is named" {
	cp "$DIR/tiny" bad
	spoil bad
	run --separate-stderr thin_rmap --region 0..100 bad
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 1: node at block "* ]]
	[ "${lines[1]}" = 'data 10..13 -> thin(2) 0..3' ]
}

# "device place data" for each block of thin_rmap's lines
pairs() {
	numbers | awk '{ for (i = 0; i < $2 - $1; i++) print $3, $4 + i, $1 + i }' | sort
}

# The blocks of leaves of mapping trees that are not roots of a tree
inner_leaves() {
	local top
	top=$(od -An -tu8 -j320 -N8 "$1" | tr -d ' ')
	od -An -v -tu4 -w4096 "$1" | awk -v top="$top" '
		$2 == 2 && $6 == 252 && $7 == 8 && NR - 1 != top { print NR - 1 }'
}

@test "thin_rmap, thin_ls, thin_delta: of a damaged leaf all is lost that is named, and nothing else" {
	local pool=$DIR/random$((RANDOM % 3 + 1)) hit=0
	echo "$pool"
	thin_rmap --region 0..20000 "$pool" | pairs >whole
	thin_delta --thin1 1 --thin2 3 --verbose "$pool" >whole.delta
	for b in $(inner_leaves "$pool" | shuf -n 8); do
		echo "block $b"
		cp "$pool" bad
		spoil bad "$b"
		run --separate-stderr thin_rmap --region 0..20000 bad
		printf '%s\n' "$output" | pairs >got
		[ -z "$(comm -13 whole got)" ]
		if [ "$status" -eq 0 ]; then # the damaged node is in no tree that is printed
			cmp whole got
			continue
		fi
		hit=$((hit + 1))
		[ "$status" -eq 1 ]
		printf '%s\n' "$stderr" | sed -n "/ node at block $b has a bad checksum: /{
			s/.*: blocks \([0-9]*\)-\([0-9]*\) of .*/\1 \2/p
			s/.*: blocks from \([0-9]*\) on of .*/\1 1e18/p
		}" >told
		[ "$(wc -l <told)" -eq 1 ]
		# the lines that are missing lie in that range
		comm -23 whole got | awk 'NR == FNR { a = $1; z = $2; next } $2 < a || $2 > z { exit 1 }' told -
		# and in that range no line of these devices is left
		printf '%s\n' "$stderr" | sed -n "s/.*devices\{0,1\} \([0-9, ]*\)\( and [0-9]* more\)\{0,1\}: node at block $b .*/\1/p" |
			tr -d ' ' | tr ',' '\n' >named
		[ -s named ]
		awk 'FILENAME == "told" { a = $1; z = $2 } FILENAME == "named" { dev[$1] }
			FILENAME == "got" && $1 in dev && $2 >= a && $2 <= z { exit 1 }' told named got
		run --separate-stderr thin_ls bad
		[ "$status" -eq 1 ]
		[ -z "$output" ]
		[[ "$stderr" == *": node at block $b has a bad checksum: blocks "* ]]
		[ "$(thin_ls -o DEV --no-headers bad)" = "$(thin_ls -o DEV --no-headers "$pool")" ]
		run --separate-stderr thin_delta --thin1 1 --thin2 3 --verbose bad
		if [ "$status" -eq 1 ]; then
			[[ "$stderr" == *" tree"*": node at block $b has a bad checksum: blocks "* ]]
			[[ "$output" != *"</superblock>"* ]]
			printf '%s\n' "$output" | sed '$d' >got.delta # the last range may have been cut
			head -n "$(wc -l <got.delta)" whole.delta | cmp - got.delta
		else
			[ "$output" = "$(cat whole.delta)" ]
		fi
	done
	[ "$hit" -gt 0 ]
}

@test "callers: cAdvisor and device-mapper's own tests read two numbers a line from the snapshot" {
	cp "$DIR/tiny" live
	thin_message live reserve_metadata_snap 2>log
	held=$(od -An -tu8 -j56 -N8 live | tr -d ' ')
	for m in -m "-m$held" "-m=$held" --metadata-snap "--metadata-snap=$held" --metadata-snapshot; do
		thin_ls --no-headers "$m" -o DEV,EXCLUSIVE_BYTES live >got
		[ "$(awk 'NF != 2 || /[^0-9 ]/ { print "bad" } { print $1, $2 }' got | tr '\n' ,)" = \
			'1 65536,2 0,3 65536,' ] || { echo "$m"; cat got; return 1; }
	done
	run --separate-stderr thin_ls -m9 live
	[ "$status" -eq 1 ]
}

@test "thin_ls: json among the columns prints these columns as JSON, in whatever order and by one -o or two" {
	cd "$DIR"
	thin_ls --format json -o DEV,MAPPED tiny >two
	thin_ls -o DEV,json,MAPPED tiny >among
	thin_ls -o json,DEV,MAPPED tiny >before
	cmp two among
	cmp two before
	run thin_ls -o DEV,jsno tiny
	[ "$status" -eq 64 ]
	[[ "$output" = *"did you mean 'json'?"* ]]
}
