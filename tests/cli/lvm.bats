#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Pools where they live: LVM's disks and images.  The scenarios of tests/fixtures-lvm were made by LVM
# and hashed by the kernel; random groups are made by tests/lvm/vg.py.

bats_require_minimum_version 1.5.0
load needs

# The size and times of every image; the contents of those that are not sparse and huge.
sums() {
	stat -c '%n %s %y %z' -- */pv*.img
	sha256sum -- lvm-ring*/pv*.img lvm-repaired-*/pv*.img lvm-exported/pv*.img
}

setup_file() {
	export FIX=$abs_top_srcdir/tests/fixtures-lvm DIR=$BATS_FILE_TMPDIR
	need zstd
	cd "$DIR"
	for f in "$FIX"/*.tar.zst; do
		zstd -qdc --long=27 "$f" | tar -xSf -
	done
	sums >before
	for s in */; do
		thin_lvm -q "$s"pv*.img >"${s%/}.table"
	done
}

setup() {
	need zstd
	cd "$DIR" || return 1
	mkdir -p "$BATS_TEST_TMPDIR"
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
		got=$(thin_materialize "$s" "$name" - 2>/dev/null | hash)
		[ "$got" = "$sum" ] || { echo "$s: $name: $got, the kernel: $sum"; return 1; }
	done < <(oracle thin)
	for s in lvm-multi:vg:s3 lvm-ring:new.vg_1+a-b:.hidden; do
		IFS=: read -r s vg name <<<"$s"
		thin_materialize --map "$s" "$name" >map 2>/dev/null
		for way in "$vg/$name" "/dev/$vg/$name"; do
			thin_materialize --map "$s" "$way" 2>/dev/null | cmp - map
		done
		run thin_materialize --map "$s" "other/$name"
		[ "$status" -ne 0 ]
	done
	[ "$(thin_check --pool vg/pool2 lvm-multi)" = "$(thin_check --pool pool2 lvm-multi)" ]
	run --separate-stderr thin_check lvm-multi
	[ "$status" -eq 64 ] && [[ "$stderr" == *"has 2 pools: --pool NAME says which: pool, pool2"* ]]
}

@test "POOL is a disk: the plugin serves every thin volume with the kernel's hash" {
	need_plugin
	need nbdcopy
	# one server a pool, which shows its volumes under their names
	for s in $(scenarios); do
		for pool in $(sed -n 's/^\([^:]*\): .* thin-pool .*/\1/p' "$s.table"); do
			sed -n "s,^\\([^:]*\\): .* thin $pool .*,\\1,p" "$s.table" >names
			[ -s names ] && grep -qFwf <(sed 's/^/thin /' names) "$s/oracle" || continue
			nbd -r "$PLUGIN" pool="$s.table" pool-name="$pool" --run '
				while read -r n; do
					nbdcopy "nbd+unix:///$n?socket=$unixsocket" - 2>/dev/null | sha256sum | sed "s,-,$n,"
				done <names' >got
			while read -r _ name _ _ _ sum; do
				grep -qxF "$name" names || continue
				grep -qxF "$sum  $name" got || { echo "$s: $name: $(cat got), the kernel: $sum"; return 1; }
				echo "$s $name" >>served
			done < <(grep '^thin ' "$s/oracle")
		done
	done
	[ "$(wc -l <served)" -eq "$(oracle thin | wc -l)" ]
	read -r s name _ _ _ sum < <(oracle thin | grep ^lvm-4kn-whole)
	[ "$(nbd -r "$PLUGIN" pool="$s/pv0.img" device="$name" --run 'nbdcopy "$uri" -' | hash)" = "$sum" ]
}

