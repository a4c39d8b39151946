#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_repair: how its choices are told, and the table that they follow.

bats_require_minimum_version 1.5.0
load needs

setup() { cd "$BATS_TEST_TMPDIR" || return 1; }

u64_at() { od -An -tu8 -j"$2" -N8 "$1" | tr -d ' '; }
zero_block() { dd if=/dev/zero of="$1" bs=4096 seek="$2" count=1 conv=notrunc status=none; }

@test "thin_repair --explain: names the choice, what else was possible, and what spoke for each" {
	need zstd
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/snap-tree.tar.zst" snap-tree/meta.img
	m=$(u64_at snap-tree/meta.img 320)
	root=$(u64_at snap-tree/meta.img $((m * 4096 + 2048)))
	dev=$(u64_at snap-tree/meta.img $((m * 4096 + 32)))
	zero_block snap-tree/meta.img "$m"
	run --separate-stderr thin_repair --dry-run --explain -i snap-tree/meta.img
	echo "$stderr" | grep -E "thin_repair: block $root \([0-9]+ mapped blocks\): device $dev \([0-9]+: it has as many mappings as the details say"
	echo "$stderr" | grep -E "; (rather than device [0-9]+ \(|no other place)"
	# without the option there are no such lines, nor for a whole pool
	run --separate-stderr thin_repair --dry-run -i snap-tree/meta.img
	[[ "$stderr" != *"; no other place"* && "$stderr" != *"; rather than"* ]]
}

@test "thin_repair --take: the tree at the block is the device's, also where the top level says otherwise" {
	need zstd
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/snap-tree.tar.zst" snap-tree/meta.img
	m=$(u64_at snap-tree/meta.img 320)
	for i in 0 1 2; do
		dev[i]=$(u64_at snap-tree/meta.img $((m * 4096 + 32 + 8 * i)))
		root[i]=$(u64_at snap-tree/meta.img $((m * 4096 + 2048 + 8 * i)))
	done
	maps() { thin_dump --repair --dev-id "$2" "$1" | grep -E '<(single|range)_mapping'; }
	maps snap-tree/meta.img "${dev[0]}" >first
	maps snap-tree/meta.img "${dev[1]}" >second
	! cmp -s first second
	# the two devices have each other's tree
	run --separate-stderr thin_repair -i snap-tree/meta.img -o out --size auto \
		--take "${dev[0]}=${root[1]}" --take "${dev[1]}=${root[0]}"
	[ "$status" -le 1 ]
	[[ "$stderr" == *"device ${dev[0]}: the tree at block ${root[1]} is used because of --take"* ]]
	thin_check -q out
	maps out "${dev[0]}" | cmp - second
	maps out "${dev[1]}" | cmp - first
	# when the top level is lost, and for a device that nothing names
	zero_block snap-tree/meta.img "$m"
	run --separate-stderr thin_repair --accept-loss -i snap-tree/meta.img -o out2 --size auto \
		--take "${dev[0]}=${root[1]}" --take "16000000=${root[0]}"
	[ "$status" -eq 0 ]
	thin_check -q out2
	maps out2 "${dev[0]}" | cmp - second
	maps out2 16000000 | cmp - first
}

@test "thin_repair --take: what is no tree of a device is refused, with the reason and nothing written" {
	need zstd
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures/snap-tree.tar.zst" snap-tree/meta.img
	refused() {
		run --separate-stderr thin_repair -i snap-tree/meta.img -o out --size auto --take "$1"
		[ "$status" -eq "$2" ]
		[[ "$stderr" == *"$3"* ]]
		[ ! -e out ]
	}
	refused "1=$(u64_at snap-tree/meta.img 320)" 1 "belongs to a top-level mapping tree"
	refused "1=$(u64_at snap-tree/meta.img 328)" 1 "belongs to a device details tree"
	refused 1=0 1 "is a superblock"
	refused 1=99999999 1 "has only"
	for bad in 1 1= =1 16777216=5 1=x -1=5 x=5; do
		refused "$bad" 64 "must be DEV=BLOCK"
	done
	run --separate-stderr thin_repair -i snap-tree/meta.img -o out --take 1=5 --take 1=6
	[ "$status" -eq 64 ]
	[[ "$stderr" == *"device 1 is given twice"* ]]
}

@test "doc/rescue.md: prints the table of evidence as the code has it" {
	code() {
		sed -n '/evidence\[NR_EVIDENCE\] = {/,/^};/p' "$abs_top_srcdir/lib/pool/salvage/witness/evidence.c" |
			tr -d '\n' | tr -s '\t ' ' ' | sed 's/" "//g; s/}, */},\n/g' |
			sed -n 's/.*\[EV_[A-Z_]*\] = { \(-*[0-9]*\), "\(.*\)", *"\(.*\)" *},/| \2 | \1 | \3 |/p'
	}
	[ "$(code | wc -l)" -gt 8 ]
	diff <(code) <(sed -n '/^| the node | points/,/^$/p' "$abs_top_srcdir/doc/rescue.md" | sed '1,2d; /^$/d')
}
