#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# thin_check: every finding of the damage catalogue, options, fixing in place.

bats_require_minimum_version 1.5.0
load needs

setup_file() {
	export DIR=$BATS_FILE_TMPDIR FIX=$abs_top_srcdir/tests/fixtures
	cd "$DIR" || return 1
	touch -d @1 old
	for name in snap-tree metasnap needscheck-ioerror crash-1 random-50k plain; do
		tar --zstd -xf "$FIX/$name.tar.zst" "$name/meta.img"
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	damage=$abs_top_builddir/tests/damage/damage
	[ -x "$damage" ] # a loop over its list of recipes would end at once
}

# pool NAME: a copy of the fixture's metadata as ./pool
pool() { cp --sparse=always "$DIR/$1/meta.img" pool; }

# hurt FIXTURE RECIPE...: a damaged copy
hurt() { pool "$1" && shift && "$damage" pool "$@"; }

kinds() { jq -r '.findings[].kind' <<<"$output"; }

# finds KIND STATUS: thin_check prints the finding in its JSON, exits with this status, has a message,
# and does not write to the file.
finds() {
	chmod a-w pool
	touch -d @1 pool
	does thin_check --format json pool
	[ "$status" -eq "$2" ] || { echo "$1: status $status" >&2; return 1; }
	jq -e --arg k "$1" 'any(.findings[]; .kind == $k)' out.txt >/dev/null ||
		{ echo "$1: not found in: $(kinds)" >&2; return 1; }
	does thin_check pool
	[ "$status" -eq "$2" ]
	[[ "$stderr" == "thin_check: "* ]]
	[ ! pool -nt "$DIR/old" ] # the file was not written to
	chmod u+w pool
}

# The recipes that bear a finding's name, each on a pool that it can be applied to; the exit status
# follows from the severity.
try_recipe() {
	local recipe=$1 fixture=snap-tree status=1
	shift
	case $recipe in held-superblock) fixture=metasnap ;; esac
	hurt $fixture "$recipe" "$@" || { echo "$recipe: cannot be applied" >&2; return 1; }
	case $recipe in
	superblock-version | superblock-flags | superblock-metadata-block-size | superblock-time-limit | \
		index-extra | bits-past-end | nr-allocated | nr-free | none-free-before) status=0 ;;
	leak) [ "${1:-}" = --metadata ] || status=0 ;;
	esac
	finds "$recipe" $status
}

@test "thin_check: each kind of finding in the library has a recipe, or is made by a unit test" {
	grep -oE '(X\([A-Z_]+|NODE\(X, [A-Z_]+), "[a-z-]+"' "$abs_top_srcdir/lib/pool/finding/finding.c" |
		cut -d'"' -f2 | grep -vE '^(node-unreadable|older-pool)$' | sort >kinds
	"$damage" --list | sort >recipes
	[ "$(wc -l <kinds)" -gt 40 ]
	run comm -23 kinds recipes
	[ -z "$output" ]
}

@test "thin_check: damage to the superblock is found, recipe by recipe" {
	for r in $("$damage" --list | grep '^superblock-' | grep -v '^superblock-time$'); do
		try_recipe "$r"
	done
	try_recipe superblock-map-size --metadata
}

@test "thin_check: damage to nodes is found, recipe by recipe" {
	for r in $("$damage" --list | grep '^node-' | grep -v '^node-loop$\|^node-twice$'); do
		try_recipe "$r"
	done
}

@test "thin_check: damage to devices and mappings is found, recipe by recipe" {
	for r in held-superblock device-too-small device-without-details device-without-mappings \
		device-id mapped-blocks data-outside mapping-time device-time shared-time; do
		try_recipe $r
	done
}

@test "thin_check: damage to the data space map is found, recipe by recipe" {
	for r in index-missing index-extra bitmap bitmap-in-use bits-past-end count-low count-high leak \
		overflow-missing overflow-stale nr-allocated nr-free none-free-before; do
		try_recipe $r
	done
}

@test "thin_check: damage to the metadata space map is found, recipe by recipe" {
	for r in index-block index-missing bitmap bits-past-end count-low count-high leak \
		overflow-missing nr-allocated nr-free none-free-before; do
		try_recipe $r --metadata
	done
}