@test "what cannot be followed is refused, and nothing of it is printed as if it were content" {
	while read -r s name _; do
		run --separate-stderr thin_materialize "$s.table" "$name" "$BATS_TEST_TMPDIR/out"
		[ "$status" -ne 0 ] && [ ! -e "$BATS_TEST_TMPDIR/out" ] || { echo "$s: $name: $status $stderr"; return 1; }
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

@test "--list says which disk is cut off, and whose extents lie behind its end" {
	run -0 thin_lvm --list lvm-damaged-truncated
	[[ "$output" == *"PV pv2 "*"79MiB, CUT OFF"* && "$output" != *"PV pv0 "*"87MiB, CUT OFF"* ]]
	[[ "$output" == *"pool pool "*"PARTLY READABLE"* && "$output" == *"pool pool2 8MiB, "*"metadata 2.1% full"$'\n'* ]]
	[[ "$output" == *"[pool_tdata] 45MiB, PARTLY READABLE: 3MiB beyond the end"* && "$output" == *"linear lc 5MiB"$'\n'* ]]
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
	while read -r s pool _ _ _ _ _ transaction _ _; do
		[ "$s" != lvm-empty ] || s=lvm-empty/pv2.img # two groups
		run --separate-stderr thin_check -q --pool "$pool" "$s"
		[ "$status" -eq 0 ] || { echo "$s: $pool: $status $stderr"; return 1; }
		[[ "$(thin_dump -q --pool "$pool" "$s" 2>/dev/null | head -1)" == *" transaction=\"$transaction\""* ]]
		thin_ls -q --pool "$pool" -o DEV,NAME,SIZE "$s" >/dev/null
	done < <(oracle pool)
}

@test "-q: thin_check and thin_dump do not let thin_lvm speak either" {
	for command in thin_check thin_dump thin_ls; do
		run -0 --separate-stderr $command --pool pool2 lvm-multi/pv0.img
		[[ "$stderr" == *"physical volume pv1 "*" is on none of the given disks"* ]]
		run -0 --separate-stderr $command -q --pool pool2 lvm-multi/pv0.img
		[ -z "$stderr" ]
	done
}

@test "--seqno: thin_check and thin_dump read the group by the text of that number" {
	[[ "$(thin_dump --pool pool2 --seqno 40 lvm-multi)" == *"<superblock "* ]]
	for command in thin_check thin_dump; do
		run --separate-stderr $command --pool pool2 --seqno 99 lvm-multi/pv0.img
		[ "$status" -eq 1 ] && [[ "$stderr" == *"no text of LVM with seqno 99 is left"* ]]
	done
}

@test "a disk without LVM, and LVM without a thin pool, are told" {
	run --separate-stderr thin_ls lvm-empty/pv0.img
	[ "$status" -eq 1 ] && [[ "$stderr" == *"it is in no group"* ]]
	run --separate-stderr thin_ls lvm-empty/pv1.img
	[ "$status" -eq 1 ] && [[ "$stderr" == *"has no thin pool"* ]]
	truncate -s 1M "$BATS_TEST_TMPDIR/disk"
	printf '\125\252' | dd of="$BATS_TEST_TMPDIR/disk" bs=1 seek=510 conv=notrunc status=none
	run --separate-stderr thin_lvm "$BATS_TEST_TMPDIR/disk"
	[ "$status" -eq 1 ] && [[ "$stderr" == *"no LVM label was found"* ]]
	run --separate-stderr thin_lvm lvm-multi/vg.txt
	[ "$status" -eq 1 ] && [[ "$stderr" == *"not a disk: 'thin_lvm --vg-backup $PWD/lvm-multi/vg.txt PV...' reads"* ]]
	mkdir "$BATS_TEST_TMPDIR/folder" && cp lvm-multi/oracle lvm-multi/story "$BATS_TEST_TMPDIR/folder"
	run --separate-stderr thin_lvm "$BATS_TEST_TMPDIR/folder"
	[ "$status" -eq 1 ] && [[ "$stderr" == *"/folder: none of 2 files has an LVM label"* ]]
	for o in "--vg none" "--seqno 999"; do
		run --separate-stderr thin_lvm $o lvm-multi
		[ "$status" -eq 1 ] && [[ "$stderr" == *" there "* ]]
	done
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
	[[ "$output" == *"# r1: raid1 has legs 0 to 1, but no leg 7"* ]]
	run -0 thin_lvm --list --leg 0 lvm-other
	[[ "$output" == *"  raid1 r1 6MiB"$'\n'* && "$output" == *"pool rpool 10MiB"*"data 16.9% full"* ]]
	run -0 thin_lvm --check --leg 1 lvm-other
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
	for seed in ${SEED:-$(seq 1 "${SEEDS:-6}")}; do
		d=$BATS_TEST_TMPDIR/g$seed
		makes "$d" "$seed"
		thin_lvm "$d"/pv*.img >"$d.table"
		while read -r kind name _ sum other _; do
			case $kind in
			thin) got=$(thin_materialize -q "$d" "$name" - | hash)
				sum=$other
				[ "$got" = "$(thin_materialize -q "$d.table" "$name" - | hash)" ] ;;
			lv) got=$(thin_materialize -q "$d" "$name" - | hash) ;;
			*) continue ;;
			esac
			[ "$got" = "$sum" ] || { echo "seed $seed: $name"; return 1; }
		done <"$d/oracle"
		read -r _ old _ sum < <(grep ^old "$d/oracle")
		! thin_lvm --list-texts "$d" | grep -q "seqno $old " ||
			[ "$(thin_materialize -q --seqno "$old" "$d" removed - | hash)" = "$sum" ] || { echo "seed $seed: removed"; return 1; }
		rm -rf "$d" "$d.table"
	done
}

