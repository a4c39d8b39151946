#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Pools where they live: LVM's disks and images.  The scenarios of tests/fixtures-lvm were made by LVM
# and hashed by the kernel; random groups are made by tests/lvm/vg.py.

bats_require_minimum_version 1.5.0

setup_file() {
	export FIX=$abs_top_srcdir/tests/fixtures-lvm DIR=$BATS_FILE_TMPDIR
	command -v zstd >/dev/null || skip "zstd is not installed"
	cd "$DIR"
	for f in "$FIX"/*.tar.zst; do
		zstd -qdc --long=27 "$f" | tar -xSf -
	done
	sha256sum -- */pv*.img >before
	for s in */; do
		thin_lvm -q "$s"pv*.img >"${s%/}.table"
	done
}

setup() {
	command -v zstd >/dev/null || skip "zstd is not installed"
	cd "$DIR" || return 1
	mkdir -p "$BATS_TEST_TMPDIR"
	PLUGIN=$abs_top_builddir/nbdkit/nbdkit-thin-plugin.so
}

need() {
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

scenarios() {
	for s in */oracle; do echo "${s%/oracle}"; done
}

hash() {
	sha256sum | cut -d' ' -f1
}

# oracle KIND: "SCENARIO WORDS..." of each line of that kind
oracle() {
	grep "^$1 " -- */oracle | sed "s,/oracle:$1 , ,"
}

# makes FOLDER SEED [CONTAINER]: a random group
makes() {
	mkdir "$1"
	python3 "$abs_top_srcdir/tests/lvm/vg.py" "$@" || { echo "seed $2"; return 1; }
}

@test "thin_lvm: every line is the one that the kernel had" {
	need python3
	for s in $(scenarios); do
		case $s in lvm-damaged-label | lvm-damaged-missing | lvm-damaged-olderonly | lvm-damaged-precommit) continue ;; esac
		run -0 python3 "$abs_top_srcdir/tests/lvm/tables.py" "$s/pv.tables" "$s.table" || { echo "$s: $output"; return 1; }
	done
}

@test "thin_lvm | thin_materialize: every thin volume has the kernel's hash" {
	while read -r s name _ _ _ sum; do
		got=$(thin_materialize "$s.table" "$name" - | hash)
		[ "$got" = "$sum" ] || { echo "$s: $name: $got, the kernel: $sum"; return 1; }
	done < <(oracle thin)
}

@test "POOL is a disk: every thin volume has the kernel's hash, as LV and as VG/LV" {
	while read -r s name _ _ _ sum; do
		vg=$(sed -n 's/^# volume group \([^,]*\),.*/\1/p' "$s.table" | head -1)
		got=$(thin_materialize "$s" "$name" - 2>/dev/null | hash)
		[ "$got" = "$sum" ] || { echo "$s: $name: $got, the kernel: $sum"; return 1; }
		[ "$(thin_materialize --map "$s" "$vg/$name" 2>/dev/null | hash)" = "$(thin_materialize --map "$s" "$name" 2>/dev/null | hash)" ]
	done < <(oracle thin)
}

@test "POOL is a disk: the plugin serves every thin volume with the kernel's hash" {
	need nbdkit
	need nbdcopy
	[ -f "$PLUGIN" ] || skip "the plugin is not built"
	while read -r s name _ _ _ sum; do
		got=$(nbdkit -U - -r "$PLUGIN" pool="$s.table" device="$name" --run 'nbdcopy "$uri" -' | hash)
		[ "$got" = "$sum" ] || { echo "$s: $name: $got, the kernel: $sum"; return 1; }
	done < <(oracle thin)
	read -r s name _ _ _ sum < <(oracle thin | grep ^lvm-4kn-whole)
	[ "$(nbdkit -U - -r "$PLUGIN" pool="$s/pv0.img" device="$name" --run 'nbdcopy "$uri" -' | hash)" = "$sum" ]
}

@test "what cannot be followed is refused, and nothing of it is printed as if it were content" {
	while read -r s name _; do
		run --separate-stderr thin_materialize "$s.table" "$name" "$BATS_TEST_TMPDIR/out"
		[ "$status" -eq 1 ] && [ ! -e "$BATS_TEST_TMPDIR/out" ] || { echo "$s: $name: $status $stderr"; return 1; }
	done < <(oracle hardthin)
	while read -r s name _; do
		[ "$name" = nothing ] && continue # of type zero: that is read, as zeros
		grep -q "^# $name: " "$s.table" && grep -q "^$name: 0 [0-9]* error" "$s.table" || { echo "$s: $name"; return 1; }
	done < <(oracle hardlv)
}