@test "thin_check: damaged nodes of every tree are found, roots and leaves" {
	for t in top-level details data-index data-overflow; do
		hurt snap-tree node-csum --tree $t
		finds node-csum 1
		hurt snap-tree node-wrong-place --tree $t
		finds node-wrong-place 1
	done
	hurt random-50k node-csum --node 0
	finds node-csum 1
}

@test "thin_check: mappings lost for the live device and the held one are not miscounted in either" {
	local tried=0
	for f in metasnap metasnap-inplace; do
		for d in $(thin_ls --no-headers -o DEV "$DIR/$f/meta.img"); do
			hurt $f node-csum --device "$d" --leaf 0 || continue
			finds node-csum 1
			run --separate-stderr thin_check --format json pool
			[[ "$(kinds)" != *mapped-blocks* ]]
			tried=$((tried + 1))
		done
	done
	[ "$tried" -ge 4 ]
}

@test "thin_check: large counts are not held against a bitmap that cannot be read" {
	for m in "" --metadata; do
		hurt snap-tree overflow-stale $m
		finds overflow-stale 1
		"$damage" pool bitmap $m
		run --separate-stderr thin_check --format json pool
		[ "$(kinds | sort -u)" = bitmap ]
	done
}

@test "thin_check: a leaf that stands twice in a device is told once, and no range ends before it begins" {
	hurt random-50k node-twice
	finds node-key-range 1
	[[ "$stderr" == *"no key fits into it"* ]]
	[[ "$stderr" != *"devices "*": leaf"* ]]
}

@test "thin_check: -q says nothing, the exit status says all" {
	hurt snap-tree count-low
	cp pool before
	run --separate-stderr thin_check -q pool
	[ "$status" -eq 1 ] && [ -z "$output$stderr" ]
	cmp pool before
	run --separate-stderr thin_check --quiet "$DIR/snap-tree/meta.img"
	[ "$status" -eq 0 ] && [ -z "$output$stderr" ]
}

@test "thin_check: a pair of 11 that lost its entry is found although all counts are right" {
	hurt snap-tree overflow-lost
	finds overflow-missing 1
	[ "$(thin_check --format json pool | jq '.fatal')" -eq 1 ]
}

@test "thin_check: a leak of two references is a leak" {
	hurt snap-tree leak-two
	finds leak 0
	hurt snap-tree leak-two --metadata
	finds leak 1
}

@test "thin_check: a superblock time set back is found by mappings and devices" {
	hurt snap-tree superblock-time
	finds mapping-time 1
	finds device-time 1
}

@test "thin_check: a pointer back up the tree is found and ends" {
	hurt random-50k node-loop
	finds node-in-use 1
}

@test "thin_check: a damaged leaf is reported with its devices, key range, cost and the next command" {
	hurt snap-tree node-csum --device 5 --leaf 1
	run --separate-stderr thin_check pool
	[ "$status" -eq 1 ]
	[[ "$stderr" == "thin_check: device"*" 5"*": leaf at block "*" has a bad checksum: blocks 210 and up of the device are unreadable; 'thin_repair -i pool -o FILE' can recover the rest" ]]
	hurt plain node-csum --device 1
	run --separate-stderr thin_check pool
	[[ "$stderr" == "thin_check: device 1: root at block "*" has a bad checksum: all blocks of the device are unreadable; 'thin_repair -i pool -o FILE' can recover the rest" ]]
}

@test "thin_check: a leaf shared by many devices is reported once, with all of them" {
	pool snap-tree
	shared=$(thin_dump pool | sed -n '/<def/,/<\/def/p' | wc -l)
	[ "$shared" -gt 0 ]
	for leaf in 0 1; do
		hurt snap-tree node-csum --device 5 --leaf $leaf
		[ "$(thin_check --format json pool | jq '[.findings[] | select(.kind == "node-csum")] | length')" -eq 1 ]
	done
}

@test "thin_check: of many findings of a kind ten are shown and the rest is counted, JSON has all" {
	hurt snap-tree shared-time
	n=$(thin_check --format json pool | jq '[.findings[] | select(.kind == "shared-time")] | length')
	[ "$n" -gt 20 ]
	run --separate-stderr thin_check pool
	[ "$(grep -c 'shared data mapped' <<<"$stderr")" -eq 10 ]
	[[ "$stderr" == *"... and $((n - 10)) more of this kind"* ]]
}

@test "thin_check: one job and eight find the same" {
	for r in shared-time node-csum count-low superblock-time device-without-mappings; do
		hurt snap-tree $r
		thin_check --format json -j 1 pool >one || true
		thin_check --format json -j 8 pool >eight || true
		cmp one eight
	done
}

