#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_info: its numbers against those of the kernel, of the other commands, and of a count by hand.

bats_require_minimum_version 1.5.0
load needs

KERNEL_MADE='extorigin-snaps metasnap metasnap-released needscheck-enospc out-of-data snap-tree fresh random-50k'

setup_file() {
	export DIR=$BATS_FILE_TMPDIR SEED=${SEED:-$RANDOM}
	echo "# SEED=$SEED" >&3
	for name in $KERNEL_MADE; do
		tar --zstd -C "$DIR" -xf "$abs_top_srcdir/tests/fixtures/$name.tar.zst"
	done
	random_xml "$SEED" >"$DIR/random.xml"
	truncate -s 2M "$DIR/random"
	thin_restore -i "$DIR/random.xml" -o "$DIR/random"
	thin_message "$DIR/random" 'create_snap 101 1' 'create_snap 102 101' 'create_thin 103'
	thin_dump --no-shared "$DIR/random" >"$DIR/flat.xml"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# Four devices that share some blocks.  Runs of data are cut into pieces, and have several times.
random_xml() {
	awk -v seed="$1" 'BEGIN {
		srand(seed)
		print "<superblock uuid=\"\" time=\"2\" transaction=\"9\" version=\"2\" data_block_size=\"256\" nr_data_blocks=\"9000\">"
		for (d = 1; d <= 4; d++) {
			printf "<device dev_id=\"%d\" mapped_blocks=\"0\" transaction=\"%d\" creation_time=\"0\" snap_time=\"2\">\n", d, d
			for (v = int(rand() * 9); v < 3000; v += len + int(rand() * 1.3) * int(rand() * 20)) {
				len = 1 + int(rand() * 30)
				data = rand() < 0.5 ? v : 3000 + d * 1000 + int(rand() * 900)
				printf "<range_mapping origin_begin=\"%d\" data_begin=\"%d\" length=\"%d\" time=\"%d\"/>\n",
					v, data, len, int(rand() * 2)
			}
			print "</device>"
		}
		print "</superblock>"
	}'
}

# Devices with mappings and extents, and data blocks alone and shared, out of XML without shared parts.
count_by_hand() {
	awk -F'"' '
	/<device / { if (dev != "") print "device", dev, n, e; dev = $2; n = e = 0; v = -2 }
	/_mapping / {
		len = /<single/ ? 1 : $6
		if ($2 != v + 1 || $4 != b + 1) e++
		for (i = 0; i < len; i++) {
			n++
			if (!(($4 + i) in own)) own[$4 + i] = dev
			else if (own[$4 + i] != dev) own[$4 + i] = "many"
		}
		v = $2 + len - 1; b = $4 + len - 1
	}
	END {
		if (dev != "") print "device", dev, n, e
		for (k in own) if (own[k] == "many") many++; else alone++
		print "blocks", alone + 0, many + 0
	}' "$1"
}

told() {
	jq -r '(.devices[] | "device \(.dev_id) \(.mapped_blocks) \(.nr_extents)"),
		"blocks \(.data.exclusive_blocks) \(.data.shared_blocks)"'
}

@test "thin_info: used blocks are those of the kernel's status line, the reserve among them" {
	need jq
	for name in $KERNEL_MADE; do
		read -r transaction metadata data <<<"$(sed -n 's/^before pool .* thin-pool \([0-9]*\) \([0-9/]*\) \([0-9/]*\) .*/\1 \2 \3/p' "$DIR/$name/oracle")"
		[ "$metadata" ] || { echo "$name: no status"; return 1; }
		thin_info --format json "$DIR/$name/meta.img" >json || [ "$name" = needscheck-enospc ]
		[ "$(jq -r '"\(.transaction_id) \(.metadata.used_blocks + .metadata.reserve_blocks)/\(.metadata.nr_blocks) \(.data.used_blocks)/\(.data.nr_blocks)"' json)" = "$transaction $metadata $data" ] ||
			{ echo "$name: $transaction $metadata $data"; cat json; return 1; }
		[ "$(jq '.metadata | .used_blocks + .reserve_blocks + .free_blocks == .nr_blocks' json)" = true ]
	done
}

@test "thin_info: devices, extents and sharing are those of a count by hand, and thin_ls says the same" {
	need jq
	for jobs in 1 4; do
		thin_info --jobs $jobs --format json "$DIR/random" >json
		count_by_hand "$DIR/flat.xml" | diff - <(told <json)
	done
	[ "$(jq '.data.shared_blocks > 0 and .data.exclusive_blocks > 0 and .nr_extents < .nr_mappings' json)" = true ]
	[ "$(jq '(.data.used_blocks == .data.exclusive_blocks + .data.shared_blocks) and .data.unmapped_blocks == 0' json)" = true ]
	thin_ls --no-headers -o DEV,TRANSACTION,CREATE_TIME,SNAP_TIME,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS,HIGHEST_BLOCK "$DIR/random" |
		sed 's/  */ /g; s/^ //; s/ $//' >want
	jq -r '.devices[] | "\(.dev_id) \(.transaction_id) \(.creation_time) \(.snap_time) \(.mapped_blocks) \(.exclusive_blocks) \(.shared_blocks) \(.highest_block // 0)"' json | diff want -
	for name in snap-tree random-50k; do
		thin_dump --no-shared "$DIR/$name/meta.img" >flat
		count_by_hand flat | diff - <(thin_info --format json "$DIR/$name/meta.img" | told)
	done
}

