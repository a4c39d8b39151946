#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_repair: what comes back of which damage, what is said, and when the exit status is 0.

bats_require_minimum_version 1.5.0
load needs

DAMAGE=$abs_top_builddir/tests/damage/damage

setup_file() {
	truncate -s 262144 "$BATS_FILE_TMPDIR/tiny"
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o "$BATS_FILE_TMPDIR/tiny"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	cp "$BATS_FILE_TMPDIR/tiny" pool
	truncate -s 262144 out
}

u64_at() { od -An -tu8 -j"$2" -N8 "$1" | tr -d ' '; }
zero_block() { dd if=/dev/zero of="$1" bs=4096 seek="$2" count=1 conv=notrunc status=none; }
mapping_root() { u64_at pool 320; }
details_root() { u64_at pool 328; }
# The root of the Nth device of a pool whose top level is one leaf
device_root() { u64_at pool $(($(mapping_root) * 4096 + 2048 + 8 * ($1 - 1))); }
dump() { thin_dump --no-shared "$1"; }
repair() { run --separate-stderr thin_repair -i pool -o out "$@"; }
# The result has no fault, also for thin-provisioning-tools 0.9.0 where that is installed.
sound() {
	thin_check -q "$1"
	if [ -x /usr/sbin/thin_check ]; then /usr/sbin/thin_check -q "$1"; fi
}

fixture() {
	need zstd
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$1.tar.zst"
}

@test "thin_repair: a superblock that stands in another block's place is found there" {
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/snap-tree.tar.zst"
	cp --sparse=always snap-tree/meta.img moved
	dd if=snap-tree/meta.img of=moved bs=4096 count=1 seek=900 conv=notrunc status=none # nothing uses that block
	yes spoilt | dd of=moved bs=4096 count=1 iflag=fullblock conv=notrunc status=none
	run --separate-stderr thin_repair -i moved -o moved.new --size auto
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"superblock (block 0): "*"; found in the place of block 900"* ]] || { echo "$stderr"; return 1; }
	thin_dump moved.new | cmp - <(thin_dump snap-tree/meta.img)
}

@test "thin_repair: the place of a loss is told in bytes only where they can be counted" {
	local k last
	{
		echo '<superblock uuid="" time="0" transaction="1" version="2" data_block_size="128" nr_data_blocks="5000">'
		echo '<device dev_id="1" mapped_blocks="1500" transaction="0" creation_time="0" snap_time="0">'
		for k in 0 1152921504606846976 1152921504606857976; do # the last two begin at 2^60 and 11,000 blocks later
			awk -v k=$k -v d=$((n++ * 500)) 'BEGIN { for (i = 0; i < 500; i++)
				printf "<single_mapping origin_block=\"%s\" data_block=\"%d\" time=\"0\"/>\n", add(k, 2 * i), d + i }
				function add(k, i) { return k == 0 ? i : substr(k, 1, 13) sprintf("%06d", substr(k, 14) + i) }'
		done
		echo '</device></superblock>'
	} >far.xml
	thin_restore -q -i far.xml -o far --size 1M
	last=$(thin_ls --no-headers -o HIGHEST_BLOCK far)
	[ $last -eq 1152921504606858974 ]
	cp far lost
	dd if=/dev/zero of=lost bs=4096 seek=6 count=1 conv=notrunc status=none # the last leaf
	run --separate-stderr thin_repair -i lost -o far.new --size auto
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ "device 1: the lost blocks are in blocks from "[0-9]{19}" on"$'\n' ]] || { echo "$stderr"; return 1; }
	cp far lost
	dd if=/dev/zero of=lost bs=4096 seek=4 count=1 conv=notrunc status=none # one before
	run --separate-stderr thin_repair -i lost -o far.new2 --size auto
	[ "$status" -eq 1 ]
	[[ "$stderr" =~ "device 1: the lost blocks are in blocks "[0-9]{19}-[0-9]{19}$'\n' ]] || { echo "$stderr"; return 1; }
}

@test "thin_repair: a sound pool is copied, silently, with exit 0" {
	repair
	[ "$status" -eq 0 ] && [ -z "$output$stderr" ]
	diff <(dump pool) <(dump out)
	sound out
}