@test "a volume beside the pool is written as an image, without the pool" {
	while read -r s name _ sum; do
		[ "$(thin_materialize -q "$s" "$name" - | hash)" = "$sum" ] || { echo "$s: $name"; return 1; }
		[ "$(thin_materialize -q "$s.table" "$name" - | hash)" = "$sum" ] || { echo "$s.table: $name"; return 1; }
	done < <(oracle lv)
	while read -r s name _; do
		[ "$name" = nothing ] && continue # of type zero: its zeros are what the kernel reads
		run --separate-stderr thin_materialize "$s" "$name" "$BATS_TEST_TMPDIR/out"
		[ "$status" -eq 1 ] && [ ! -e "$BATS_TEST_TMPDIR/out" ] || { echo "$s: $name: $status $stderr"; return 1; }
	done < <(oracle hardlv)
	for o in --map --metadata-snap --origin=/dev/null --data-dev=/dev/null; do
		[ $o = --map ] && out= || out=$BATS_TEST_TMPDIR/out
		run --separate-stderr thin_materialize $o lvm-multi la $out
		[ "$status" -eq 64 ] && [[ "$stderr" == *"'la' is not a thin device, so $(echo $o | sed 's/=.*//') cannot be used"* ]] || {
			echo "$o: $status $stderr"
			return 1
		}
	done
	run --separate-stderr thin_materialize --since t1 lvm-multi la "$BATS_TEST_TMPDIR/out"
	[ "$status" -eq 64 ] && [[ "$stderr" == *"'la' is not a thin device"* ]]
	run --separate-stderr thin_materialize lvm-multi nothing "$BATS_TEST_TMPDIR/out"
	[ "$status" -eq 1 ] && [[ "$stderr" == *"no device is called 'nothing': lvm-multi has 2 pools: --pool NAME says which: pool, pool2"* ]]
	thin_materialize -q lvm-multi vg/la "$BATS_TEST_TMPDIR/la"
	thin_materialize -q --format qcow2 lvm-multi /dev/vg/la "$BATS_TEST_TMPDIR/la.qcow2"
	cd "$BATS_TEST_TMPDIR" || return 1
	echo "la: 0 $(($(stat -c %s la) / 512)) linear la 0" >one # a table without a pool
	thin_materialize one la copy && cmp la copy
	command -v qemu-img >/dev/null || return 0
	qemu-img compare -q la la.qcow2
}

@test "a thin volume that was removed is read by an older text and an older tree of the pool" {
	s=lvm-repaired-older
	[ -d $s ]
	run --separate-stderr thin_materialize $s deleted "$BATS_TEST_TMPDIR/out"
	[ "$status" -eq 1 ] && [[ "$stderr" == *"LVM's text has this volume"*"thin_repair --list-roots"*"hold their data"* ]]
	# the newest tree with as many devices, of which the removed one is one
	truncate -s 4M "$BATS_TEST_TMPDIR/older"
	found=
	for root in $(thin_repair --list-roots -i $s | awk '/^mapping root/ { sub(":", "", $3); print $3 }' | tac); do
		thin_repair -q --mapping-root "$root" -i $s -o "$BATS_TEST_TMPDIR/older" || continue
		! thin_dump -q --dev-id 4 "$BATS_TEST_TMPDIR/older" >"$BATS_TEST_TMPDIR/xml" 2>/dev/null || { found=$root && break; }
	done
	[ -n "$found" ] && grep -q mapped_blocks=.10 "$BATS_TEST_TMPDIR/xml"
	thin_lvm -q $s | sed "s, thin-pool pool_tmeta , thin-pool $BATS_TEST_TMPDIR/older ," >"$BATS_TEST_TMPDIR/table"
	[ "$(thin_materialize -q "$BATS_TEST_TMPDIR/table" deleted - | wc -c)" = $((4 << 20)) ]
	# what was not written to since then reads as ever
	[ "$(thin_materialize -q "$BATS_TEST_TMPDIR/table" t1 - | hash)" = "$(sed -n 's/^thin t1 .* //p' $s/oracle)" ]
}

