#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What a message says to run: a command line with the POOL that was given, which a shell takes as it stands.

bats_require_minimum_version 1.5.0
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	damage=$abs_top_builddir/tests/damage/damage
	for name in snap-tree metasnap; do
		tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$name.tar.zst" "$name/meta.img"
	done
	pool="a pool's \$(x)"
	sound
}

# sound [FIXTURE]: the pool as it was
sound() { cp --sparse=always "${1:-snap-tree}/meta.img" "$pool"; }

# Runs each command line that stderr of the command in "$@" quotes.  64: it is none.
follow() {
	local line status
	"$@" >/dev/null 2>said </dev/null || :
	while IFS= read -r line; do
		[[ "$line" != *POOL* ]] || { echo "$*: POOL is not the one given: $line"; return 1; }
		rm -rf fresh && mkdir fresh
		echo "$line" | sed 's/\<\(FILE\|NEW\|OUTPUT\)$/fresh\/file --size auto/; s/\<\(FILE\|NEW\|OUTPUT\)\>/fresh\/file/
			s/thin_dump\(.*\) --size auto/thin_dump\1/; s/\<SECTORS\>/128/; s/\<BLOCK\>/9/g; s/\<DEV\>/fresh\/dev/' >script
		cp --sparse=always "$pool" kept
		status=0
		sh script >out 2>&1 || status=$?
		cp --sparse=always kept "$pool"
		[ $status -lt 64 ] || grep -q 'fresh/' out || { echo "$*: $line: status $status: $(cat out)"; return 1; }
		followed="$followed $line"
	done < <(grep -oE "'thin_[a-z_]+ ([^'\\]|\\\\.)*'" said | sed "s/^'//; s/'\$//")
}

@test "each command line in a message can be copied: it names the POOL that was given, whatever its name, and is taken" {
	local recipe followed=
	for recipe in superblock-csum superblock-magic superblock-time-limit superblock-block-size node-csum node-underfull \
		leak leak\ --metadata count-low count-high bitmap index-block nr-free mapped-blocks data-outside mapping-time \
		device-time superblock-map-size; do
		sound
		"$damage" "$pool" $recipe >log 2>&1 || { cat log; return 1; }
		follow thin_check "$pool"
		follow thin_check --auto-repair "$pool"
		sound
		"$damage" "$pool" $recipe >log 2>&1
		for c in thin_dump thin_ls 'thin_rmap --region 0..9' 'thin_trim --data-dev kept --metadata-dev' thin_info \
			'thin_shrink --binary --no-copy --nr-blocks 90 -o fresh.meta -i' 'thin_repair --dry-run -i' \
			'thin_delta --thin1 1 --thin2 77'; do
			follow $c "$pool"
		done
		follow thin_message "$pool" 'create_thin 99'
		follow thin_materialize --map "$pool" 77
	done
	sound metasnap
	"$damage" "$pool" held-superblock >log 2>&1
	follow thin_check "$pool"
	sound
	follow thin_repair --mapping-root 99999 -i "$pool" -o fresh.meta --size auto
	follow thin_repair --take 1=99999 -i "$pool" -o fresh.meta --size auto
	follow thin_dump --dev-id 77 "$pool"
	head -c 1M /dev/zero >"$pool"
	follow thin_check "$pool"
	head -c 1M /dev/urandom >"$pool"
	follow thin_check "$pool"
	for c in thin_check\ --auto-repair thin_check thin_repair\ -i thin_ls; do
		[[ "$followed" == *" $c "* ]] || { echo "$c was not told: $followed"; return 1; }
	done
}


@test "the options that say which pool of a disk is meant stand in the command line as well" {
	need zstd
	tar --zstd -xf "$abs_top_srcdir/tests/fixtures-lvm/lvm-multi.tar.zst"
	set -- lvm-multi/pv*.img
	local first=$1 pvs=
	shift
	for pv; do pvs="$pvs --pv $pv"; done
	run -1 --separate-stderr thin_dump --pool vg/pool2 $pvs --dev-id 7777 "$first"
	[[ "$stderr" == *"'thin_ls $first --pool vg/pool2$pvs' lists its devices"* ]] || { echo "$stderr"; return 1; }
	thin_ls $first --pool vg/pool2$pvs
}
