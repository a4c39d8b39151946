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


@test "with -m a command line in a message reads the metadata snapshot, too: it has other devices than the pool" {
	sound metasnap
	for c in 'thin_dump -m --dev-id 77' 'thin_delta -m --thin1 1 --thin2 77'; do
		run -1 --separate-stderr $c "$pool"
		[[ "$stderr" == *"'thin_ls "*" -m' lists "* ]]
		followed=
		follow $c "$pool"
		[[ "$followed" == *" -m"* ]]
		diff out <(thin_ls -m "$pool")
	done
	# a block of the held details tree that the live pool does not have
	dd if=/dev/zero of="$pool" bs=4096 seek="$(od -An -tu8 -j$((44 * 4096 + 328)) -N8 "$pool" | tr -d ' ')" count=1 conv=notrunc status=none
	run -1 --separate-stderr thin_ls -m "$pool"
	[[ "$stderr" == *"'thin_check "*" -m'"* ]]
	run -1 --separate-stderr thin_ls -m "$pool" --quiet
	[ -z "$stderr" ]
}

@test "thin_check: what is found with other roots names the command that uses them, and none that does not" {
	local o root
	for o in --override-mapping-root --override-details-root; do
		for root in 1 99999999; do
			run -1 --separate-stderr thin_check $o $root "$pool"
			[[ "$stderr" == *"'thin_repair --mapping-root BLOCK --details-root BLOCK -i "*" -o FILE' uses the given roots" ]]
			[[ "$stderr" != *"thin_repair -i"* && "$stderr" != *auto-repair* ]]
			run -1 thin_check --format json $o $root "$pool"
			[[ "$output" != *thin_repair* ]]
		done
	done
	root=$(od -An -tu8 -j320 -N8 "$pool" | tr -d ' ')
	run -0 --separate-stderr thin_check --override-mapping-root "$root" "$pool"
	[ -z "$stderr" ]
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