@test "thin_check: no block is read twice" {
	for f in snap-tree random-50k metasnap; do
		pool $f
		# the superblock, its held copy and the index block are not read through the stream
		used=$(($(stat -c %s pool) / 4096 - $(thin_check pool | sed -n 's/METADATA_FREE_BLOCKS=//p')))
		read=$(thin_check --format json pool | jq .blocks_read)
		[ "$read" -le $((used + used / 2 + 16)) ] || { echo "$f: $read of $used" >&2; false; }
		[ "$read" -ge $((used - 3)) ]
	done
}

@test "thin_check: prints transaction id and free metadata blocks first" {
	run --separate-stderr thin_check "$DIR/plain/meta.img"
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = TRANSACTION_ID=0 ]
	[ "${lines[1]}" = METADATA_FREE_BLOCKS=911 ] || [[ "${lines[1]}" == METADATA_FREE_BLOCKS=* ]]
	[ "${#lines[@]}" -eq 2 ]
	[ -z "$stderr" ]
}

@test "thin_check: the needs_check flag is no damage, but noted" {
	run --separate-stderr thin_check "$DIR/needscheck-ioerror/meta.img"
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"needs_check flag is set"*"--clear-needs-check-flag"* ]]
}

@test "thin_check: leaked data blocks alone are told and harmless, with the flag, other damage and every option" {
	for f in crash-1 plain; do
		pool $f
		"$damage" pool leak >log 2>&1
		run --separate-stderr thin_check pool
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"leaked by a crash or power cut"*"--auto-repair"* ]]
		run thin_check -q pool
		[ "$status" -eq 0 ] && [ -z "$output" ]
		thin_check -q --ignore-non-fatal-errors pool
		thin_check --format json pool | jq -e '.non_fatal == 0 and .warnings > 0 and
			any(.findings[]; .kind == "leak" and .area == "data-map" and .severity == "warning")'
		thin_check -q --clear-needs-check-flag pool
		[ "$(thin_check --format json pool | jq '.findings | length')" -eq 0 ]
	done
	hurt needscheck-ioerror leak
	thin_check -q pool
	thin_check -q --clear-needs-check-flag pool
	thin_check --format json pool | jq -e '.needs_check == false and .findings == []'
	hurt snap-tree leak
	"$damage" pool leak --metadata
	run -1 thin_check -q pool
	thin_check --format json pool | jq -e 'any(.findings[]; .area == "metadata-map" and .severity == "non-fatal")'
	thin_check -q --ignore-non-fatal-errors pool
	hurt snap-tree leak
	"$damage" pool mapped-blocks
	run -1 thin_check -q --ignore-non-fatal-errors pool
}

@test "thin_check: --auto-repair frees what a crash leaked and corrects the counters" {
	pool crash-1
	run --separate-stderr thin_check pool
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"warning: "*": leaked by a crash"* ]]
	run --separate-stderr thin_check --auto-repair pool
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"repaired data leaks"* ]]
	[ "$(thin_check --format json pool | jq '.findings | length')" -eq 0 ]
	cp pool again
	thin_check --auto-repair again
	cmp pool again
}

@test "thin_check: --auto-repair corrects wrong counters and bits past the end" {
	for r in nr-allocated nr-free none-free-before bits-past-end bits-past-end-11 leak leak-two; do
		for m in "" --metadata; do
			hurt snap-tree $r $m
			thin_check -q --auto-repair pool
			[ "$(thin_check --format json pool | jq '.findings | length')" -eq 0 ] ||
				{ echo "$r $m" >&2; thin_check pool >&2; false; }
		done
	done
}

@test "thin_check: --auto-repair does not call bits past the end freed blocks" {
	hurt snap-tree bits-past-end
	run --separate-stderr thin_check --auto-repair pool
	[ "$status" -eq 0 ]
	[[ "$stderr" != *"leaks"* ]]
	[[ "$stderr" == *"corrected the space maps' counters"* ]]
}

@test "thin_check: a sound pool without the flag stays as it is, bit for bit" {
	for f in plain snap-tree metasnap random-50k; do
		for o in --auto-repair --clear-needs-check-flag; do
			pool $f
			thin_check -q $o pool
			cmp pool "$DIR/$f/meta.img"
		done
	done
}