# edited PYTHON: the text of lvm-exported, changed by statements on s, as a backup
edited() {
	python3 - "$1" >"$BATS_TEST_TMPDIR/vg.txt" <<-'PY' 3<lvm-exported/vg.txt
	import os, re, sys
	s = os.fdopen(3).read()
	scope = {"s": s, "re": re}
	exec(sys.argv[1], scope)
	print(scope["s"])
	PY
}

@test "a group of other hosts is told, an interrupted pvmove is followed, historical volumes and tags are passed over" {
	need python3
	sum=$(sed -n 's/^lv plain .* //p' lvm-exported/oracle)
	edited "$(cat <<-'PY'
	s = s.replace('status = ["', 'status = ["CLUSTERED", "', 1).replace("max_lv = 0", 'max_lv = 0\nsystem_id = "node 7"\ntags = ["a b", "x#{y"]', 1)
	i = s.index("\t\tplain {")
	at = re.search(r'"pv0", (\d+)', s[i:])
	s = s[:i] + s[i:].replace(at.group(0), '"pvmove0", 0', 1).replace('"VISIBLE"', '"VISIBLE", "LOCKED"', 1)
	move = 'pvmove0 { id = "%s" status = ["READ", "WRITE", "PVMOVE", "LOCKED"] flags = [] segment_count = 1 segment1 {\n' % "-".join(["aaaaaa"] + ["aaaa"] * 5 + ["aaaaaa"])
	move += 'start_extent = 0 extent_count = 4 type = "mirror" mirror_count = 2 extents_moved = 2 mirrors = ["pv0", %s, "pv0", 60] } }\n' % at.group(1)
	s = s[:i] + move + s[i:]
	k = s.rindex("}")
	s = s[:k] + 'historical_logical_volumes { old { id = "x" name = "old" creation_time = 1 removal_time = 2 descendants = ["s1"] } }\n' + s[k:]
	PY
	)"
	run -0 --separate-stderr thin_lvm --list --vg-backup "$BATS_TEST_TMPDIR/vg.txt" lvm-exported
	[[ "${lines[0]}" == *", owned by host node 7, shared by hosts with locks of clvm" ]]
	thin_lvm --list --format json --vg-backup "$BATS_TEST_TMPDIR/vg.txt" lvm-exported >"$BATS_TEST_TMPDIR/json"
	[ "$(jq -c '.vgs[] | [.system_id, .lock_type]' "$BATS_TEST_TMPDIR/json")" = '["node 7","clvm"]' ]
	[ "$(thin_lvm --list --format json lvm-exported | jq -c '.vgs[] | [.system_id, .lock_type]')" = '[null,null]' ]
	[[ "$output" == *"mirror [pvmove0] 4MiB, pvmove is not finished"* && "$output" == *"linear plain 4MiB, read-only"* ]]
	thin_lvm -q --vg-backup "$BATS_TEST_TMPDIR/vg.txt" lvm-exported >"$BATS_TEST_TMPDIR/table"
	[ "$(thin_materialize -q "$BATS_TEST_TMPDIR/table" plain - | hash)" = "$sum" ]
	thin_lvm -q --leg 1 --vg-backup "$BATS_TEST_TMPDIR/vg.txt" lvm-exported >"$BATS_TEST_TMPDIR/table"
	[ "$(thin_materialize -q "$BATS_TEST_TMPDIR/table" plain - | hash)" != "$sum" ]
}

@test "two groups of one name are told apart by the begin of their ids" {
	mkdir -p "$BATS_TEST_TMPDIR/two"
	ln -s "$DIR/lvm-exported/pv0.img" "$BATS_TEST_TMPDIR/two/a.img"
	ln -s "$DIR/lvm-vdo/pv0.img" "$BATS_TEST_TMPDIR/two/b.img"
	run --separate-stderr thin_ls "$BATS_TEST_TMPDIR/two"
	[ "$status" -eq 64 ] && [[ "$stderr" == *"2 pools: --pool NAME says which: vg@"*"/pool, vg@"*"/pool" ]]
	run --separate-stderr thin_materialize "$BATS_TEST_TMPDIR/two" t1 "$BATS_TEST_TMPDIR/out"
	[ "$status" -eq 64 ] && [[ "$stderr" == *"'t1' is in several volume groups"* ]]
	for s in lvm-exported lvm-vdo; do
		id=$(sed -n 's/^\tid = "\(......\).*/\1/p' $s/vg.txt)
		[ "$(thin_materialize -q "$BATS_TEST_TMPDIR/two" "vg@$id/t1" - | hash)" = "$(sed -n 's/^thin t1 .* //p' $s/oracle)" ]
		[ "$(thin_materialize -q "$BATS_TEST_TMPDIR/two" "vg@$id/plain" - | hash)" = "$(sed -n 's/^lv plain .* //p' $s/oracle)" ]
		[ "$(thin_ls --no-headers -o NAME --pool "vg@$id/pool" "$BATS_TEST_TMPDIR/two" | wc -l)" = "$(grep -c ^thin $s/oracle)" ]
	done
}