@test "thin_info: of XML it says the same about data and devices, and nothing about the metadata device" {
	need jq
	thin_info --format json "$DIR/random" | jq 'del(.metadata)' >want
	thin_dump "$DIR/random" >xml
	thin_info --format json xml | jq 'del(.metadata)' | diff want -
	thin_info --format json - <xml | jq 'del(.metadata)' | diff want -
	thin_dump "$DIR/random" | thin_info --format json - | jq 'del(.metadata)' | diff want -
	[ "$(thin_info --format json xml | jq .metadata)" = null ]
	thin_info xml | grep -q 'Metadata *not known: XML does not say'
	run --separate-stderr thin_info -m xml
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"is XML, which has no metadata snapshot"* ]]
}

@test "thin_info: the screen of a pool that the kernel made" {
	cd "$DIR/extorigin-snaps"
	run --separate-stderr thin_info tables
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	diff - <(echo "$output") <<-'TXT'
	Pool          pool in tables, metadata meta.img
	UUID          none
	Version       2
	Transaction   0
	Time          5 (counts snapshots, not seconds)
	Flags         none
	Snapshot      no metadata snapshot is held
	Superblock    sound ('thin_check tables' checks everything else)

	Metadata      [###.................] 11.3 % used: 116 of 1024 blocks of 4KiB
	              56KiB in use, 408KiB the kernel's reserve, 3.55MiB free
	              low-water mark: kernel event at 256 free blocks (now 1010)

	Data          [###.................] 12.7 % used: 130 of 1024 blocks of 64KiB
	              8.12MiB in use, 55.88MiB free
	              low-water mark: 0, so no kernel event before all is used

	Devices       5, with 248 mappings in 248 extents
	Sharing       50 data blocks (3.12MiB) shared by several devices
	              80 data blocks (5MiB) mapped by one device alone
	Largest       device 2 (t2) maps 53 blocks (3.31MiB), 8 of them alone
	TXT
}

@test "thin_info: no line is wider than 80 columns, and the low-water mark is the table's" {
	for name in $KERNEL_MADE; do
		(cd "$DIR/$name" && thin_info tables) >text
		! grep -nE '.{81}' text || { echo "$name"; return 1; }
	done
	printf '0 2304000 thin-pool %s data 256 77\n' "$DIR/random" >table
	thin_info table | grep -q 'low-water mark: kernel event at 77 free blocks'
	[ "$(thin_info --format json table | jq .data.low_water_blocks)" = 77 ]
	[ "$(thin_info --format json "$DIR/random" | jq .data.low_water_blocks)" = null ]
}

@test "thin_info: --warn is 1 from the first per cent that is reached, for metadata and data" {
	need jq
	for name in random extorigin-snaps/meta.img snap-tree/meta.img out-of-data/meta.img; do
		read -r pct <<<"$(thin_info --format json "$DIR/$name" |
			jq '[(.metadata | (.nr_blocks - .free_blocks) * 100 / .nr_blocks), (.data | .used_blocks * 100 / .nr_blocks)] | max | floor')"
		run --separate-stderr thin_info --warn "$pct" "$DIR/$name"
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"thin_info: warning: "*" blocks are used"* ]]
		[ "$pct" = 100 ] && continue
		run --separate-stderr thin_info --warn "$((pct + 1))%" "$DIR/$name"
		[ "$status" -eq 0 ] || { echo "$name $pct: $stderr"; return 1; }
		[ -z "$stderr" ]
	done
	run --separate-stderr thin_info -q --warn 0 "$DIR/random"
	[ "$status" -eq 1 ]
	[ -z "$stderr" ]
	for bad in -1 101 x '' 5.5 % 1000000000000000000000; do
		run --separate-stderr thin_info "--warn=$bad" "$DIR/random"
		[ "$status" -eq 64 ] || { echo "$bad: $status"; return 1; }
	done
}

@test "thin_info: --warn tells of needs_check and of metadata at the kernel's reserve" {
	run --separate-stderr thin_info --warn 100 "$DIR/needscheck-enospc/meta.img"
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"needs_check is set"* ]]
	thin_info "$DIR/needscheck-enospc/meta.img" | grep -q 'Flags *needs_check'
	# metadata that just fit leave no reserve
	blocks=20
	until truncate -s $((++blocks * 4096)) tight && thin_restore -q --force -i "$DIR/random.xml" -o tight; do
		[ $blocks -lt 200 ]
	done
	run --separate-stderr thin_info --warn 100 tight
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"only the kernel's reserve"* ]]
	[[ "$output" == *"only the kernel's reserve is left"* ]]
}