@test "thin_repair: lost space maps cost nothing" {
	for b in $(u64_at pool 80) $(u64_at pool 88) $(u64_at pool 208) $(u64_at pool 216); do
		cp "$BATS_FILE_TMPDIR/tiny" pool
		zero_block pool "$b"
		repair
		[ "$status" -eq 0 ]
		diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
		sound out
	done
}

@test "thin_repair: a lost leaf empties its device, keeps the others and is told with byte ranges" {
	zero_block pool "$(device_root 1)"
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"thin_repair: device 1: 0 mapped blocks kept, 4 lost"* ]]
	[[ "$stderr" == *"the lost blocks are in blocks from 0 on (from byte 0)"* ]]
	[[ "$stderr" != *"device 2"* ]]
	diff <(sed -n '/dev_id="2"/,$p' <(dump "$BATS_FILE_TMPDIR/tiny")) \
		<(sed -n '/dev_id="2"/,$p' <(dump out))
	[[ "$(dump out)" == *'dev_id="1" mapped_blocks="0" transaction="1" creation_time="0" snap_time="1"'* ]]
	sound out
}

@test "thin_repair: without the details tree all mappings are kept and what is invented is told" {
	zero_block pool "$(details_root)"
	repair
	[ "$status" -eq 0 ]
	for d in 1 2 3; do
		[[ "$stderr" == *"device $d: details lost; transaction 5, creation time 2 and snap_time 2 invented"* ]]
	done
	diff <(dump "$BATS_FILE_TMPDIR/tiny" | grep mapping) <(dump out | grep mapping)
	sound out
}

@test "thin_repair: a lost top level is put together again from details and roots, without loss" {
	zero_block pool "$(mapping_root)"
	repair
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"device 2: missing from the top-level mapping tree; its tree was found at block"* ]]
	[[ "$stderr" == *"nothing was lost"* ]]
	diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
	sound out
}

@test "thin_repair: a wrong mapped_blocks is corrected, everything else kept" {
	"$DAMAGE" pool mapped-blocks
	repair
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"device 1: its details say "*", its tree has 4; corrected"* ]]
	diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
}

@test "thin_repair: a device that the top level lacks is found" {
	"$DAMAGE" pool device-without-mappings
	repair
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"missing from the top-level mapping tree"* ]]
	diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
	sound out
}

@test "thin_repair: a device whose id differs between the trees keeps its mappings and its details" {
	"$DAMAGE" pool device-id
	before=$(dump "$BATS_FILE_TMPDIR/tiny" | sed 's/dev_id="[0-9]*"//')
	repair
	diff <(echo "$before") <(dump out | sed 's/dev_id="[0-9]*"//')
	sound out
}

@test "thin_repair: only impossible mappings are dropped" {
	"$DAMAGE" pool data-outside
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 1: 3 mapped blocks kept, 1 lost"* ]]
	[[ "$stderr" == *"device 1: dropped, because they cannot be right: blocks "*"(bytes "* ]]
	[ "$(dump out | grep -c '<device')" -eq 3 ]
	sound out
}

@test "thin_repair: an impossible block size is asked for, and taken" {
	"$DAMAGE" pool superblock-block-size
	before=$(sha256sum out)
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"--data-block-size"*"/etc/lvm/backup"*"--vg-backup"* ]]
	[ "$(sha256sum out)" = "$before" ]
	repair --data-block-size 128
	[ "$status" -eq 0 ]
	diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
}

@test "thin_repair: when the live trees are gone the devices come back as in the held metadata snapshot, and it is told" {
	fixture metasnap
	cp metasnap/meta.img pool
	truncate -s 4M out
	thin_dump --no-shared -m pool >snap.xml
	zero_block pool "$(mapping_root)"
	zero_block pool "$(details_root)"
	# all blocks that only the live trees use: those written after the snapshot was taken
	held=$(u64_at pool 56)
	for ((b = held + 1; b < 100; b++)); do zero_block pool $b; done
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"mappings are lost, or may be"* ]]
	diff <(sed '1d; s/ transaction=.*//' snap.xml) <(dump out | sed '1d; s/ transaction=.*//')
	[[ "$(dump out)" == *'transaction="42"'* ]] # the live one: LVM knows it
	sound out
}