@test "random groups: with a disk missing, what lies elsewhere is whole and the rest is refused" {
	need python3
	for seed in ${SEED:-$(seq 101 "$((100 + ${SEEDS:-6}))")}; do
		d=$BATS_TEST_TMPDIR/g$seed
		makes "$d" "$seed"
		[ -e "$d/pv1.img" ] || continue
		rm "$d/pv1.img"
		thin_lvm -q "$d"/pv*.img >"$d.table" 2>"$d.err" || continue # its text was there alone
		while read -r kind name _ _ sum pvs; do
			[ "$kind" = thin ] || continue
			got=$(thin_materialize -q "$d.table" "$name" - 2>/dev/null | hash)
			case $pvs in
			*pv1.img*) ;; # complete only where the volume has nothing on the missing disk
			*) [ "$got" = "$sum" ] || { echo "seed $seed: $name"; return 1; } ;;
			esac
		done <"$d/oracle"
		rm -rf "$d" "$d.table"
	done
}

@test "thin_lvm --check: what LVM and the pools do not agree upon, and the command that mends it" {
	while IFS='|' read -r s code words; do
		run thin_lvm --check "$s"
		[ "$status" -eq "$code" ] && [[ "$output" == *$words* ]] || { echo "$s: $status: $output"; return 1; }
	done <<-'EOT'
	lvm-multi|0|
	lvm-extorigin|0|
	lvm-repaired-tid-ahead|1|fault: vg/pool: the pool is at transaction 4, the text at 3
	lvm-repaired-tid-ahead|1|set_transaction_id 4 3
	lvm-repaired-tid-ahead|1|no LV has device 4 (15 blocks mapped): it was created in transaction 3, after this text
	lvm-repaired-tid-behind|1|warning: vg/pool: the text is at transaction 4, the pool at 3
	lvm-repaired-tid-behind|1|fault: vg/late: the pool has no device 4: transaction 3 was to create it
	lvm-repaired-tid-pending|1|which is still pending
	lvm-repaired-older|1|fault: vg/deleted: the pool has no device 4, which was created in transaction 3 of 7: it was deleted
	lvm-repaired-older|1|the text of seqno 19 calls it orphan
	lvm-damaged-oldtext|0|warning: vg/pv1: metadata area 1 on
	lvm-damaged-oldtext|0|vgck --updatemetadata vg
	lvm-damaged-mda0|0|cannot be used (damaged header)
	lvm-damaged-precommit|0|was written and not committed
	lvm-damaged-missing|1|fault: vg/pv2: physical volume pv2
	lvm-damaged-truncated|1|ends after 44390153 bytes of physical volume pv2
	EOT
	need jq
	for s in $(scenarios); do
		thin_lvm -q --check -f json "$s"/pv*.img >json || [ $? -eq 1 ]
		jq -e '.findings | all(.severity and .kind and .vg and .text)' json >/dev/null || { echo "$s"; return 1; }
	done
}

@test "thin_lvm --check: a changed chunk size, a smaller volume, a writable origin and a second name are found" {
	t=$BATS_TEST_TMPDIR
	sed 's/chunk_size = 128/chunk_size = 256/' lvm-multi/vg.txt >"$t/chunk"
	run -1 thin_lvm --check --vg-backup "$t/chunk" lvm-multi
	[[ "$output" == *"fault: vg/pool: the text says chunks of 256 sectors, the pool has blocks of 128"* ]]
	awk '/^\t\tpool {/ { p = 1 } p && /extent_count = 45/ { sub("45", "20"); p = 0 } 1' lvm-multi/vg.txt >"$t/small"
	run -1 thin_lvm --check --vg-backup "$t/small" lvm-multi
	[[ "$output" == *"fault: vg/pool: the pool has 720 data blocks, its volume has room for 320"* ]]
	sed 's/device_id = 2$/device_id = 1/' lvm-multi/vg.txt >"$t/twice"
	run -1 thin_lvm --check --vg-backup "$t/twice" lvm-multi
	[[ "$output" == *"two LVs have device 1"* && "$output" == *"no LV has device 2 "* ]]
	sed 's/status = \["READ", "VISIBLE"\]/status = ["READ", "WRITE", "VISIBLE"]/' lvm-extorigin/vg.txt >"$t/rw"
	run -0 thin_lvm --check --vg-backup "$t/rw" lvm-extorigin
	[[ "$output" == *"its external origin lin is writable"*"lvchange -pr "*"/lin"* ]]
}

