#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_check -m: the metadata snapshot that a pool holds.

bats_require_minimum_version 1.5.0
load needs

setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	cd "$DIR" || return 1
	for name in metasnap plain; do
		tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$name.tar.zst" "$name/meta.img"
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# pool NAME: a copy of the fixture's metadata as ./pool
pool() { cp --sparse=always "$DIR/$1/meta.img" pool; }

# hurt FIXTURE RECIPE...: a damaged copy
hurt() { pool "$1" && shift && "$abs_top_builddir/tests/damage/damage" pool "$@"; }

@test "-m checks the metadata snapshot, and only that" {
	run --separate-stderr thin_check -m "$DIR/metasnap/meta.img"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	held=$(thin_dump -f json -m "$DIR/metasnap/meta.img" | sed -n 's/.*"metadata_snap": \([0-9]*\).*/\1/p')
	thin_check -q -m"$held" "$DIR/metasnap/meta.img"
	thin_check -q --metadata-snapshot="$held" "$DIR/metasnap/meta.img"
	run -1 thin_check -m1 "$DIR/metasnap/meta.img"
	hurt metasnap count-low
	thin_check -q -m pool
	run --separate-stderr thin_check -m "$DIR/plain/meta.img"
	[ "$status" -eq 1 ]
	[ "$stderr" = "thin_check: no current metadata snap" ]
	hurt metasnap held-superblock
	run --separate-stderr thin_check -m pool
	[ "$status" -eq 1 ] && [ -z "$output" ]
	[[ "$stderr" == *"metadata snap: bad checksum in superblock"* ]]
}

@test "-m with --super-block-only looks at the metadata snapshot's own superblock, too" {
	pool plain
	run -1 --separate-stderr thin_check -m --super-block-only pool
	[[ "$stderr" == *"no current metadata snap"* ]]
	pool metasnap
	held=$(od -An -tu8 -j56 -N8 pool | tr -d ' ')
	run -0 --separate-stderr thin_check -m --super-block-only pool
	[[ "$output" == TRANSACTION_ID=* && -z "$stderr" ]]
	run -1 thin_check -m=$((held + 1)) --super-block-only pool
	dd if=/dev/zero of=pool bs=4096 seek="$held" count=1 conv=notrunc status=none
	thin_check -q --super-block-only pool
	run -1 thin_check -m --super-block-only pool
	[[ "$output" == *"metadata snap"* ]]
}

@test "with -m the roots that are given are those of the metadata snapshot" {
	pool metasnap
	held=$(od -An -tu8 -j56 -N8 pool | tr -d ' ')
	root=$(od -An -tu8 -j$((held * 4096 + 320)) -N8 pool | tr -d ' ')
	details=$(od -An -tu8 -j$((held * 4096 + 328)) -N8 pool | tr -d ' ')
	thin_check -q -m --override-mapping-root "$root" --override-details-root "$details" pool
	run -1 thin_check -m --override-mapping-root "$details" pool
	run -1 thin_check -m --override-details-root 99999999 pool
}