@test "thin_repair: without a superblock it says which fields are lost and where they are" {
	zero_block pool 0
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"the superblock's data block size is lost: give it to thin_repair with --data-block-size"* ]]
	repair --data-block-size 128
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"the transaction id is lost; 5 follows the newest device's"* ]]
	[[ "$stderr" == *"the number of data blocks is lost; 31 is the least"* ]]
	diff <(dump "$BATS_FILE_TMPDIR/tiny" | sed 1d) <(dump out | sed 1d)
	repair --data-block-size 128 --transaction-id 5 --nr-data-blocks 100
	[ "$status" -eq 0 ]
	diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
	sound out
}

@test "thin_repair: the details alone bring devices back when no state is complete, and what was not found is told" {
	top=$(thin_repair --list-roots -i pool | sed -n 's/^mapping root \([0-9]*\):.*/\1/p')
	for b in 0 $(seq "$top" $((top + 12))); do # with the space maps behind it
		zero_block pool "$b"
	done
	repair --data-block-size 128 --nr-data-blocks 100
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"the newest state was searched for: no mapping root was found, details root $((top - 1))"* ]]
	[[ "$stderr" == *"the top-level mapping tree is lost"* ]]
	[[ "$stderr" != *"block 0 (top"* ]]
	diff <(dump "$BATS_FILE_TMPDIR/tiny" | sed 1d) <(dump out | sed 1d)
}

@test "thin_repair: --data-dev and a table supply what the superblock lost" {
	zero_block pool 0
	truncate -s $((100 * 65536)) data
	repair --data-block-size 128 --data-dev data --transaction-id 5
	[ "$status" -eq 0 ]
	diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
	echo "pool: 0 12800 thin-pool pool data 128 0" >table
	run thin_repair -i table -o out --transaction-id 5
	[ "$status" -eq 0 ]
	diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
}

@test "thin_repair: LVM's empty first word is ignored, and line 1 of a dump has the transaction" {
	run --separate-stderr thin_repair '' -i pool -o out
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	[[ "$(thin_dump out | head -1)" == *' transaction="5"'* ]]
}

@test "thin_repair: a flipped bit anywhere is put right" {
	for b in 0 "$(mapping_root)" "$(details_root)" "$(device_root 2)"; do
		cp "$BATS_FILE_TMPDIR/tiny" pool
		printf '\x01' | dd of=pool bs=1 seek=$((b * 4096 + 300)) conv=notrunc status=none
		cmp -s pool "$BATS_FILE_TMPDIR/tiny" && continue
		repair
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"block $b: a changed "*" at byte 300 was put right"* ]] || { echo "$b: $stderr"; return 1; }
		diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
	done
}

@test "thin_repair: two swapped blocks are taken for what they are" {
	a=$(device_root 1) b=$(details_root)
	dd if=pool of=x bs=4096 skip="$a" count=1 status=none
	dd if=pool of=pool bs=4096 skip="$b" seek="$a" count=1 conv=notrunc status=none
	dd if=x of=pool bs=4096 seek="$b" conv=notrunc status=none
	repair
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"block $a: found in the place of block $b"* ]]
	diff <(dump "$BATS_FILE_TMPDIR/tiny") <(dump out)
}

@test "thin_repair: a node in its own place that carries another number, under a good checksum, is used where it is" {
	fixture snap-tree
	for device in 0 3; do
		cp snap-tree/meta.img pool
		block=$("$DAMAGE" pool node-wrong-place --device "$device" | grep -o 'block [0-9]*')
		rm -f out
		repair --size auto
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"$block: a wrong field was put right"* ]]
		diff <(dump snap-tree/meta.img) <(dump out)
	done
}

@test "thin_repair: needs_check is cleared" {
	"$DAMAGE" pool needs-check
	repair
	[ "$status" -eq 0 ]
	[[ "$(thin_dump out | head -1)" != *flags=* ]]
}

@test "thin_repair: what it makes of each damage of the catalogue is sound" {
	fixture snap-tree
	for recipe in $("$DAMAGE" --list); do
		cp snap-tree/meta.img pool
		"$DAMAGE" pool "$recipe" >/dev/null 2>&1 || continue
		truncate -s 0 out
		truncate -s 8M out
		repair --data-block-size 128
		[ "$status" -le 1 ] || { echo "$recipe: exit $status"; return 1; }
		sound out || { echo "$recipe: not sound"; return 1; }
		[ "$status" -eq 0 ] || [ -n "$stderr" ] || { echo "$recipe: silent"; return 1; }
	done
}