@test "thin_message keeps away from devices and transactions of LVM's pool without --force" {
	cp --sparse=always lvm-repaired-older/pv0.img "$BATS_TEST_TMPDIR/pv0.img"
	cd "$BATS_TEST_TMPDIR"
	thin_lvm pv0.img >table
	for pool in pv0.img table; do
		for m in 'create_thin 9' 'create_snap 9 1' 'delete 1' 'set_transaction_id 7 4'; do
			run --separate-stderr thin_message $pool "$m"
			[ "$status" -eq 1 ] && [[ "$stderr" == *"pool pool belongs to LVM"*"--force"* ]] || { echo "$m: $stderr"; return 1; }
		done
	done
	cmp pv0.img "$DIR/lvm-repaired-older/pv0.img"
	thin_message pv0.img reserve_metadata_snap release_metadata_snap
	thin_message --force pv0.img 'set_transaction_id 7 4' 'delete 5' 'delete 6'
	run thin_lvm --check pv0.img
	[[ "$output" != *"transaction 7"* && "$output" != *"no LV has device"* ]]
	thin_check -q pv0.img
	# nothing but the pool's metadata was written
	thin_lvm pv0.img | cmp - table
}

@test "thin_apply writes into a thin volume of a disk: it reads as the image, and the others as before" {
	cp --sparse=always lvm-repaired-older/pv0.img "$BATS_TEST_TMPDIR/pv0.img"
	cd "$BATS_TEST_TMPDIR"
	local names first name
	names=$(thin_ls --no-headers -o NAME pv0.img | tr -d ' ')
	first=${names%%$'\n'*}
	for name in $names; do thin_materialize -q pv0.img "$name" - | hash >"$name.before"; done
	thin_lvm pv0.img >table
	# as a disk, and with the data device by its name in LVM
	for more in '' '--data-dev pool_tdata'; do
		thin_materialize -qf pv0.img "$first" image
		head -c 300000 /dev/urandom | dd of=image bs=64K seek=1 conv=notrunc status=none
		thin_apply $more -O raw -i image pv0.img "$first"
		thin_materialize -q pv0.img "$first" - | cmp - image
	done
	for name in $names; do
		[ "$name" = "$first" ] || [ "$(thin_materialize -q pv0.img "$name" - | hash)" = "$(<"$name.before")" ]
	done
	thin_check -q pv0.img
	thin_lvm pv0.img | cmp - table # LVM's text is not changed
	run --separate-stderr thin_apply -O raw -i image pv0.img nobody
	[ "$status" -ne 0 ] && [[ "$stderr" == *nobody* ]]
}

@test "a disk in standard input, a pattern and --pv are the same as the disks by name" {
	want=$(thin_ls --pool pool2 -o DEV,NAME,SIZE lvm-multi)
	[ "$(thin_ls --pool pool2 -o DEV,NAME,SIZE lvm-multi/pv0.img --pv lvm-multi/pv1.img --pv lvm-multi/pv2.img)" = "$want" ]
	[ "$(thin_ls --pool pool2 -o DEV,NAME,SIZE 'lvm-multi/pv?.img')" = "$want" ]
	[ "$(thin_ls --pool pool2 -o DEV,NAME,SIZE lvm-multi/pv0.img --pv 'lvm-multi/pv[12].img')" = "$want" ]
	[ "$(thin_ls -o DEV,NAME - <lvm-exported/pv0.img)" = "$(thin_ls -o DEV,NAME lvm-exported/pv0.img)" ]
	thin_materialize lvm-exported/pv0.img "$(thin_ls --no-headers -o NAME lvm-exported | head -1 | tr -d ' ')" "$BATS_TEST_TMPDIR/o"
}

@test "no image was written" {
	sums | cmp - before
}
