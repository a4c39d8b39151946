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
	# without the option, and on a whole pool, there is nothing of that
	run --separate-stderr thin_repair --dry-run -i snap-tree/meta.img
	[[ "$stderr" != *"; no other place"* && "$stderr" != *"; rather than"* ]]
}

@test "doc/rescue.md: prints the table of evidence as the code has it" {
	code() {
		sed -n '/evidence\[NR_EVIDENCE\] = {/,/^};/p' "$abs_top_srcdir/lib/pool/salvage/evidence.c" |
			tr -d '\n' | tr -s '\t ' ' ' | sed 's/}, */},\n/g' |
			sed -n 's/.*\[EV_[A-Z_]*\] = { \(-*[0-9]*\), "\(.*\)", *"\(.*\)" *},/| \2 | \1 | \3 |/p'
	}
	[ "$(code | wc -l)" -gt 8 ]
	diff <(code) <(sed -n '/^| the node | points/,/^$/p' "$abs_top_srcdir/doc/rescue.md" | sed '1,2d; /^$/d')
}