@test "thin_info: -m reads the devices of the metadata snapshot, and how full the live pool is" {
	need jq
	cd "$DIR/metasnap"
	thin_info --format json meta.img >"$BATS_TEST_TMPDIR/live"
	thin_info -m --format json meta.img >"$BATS_TEST_TMPDIR/held"
	cd - && [ "$(jq -r .view live held | xargs)" = 'live metadata_snap' ]
	[ "$(jq -c '[.metadata, .data.used_blocks]' live)" = "$(jq -c '[.metadata, .data.used_blocks]' held)" ]
	jq -r '.devices[] | "device \(.dev_id) \(.mapped_blocks) \(.transaction_id) \(.creation_time) \(.snap_time)"' held |
		diff <(thin_ls -m --no-headers -o DEV,MAPPED_BLOCKS,TRANSACTION,CREATE_TIME,SNAP_TIME "$DIR/metasnap/meta.img" |
			sed 's/  */ /g; s/^ */device /; s/ $//') -
	run --separate-stderr thin_info -m "$DIR/random"
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"no current metadata snap"* ]]
}

@test "thin_info: with damage behind the superblock it says what the superblock says, and exits with 1" {
	cp "$DIR/random" bad
	top=$(($(od -An -tu8 -j320 -N8 bad | tr -d ' ') * 4096))
	printf 'spoilt' | dd of=bad bs=1 seek=$((top + 99)) conv=notrunc status=none
	run --separate-stderr thin_info bad
	[ "$status" -eq 1 ]
	[[ "$output" == *"% used"* && "$output" != *Devices* ]]
	[[ "$stderr" == *"bad checksum"* ]]
	run --separate-stderr thin_info --super-block-only bad
	[ "$status" -eq 0 ]
	[[ "$output" == *"% used"* && "$output" != *Devices* ]]
	printf 'spoilt' | dd of=bad bs=1 seek=99 conv=notrunc status=none
	run --separate-stderr thin_info --super-block-only bad
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[[ "$stderr" == *"bad checksum in superblock"* ]]
}

@test "thin_info: each snapshot stands under the device that the kernel made it of, where that is still there" {
	need jq
	for name in snap-tree extorigin-snaps; do
		# the truth, and "-" where the origin was deleted or the device is no snapshot
		tar --zstd -xOf "$abs_top_srcdir/tests/fixtures/stories.tar.zst" --wildcards "*$name.story" |
			awk '$1 == "message" && $2 == "create_thin" { of[$3] = "-" }
				$1 == "message" && $2 == "create_snap" { of[$3] = $4 }
				$1 == "message" && $2 == "delete" { gone[$3] = 1 }
				END { for (d in of) if (!(d in gone)) print d, of[d] in gone ? "-" : of[d] }' | sort -n >want
		[ "$(wc -l <want)" -gt 4 ]
		for jobs in 1 4; do
			thin_info --jobs $jobs --format json "$DIR/$name/meta.img" |
				jq -r '.devices[] | "\(.dev_id) \(.snapshot_of // "-")"' | diff want -
		done
	done
}

@test "thin_info: a new device is not called a snapshot, though it has the times of one" {
	need jq
	cp "$DIR/random" pool
	thin_message pool 'delete 101' 'create_snap 7 2' 'create_thin 8' 'create_snap 9 7'
	[ "$(thin_info --format json pool | jq -c '[.devices[] | [.dev_id, .snapshot_of, .snapshot_certain]]')" = \
		'[[1,null,false],[2,null,false],[3,null,false],[4,null,false],[7,2,true],[8,null,false],[9,7,true],[102,null,false],[103,null,false]]' ]
}

@test "thin_ls --format tree: each device once, under what it is a snapshot of, with the sizes of the columns" {
	need jq
	for pool in "$DIR/random" "$DIR/snap-tree/meta.img"; do
		thin_ls --no-headers --format tree "$pool" >tree
		# DEVICE ORIGIN of each line, by its indentation
		awk '{ level = 0
			while (substr($0, 1, 2) == "  ") { level++; $0 = substr($0, 3) }
			if (/^`[-?] /) { level++; $0 = substr($0, 4) }
			at[level] = $1
			print $1, level ? at[level - 1] : "null" }' tree | sort -n >got
		thin_info --format json "$pool" | jq -r '.devices[] | "\(.dev_id) \(.snapshot_of)"' | sort -n >want
		diff want got
	done
	thin_ls --no-headers --format tree "$DIR/snap-tree/meta.img" | awk '$0 !~ /[#+]/ { bad = 1 } END { exit bad }'
	run thin_ls --format tree --sort DEV "$DIR/random"
	[ "$status" -eq 64 ]
	[[ "$output" == *"leave out --sort"* ]]
}