@test "what lies on a missing or shortened disk is refused, and everything else is whole" {
	while read -r s name why; do
		case $why in *_not_whole)
			[[ $why == "$name":* ]] && { grep -q "^$name: .* error$" "$s.table" || { echo "$s: $name"; return 1; }; continue; } ;;
		esac
		run --separate-stderr thin_materialize "$s.table" "$name" "$BATS_TEST_TMPDIR/out"
		[ "$status" -ne 0 ] && [ ! -e "$BATS_TEST_TMPDIR/out" ] || { echo "$s: $name: $status $stderr"; return 1; }
	done < <(oracle lost)
}

@test "a device that no LV names is read by its id; an LV whose device is gone is told" {
	while read -r s _ dev sectors sum; do
		[ "$(thin_materialize -q --size "${sectors}s" "$s" "$dev" - | hash)" = "$sum" ] || { echo "$s: $dev"; return 1; }
	done < <(oracle orphan)
	while read -r s name dev _; do
		run --separate-stderr thin_materialize "$s" "$name" "$BATS_TEST_TMPDIR/out"
		[ "$status" -eq 1 ] && [[ "$stderr" == *"no device $dev in "* ]] || { echo "$s: $name: $stderr"; return 1; }
	done < <(oracle nodev)
}

@test "thin_ls, thin_check and thin_dump take a disk; the pool's words are those of the kernel" {
	while read -r s pool _ _ _ _ _ transaction _; do
		run --separate-stderr thin_check -q --pool "$pool" "$s"
		[ "$status" -eq 0 ] || { echo "$s: $pool: $status $stderr"; return 1; }
		[[ "$(thin_dump -q --pool "$pool" "$s" 2>/dev/null | head -1)" == *" transaction=\"$transaction\""* ]]
		thin_ls -q --pool "$pool" -o DEV,NAME,SIZE "$s" >/dev/null
	done < <(oracle pool)
}

@test "a disk without LVM, and LVM without a thin pool, are told" {
	run --separate-stderr thin_ls lvm-empty/pv0.img
	[ "$status" -eq 1 ] && [[ "$stderr" == *"is in none"* ]]
	run --separate-stderr thin_ls lvm-empty/pv1.img
	[ "$status" -eq 1 ] && [[ "$stderr" == *"has no thin pool"* ]]
	truncate -s 1M "$BATS_TEST_TMPDIR/disk"
	printf '\125\252' | dd of="$BATS_TEST_TMPDIR/disk" bs=1 seek=510 conv=notrunc status=none
	run --separate-stderr thin_lvm "$BATS_TEST_TMPDIR/disk"
	[ "$status" -eq 1 ] && [[ "$stderr" == *"no label of LVM was found"* ]]
	run --separate-stderr thin_lvm nothing-there.img
	[ "$status" -eq 74 ]
}

@test "the newest good text wins, whatever is damaged, older, ignored or not committed" {
	while read -r s seqno; do
		[[ "$(head -1 "$s.table")" == "# volume group "*", seqno $seqno" ]] || { echo "$s: $(head -1 "$s.table")"; return 1; }
	done <<-'EOT'
	lvm-multi 40
	lvm-damaged-mda0 40
	lvm-damaged-lastcopy 40
	lvm-damaged-oldtext 40
	lvm-damaged-olderonly 39
	lvm-damaged-precommit 39
	lvm-ring 33
	EOT
	[[ "$(thin_lvm --list lvm-ring)" == *": ignored"* ]]
}