@test "thin_check: --clear-needs-check-flag clears the flag, and nothing else changes" {
	for o in "" --super-block-only --skip-mappings; do
		pool needscheck-ioerror
		run --separate-stderr thin_check --clear-needs-check-flag $o pool
		[ "$status" -eq 0 ]
		[[ "$stderr" == *"cleared needs_check flag"* ]]
		[ "$(thin_check --format json pool | jq .needs_check)" = false ]
		[ "$(cmp -l pool "$DIR/needscheck-ioerror/meta.img" | wc -l)" -le 5 ]
	done
}

@test "thin_check: nothing is fixed in place when there is damage" {
	hurt snap-tree count-low
	cp pool before
	run --separate-stderr thin_check --auto-repair pool
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"nothing was changed"*"thin_repair"* ]]
	cmp pool before
}

@test "thin_check: thin-provisioning-tools 0.9.0 finds no fault in what it repaired" {
	[ -x /usr/sbin/thin_check ] && [ "$(/usr/sbin/thin_check -V)" = 0.9.0 ] || skip "version 0.9.0 is not installed"
	pool crash-1
	thin_check -q --auto-repair pool
	/usr/sbin/thin_check pool
	hurt snap-tree leak --metadata
	run /usr/sbin/thin_check pool
	[ "$status" -ne 0 ]
	thin_check -q --auto-repair pool
	/usr/sbin/thin_check pool
}

@test "thin_check: --ignore-non-fatal-errors lets leaks pass, but not damage" {
	hurt snap-tree leak --metadata
	run -1 thin_check -q pool
	thin_check -q --ignore-non-fatal-errors pool
	hurt snap-tree count-low
	run -1 thin_check -q --ignore-non-fatal-errors pool
}

@test "thin_check: --super-block-only reads no root, and says so where one is given" {
	pool metasnap
	for o in --override-mapping-root --override-details-root; do
		for m in '' -m; do
			run --separate-stderr thin_check $m --super-block-only $o 99999999 pool
			[ "$status" -eq 0 ] # as with other versions
			[[ "$stderr" == *"--super-block-only reads no root: the override is not used"* ]]
			run --separate-stderr thin_check $m --super-block-only pool
			[[ "$status" -eq 0 && "$stderr" != *override* ]]
		done
		run --separate-stderr thin_check -q --super-block-only $o 99999999 pool
		[ "$status" -eq 0 ] && [ -z "$stderr" ]
	done
}

@test "thin_check: --skip-mappings does not look into devices, --super-block-only not behind block 0" {
	hurt snap-tree node-csum
	thin_check -q --skip-mappings pool
	hurt snap-tree node-csum --tree details
	run -1 thin_check -q --skip-mappings pool
	thin_check -q --super-block-only pool
	truncate -s 4096 pool
	thin_check -q --super-block-only pool
}

@test "thin_check: roots can be overridden" {
	pool plain
	root=$(od -An -tu8 -j320 -N8 pool | tr -d ' ')
	details=$(od -An -tu8 -j328 -N8 pool | tr -d ' ')
	thin_check -q --override-mapping-root "$root" --override-details-root "$details" pool
	run -1 thin_check -q --override-mapping-root "$details" pool
	run -1 thin_check -q --override-details-root 99999999 pool
}

@test "thin_check: options that contradict each other are a mistake of usage" {
	pool plain
	for o in "--auto-repair -m" "--auto-repair --override-mapping-root 5" \
		"--auto-repair --override-details-root 5" "--auto-repair --super-block-only" \
		"--auto-repair --skip-mappings" "--auto-repair --ignore-non-fatal-errors" \
		"--clear-needs-check-flag -m" "--clear-needs-check-flag --override-mapping-root 5" \
		"--format yaml" "--override-mapping-root x" "-mx" "--nonsense"; do
		run --separate-stderr thin_check $o pool
		[ "$status" -eq 64 ] || { echo "$o: $status" >&2; false; }
		[[ "$stderr" == *"--help"* ]]
	done
	cmp pool "$DIR/plain/meta.img"
}

@test "thin_check: XML and files that are too small are named as what they are" {
	printf '<superblock uuid="" time="0">\n%5000s\n' "" >xml
	run --separate-stderr thin_check xml
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"This looks like XML."* ]]
	: >empty
	run --separate-stderr thin_check empty
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"Metadata device/file too small.  Is this binary metadata?"* ]]
}