@test "thin_repair: an output that is too small is refused before the first write" {
	fixture random-50k
	cp random-50k/meta.img pool
	truncate -s 1M out
	before=$(sha256sum out)
	repair
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"too small: needs at least "*" blocks of 4096 bytes, has 256; nothing was written"* ]]
	[ "$(sha256sum out)" = "$before" ]
	needed=$(sed -E 's/.*at least ([0-9]+) blocks.*/\1/' <<<"$stderr")
	truncate -s $(((needed + 4) * 4096)) out
	repair
	[ "$status" -eq 0 ]
	sound out
}

@test "thin_repair: where nothing can be saved nothing is written" {
	head -c 262144 /dev/zero >pool
	head -c 262144 /dev/urandom >out
	before=$(sha256sum out)
	repair --data-block-size 128
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"nothing could be recovered"* ]]
	head -c 262144 /dev/urandom >pool
	repair --data-block-size 128
	[ "$status" -eq 1 ]
	[ "$(sha256sum out)" = "$before" ]
}

@test "thin_repair: the input stays as it is, and cannot be the output" {
	zero_block pool "$(mapping_root)"
	before=$(sha256sum pool)
	repair
	run --separate-stderr thin_repair -i pool -o pool
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"is both input and output"* ]]
	[ "$(sha256sum pool)" = "$before" ]
}

@test "thin_repair: --list-roots of something without roots says so and exits 1" {
	truncate -s 1M zeros
	head -c 1M /dev/urandom >noise
	for f in zeros noise; do
		run --separate-stderr thin_repair --list-roots -i $f
		[ "$status" -eq 1 ] && [ -z "$output" ]
		[[ "$stderr" == "thin_repair: no root of a pool's trees was found"* ]]
	done
}

@test "thin_repair: --list-roots with -o is refused, so that nobody takes a list for a repair" {
	run --separate-stderr thin_repair --list-roots -i pool -o new --size auto
	[ "$status" -eq 64 ] && [ -z "$output" ] && [ ! -e new ]
	[[ "$stderr" == *"--list-roots cannot be used with -o: it only lists, and writes no pool"* ]]
}

@test "thin_repair: --list-roots shows older states, and a chosen root is used" {
	fixture plain
	cp plain/meta.img pool
	truncate -s 4M out
	run --separate-stderr thin_repair --list-roots -i pool
	[ "$status" -eq 0 ]
	[[ "$output" == *"mapping root 24: 2 devices, 210 mappings, newest time 0, used"* ]]
	[[ "$output" == *"details root 20: 2 devices, 0 mappings, newest time 0"* ]]
	repair --mapping-root 19 --details-root 20
	[[ "$(dump out)" == *'<device dev_id="1" mapped_blocks="0"'* ]]
}

@test "thin_repair: --dry-run writes nothing and says what would be saved" {
	zero_block pool "$(device_root 3)"
	run --separate-stderr thin_repair --dry-run -i pool
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"device 2: 3 mapped blocks kept, all"*"device 3: 0 mapped blocks kept, 2 lost"* ]]
}

@test "thin_repair: a result whose report cannot be printed is there all the same, and that is said" {
	[ -c /dev/full ] || skip "no /dev/full"
	run --separate-stderr bash -c 'thin_repair -i pool -o whole --size auto --format json >/dev/full'
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"'whole' is complete: only the report could not be printed" ]] || { echo "$stderr"; return 1; }
	diff <(dump pool) <(dump whole)
}

@test "thin_repair: a device that was extended, up to the largest, is as good as before, and its holes are not read" {
	truncate -s 16G pool
	timeout 60 thin_repair -i pool -o out2 --size auto
	diff <(dump pool) <(dump out2)
	zero_block pool "$(mapping_root)"
	timeout 60 thin_repair -i pool -o out3 --size auto
	diff <(dump out2) <(dump out3)
}