@test "--list-texts shows what the rings still hold, --seqno takes it, --vg-backup takes a file" {
	run -0 thin_lvm --list-texts lvm-multi
	[[ "$output" == *"vg seqno 40 "*"committed in 4 areas, taken: "* ]]
	[[ "$output" == *"vg seqno 9 "*"left over: "*"-n t2."* ]]
	run -0 thin_lvm --seqno 9 lvm-multi
	[[ "$output" == *$'\nt2: 0 28672 thin pool 2'* && "$output" != *$'\nt3: '* ]]
	run --separate-stderr thin_lvm --seqno 99 lvm-multi
	[ "$status" -ne 0 ] && [[ "$stderr" == *"no text of LVM with seqno 99"*" 40 39 "* ]]
	for s in lvm-multi lvm-other lvm-extorigin lvm-ring-comments lvm-4kn; do
		thin_lvm --vg-backup $s/vg.txt $s/pv*.img | grep -v '^# volume' | cmp - <(grep -v '^# volume' $s.table)
	done
}

@test "a leg of raid1 and mirror is read when it is named" {
	run -0 thin_lvm --leg 1 lvm-other
	[[ "$output" == *$'\nr1: 0 12288 linear r1_rimage_1 0'* ]]
	[[ "$output" == *$'\nrpool_tdata: 0 20480 linear rpool_tdata_rimage_1 0'* ]]
	echo "$output" >"$BATS_TEST_TMPDIR/table"
	sum=$(oracle hardthin | sed -n 's/^lvm-other rt .* //p')
	[ "$(thin_materialize "$BATS_TEST_TMPDIR/table" rt - | hash)" = "$sum" ]
	run -0 thin_lvm --leg 7 lvm-other
	[[ "$output" == *"# r1: raid1 has legs 0 to 1, and no leg 7"* ]]
}

@test "lists are valid JSON, and an image in two copies is refused" {
	need jq
	for s in $(scenarios); do
		thin_lvm -q --list -f json "$s"/pv*.img | jq -e '.vgs[].lvs | length' >/dev/null || { echo "$s"; return 1; }
		thin_lvm -q --list-texts -f json "$s"/pv*.img | jq -e '.texts | length > 0' >/dev/null
	done
	cp --sparse=always lvm-new/pv0.img "$BATS_TEST_TMPDIR/copy.img"
	run --separate-stderr thin_lvm lvm-new/pv0.img "$BATS_TEST_TMPDIR/copy.img"
	[ "$status" -eq 1 ] && [[ "$stderr" == *"one is a copy of the other"* ]]
	thin_lvm -q lvm-new/pv*.img lvm-new/pv0.img | cmp - lvm-new.table
}

@test "random groups: labels in each sector, rings, 4Kn, partitions, stripes: every volume and old text" {
	need python3
	for seed in ${SEED:-$(seq 1 "${SEEDS:-12}")}; do
		d=$BATS_TEST_TMPDIR/g$seed
		makes "$d" "$seed"
		thin_lvm "$d"/pv*.img >"$d.table"
		while read -r kind name _ _ sum _; do
			case $kind in
			thin) got=$(thin_materialize -q "$d" "$name" - | hash)
				[ "$got" = "$(thin_materialize -q "$d.table" "$name" - | hash)" ] ;;
			*) continue ;;
			esac
			[ "$got" = "$sum" ] || { echo "seed $seed: $name"; return 1; }
		done <"$d/oracle"
		read -r _ old _ < <(grep ^old "$d/oracle")
		! thin_lvm --list-texts "$d" | grep -q "seqno $old " || thin_lvm --seqno "$old" "$d" | grep -q ^removed:
		rm -rf "$d" "$d.table"
	done
}

@test "random groups: with a disk missing, what lies elsewhere is whole and the rest is refused" {
	need python3
	for seed in ${SEED:-$(seq 101 "$((100 + ${SEEDS:-12}))")}; do
		d=$BATS_TEST_TMPDIR/g$seed
		makes "$d" "$seed"
		[ -e "$d/pv1.img" ] || continue
		rm "$d/pv1.img"
		thin_lvm -q "$d"/pv*.img >"$d.table" 2>"$d.err" || continue # its text was there alone
		while read -r kind name _ _ sum pvs; do
			[ "$kind" = thin ] || continue
			got=$(thin_materialize -q "$d.table" "$name" - 2>/dev/null | hash)
			case $pvs in
			*pv1.img*) ;; # whole only where it maps nothing there
			*) [ "$got" = "$sum" ] || { echo "seed $seed: $name"; return 1; } ;;
			esac
		done <"$d/oracle"
		rm -rf "$d" "$d.table"
	done
}

@test "no image was written" {
	sha256sum --quiet -c before
}