@test "thin_check: pools cut off anywhere and blocks of noise never make it crash" {
	pool snap-tree
	for n in 1 2 3 5 8 20 100 400 700; do
		cp pool cut
		truncate -s $((n * 4096 + 100)) cut
		run thin_check -q cut
		[ "$status" -eq 1 ] || { echo "cut $n: $status" >&2; false; }
	done
	for seed in $(seq 40); do
		cp pool noisy
		"$damage" noisy noise --block $((seed * 19 % 800)) --seed "$seed" >/dev/null
		run thin_check -q noisy
		[ "$status" -le 1 ] || { echo "seed $seed: $status" >&2; false; }
	done
}

@test "thin_check, thin_rmap: many devices with one tree cost its memory once" {
	need_plain
	{
		echo '<superblock uuid="" time="0" transaction="0" version="2" data_block_size="128" nr_data_blocks="200000">'
		echo '<device dev_id="0" mapped_blocks="0" transaction="0" creation_time="0" snap_time="0">'
		awk 'BEGIN { for (i = 0; i < 150000; i++) printf "<single_mapping origin_block=\"%d\" data_block=\"%d\" time=\"0\"/>\n", i, i * 7919 % 150000 }'
		echo '</device></superblock>'
	} >pool.xml
	truncate -s 16M pool
	truncate -s 12800M data
	thin_restore -q -i pool.xml -o pool
	echo 'p: 0 25600000 thin-pool pool data 128 0' >table
	seq 1 10000 | sed 's/.*/create_snap & 0/' | xargs -d '\n' -n 5000 thin_message table
	export MALLOC_ARENA_MAX=1 # else threads that wait for each other reserve 64 MiB of addresses each
	[ "$(ulimit -v 150000 && thin_rmap --region 0..2 pool | wc -l)" -eq 20002 ]
	"$damage" pool shared-time >log 2>&1
	(ulimit -v 150000 && thin_check -q --auto-repair pool)
	thin_check -q pool
}

# leaf N of a crowd is block N + 1 and has the blocks from 252 * N on; time is 6 everywhere
@test "thin_check: what is wrong with leaves that many devices share is said of their owners, all of them" {
	need jq
	for crowd in 'one 9 30' 'own 30 200' 'deep 20 300' 'deep 40 700'; do
		for seed in 1 2; do
			crowd $crowd none $seed pool
			thin_dump --no-shared pool | awk -F'"' '
				/<device/ { dev = $2 }
				/_mapping/ { for (l = int($2 / 252); l * 252 < $2 + (/range/ ? $6 : 1); l++)
					if (!((dev, l) in seen)) { seen[dev, l]; print dev, l + 1 } }' >owned
			crowd $crowd time $seed pool
			thin_check --format json pool >json || [ $? -eq 1 ]
			jq -r '.findings[] | select(.kind == "shared-time") |
				"\(.devices[0]) \(.begin) \(.begin + .length - 1) \(.count) \(.stored) \(.expected)"' json | sort >got
			awk 'NR == FNR { owners[$2]++; next }
				owners[$2] < 2 { next } # blocks of one device alone are in no danger
				{ b = ($2 - 1) * 252; if (!($1 in nr) || b < first[$1]) first[$1] = b
				if (b + 251 > last[$1]) last[$1] = b + 251; nr[$1]++ }
				END { for (d in nr) print d, first[d], last[d], nr[d], 6, 6 }' owned owned | sort | diff - got
			crowd $crowd csum $seed pool
			for jobs in 1 3; do
				thin_check --jobs $jobs --format json pool >json || [ $? -eq 1 ]
				jq -r '.findings[] | select(.kind == "node-csum") | .block as $b | .devices[] | "\(.) \($b)"' json |
					sort | diff <(sort owned) -
			done
		done
	done
}

@test "thin_check -v says what it examined" {
	cd "$BATS_TEST_TMPDIR"
	truncate -s 1M v.meta
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o v.meta
	run --separate-stderr thin_check -v v.meta
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"examined: the superblock and all trees and both space maps: "[0-9]*" devices, "[0-9]*" mappings; "* ]]
	run --separate-stderr thin_check -v --super-block-only v.meta
	[[ "$stderr" == *"examined: the superblock alone"* ]]
	run --separate-stderr thin_check -v --skip-mappings v.meta
	[[ "$stderr" == *"without mappings and space maps"* ]]
	run --separate-stderr thin_check -qv v.meta
	[ -z "$stderr" ]
}