@test "thin_repair: the report is also JSON" {
	need jq
	zero_block pool "$(device_root 1)"
	repair --format json
	[ "$status" -eq 1 ]
	[ "$(jq -c '[.lossless, .devices[0].lost, .devices[0].lost_ranges, .devices[1].kept]' <<<"$output")" = \
		'[false,4,[{"begin":0,"length":null}],3]' ]
}

@test "thin_repair: -q says nothing, the exit status tells" {
	zero_block pool "$(device_root 1)"
	repair -q
	[ "$status" -eq 1 ] && [ -z "$output$stderr" ]
}

@test "thin_dump --repair: dumps what thin_repair would write, with its exit status" {
	zero_block pool "$(mapping_root)"
	run --separate-stderr thin_dump --repair --no-shared pool
	[ "$status" -eq 0 ]
	[ "$output" = "$(dump "$BATS_FILE_TMPDIR/tiny")" ]
	zero_block pool "$(device_root 2)" 2>/dev/null || true
	cp "$BATS_FILE_TMPDIR/tiny" pool
	zero_block pool "$(device_root 2)"
	run --separate-stderr thin_dump -r pool -o out.xml
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"thin_dump: device 2: 0 mapped blocks kept, 3 lost"* ]]
	truncate -s 262144 again
	thin_restore -i out.xml -o again
	repair
	diff <(dump out) <(dump again)
	run --separate-stderr thin_dump -r --dev-id 3 pool
	[ "$(grep -c '<device' <<<"$output")" -eq 1 ]
}

@test "thin_materialize --repair: reads a device whose top level is lost as the kernel did" {
	fixture extorigin-snaps
	cd extorigin-snaps
	root=$(u64_at meta.img 320)
	zero_block meta.img "$root"
	read -r _ name dev sectors origin sha < <(grep ^thin oracle | head -1)
	run --separate-stderr thin_materialize tables "$name" image
	[ "$status" -ne 0 ]
	run --separate-stderr thin_materialize --repair tables "$name" image
	[ "$status" -eq 0 ]
	[[ "$(sha256sum image)" == "$sha"* ]]
}

@test "thin_repair: where the last commit's index block is lost in zeros up to the end, so may be a later commit" {
	need zstd
	local f name nr=0
	field() { od -An -v -t u8 -j "$2" -N 8 "$1" | tr -d ' '; }
	for f in "$abs_top_srcdir"/tests/fixtures/*.tar.zst; do
		name=$(basename "$f" .tar.zst)
		[ "$name" != stories ] && [ "$name" != fresh ] || continue # fresh: the commit before has the same devices, none
		tar --zstd -xf "$f" "$name/meta.img"
		map=$(field "$name/meta.img" 320) details=$(field "$name/meta.img" 328) index=$(field "$name/meta.img" 208)
		end=$(((map > details ? map : details) + 1))
		[ "$index" -ge "$end" ] || continue # nothing of the last commit would be lost
		options="--data-block-size $(od -An -v -t u4 -j 336 -N 4 "$name/meta.img") --nr-data-blocks $(field "$name/meta.img" 64)"
		size=$(stat -c %s "$name/meta.img")
		truncate -s $((end * 4096)) "$name/meta.img"
		truncate -s "$size" "$name/meta.img"
		dd if=/dev/zero of="$name/meta.img" bs=4096 count=1 conv=notrunc status=none
		run --separate-stderr thin_repair --dry-run $options -i "$name/meta.img"
		[ "$status" -eq 1 ] || { echo "$name: $stderr"; return 1; }
		nr=$((nr + 1))
	done
	[ "$nr" -gt 5 ]
}

@test "metadata whose start one byte was written over are damaged metadata, no text, to each command" {
	for byte in '\377' U '\252'; do
		cp pool start
		head -c 4096 /dev/zero | tr '\0' "$(printf %b "$byte")" | dd of=start conv=notrunc status=none
		run --separate-stderr thin_check start
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"thin_repair -i start"* ]]
		for command in 'thin_dump --repair' 'thin_dump --repair -o out'; do
			run --separate-stderr $command --data-block-size 128 --nr-data-blocks 1000 --transaction-id 1 start
			[ "$status" -le 1 ]
			[[ "$stderr" != *"neither XML nor a table"* ]]
		done
	done
}
