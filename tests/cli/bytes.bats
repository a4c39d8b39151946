#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# --bytes: sizes as numbers of bytes, in all commands that show them in larger units.

bats_require_minimum_version 1.5.0
load needs

# A pool of some devices with a random block size, and a disk with LVM.
setup_file() {
	need zstd jq
	export DIR=$BATS_FILE_TMPDIR SEED=${SEED:-$RANDOM}
	echo "# SEED=$SEED" >&3
	RANDOM=$SEED
	cd "$DIR"
	export UNIT=$(((1 + RANDOM % 30) * 65536))
	truncate -s 1M meta && truncate -s $((UNIT * 3000)) data
	{
		echo "<superblock uuid=\"\" time=\"1\" transaction=\"9\" version=\"2\" data_block_size=\"$((UNIT / 512))\" nr_data_blocks=\"3000\">"
		for dev in 1 2 3; do
			echo "<device dev_id=\"$dev\" mapped_blocks=\"0\" transaction=\"$dev\" creation_time=\"0\" snap_time=\"1\">"
			echo "<range_mapping origin_begin=\"0\" data_begin=\"$((dev * 500))\" length=\"$((1 + RANDOM % 400))\" time=\"0\"/>"
			echo "<range_mapping origin_begin=\"700\" data_begin=\"2000\" length=\"$((1 + RANDOM % 400))\" time=\"0\"/></device>"
		done
		echo "</superblock>"
	} >xml
	thin_restore -i xml -o meta
	printf '%s\n' "pool: 0 $((UNIT / 512 * 3000)) thin-pool meta data $((UNIT / 512)) 0" "a: 0 9999 thin pool 1" "b: 0 1234567 thin pool 2" \
		"c: 0 8 thin pool 3" >pool
	zstd -qdc --long=27 "$abs_top_srcdir/tests/fixtures-lvm/lvm-4kn-whole.tar.zst" | tar -xSf - --strip-components=1
}

setup() {
	cd "$DIR" || return 1
}

words() { tr -s ' ' | sed 's/^ //; s/ $//'; }

@test "thin_ls --bytes: a size is the number that the field in bytes has, in the list and in the tree" {
	thin_ls --bytes --no-headers -o DEV,MAPPED,EXCLUSIVE,SHARED pool | words >shown
	thin_ls --no-headers -o DEV,MAPPED_BYTES,EXCLUSIVE_BYTES,SHARED_BYTES pool | words | diff - shown
	thin_ls --no-headers -o DEV,MAPPED,EXCLUSIVE,SHARED pool | words | grep -q iB
	[ "$(thin_ls --bytes --no-headers -o SIZE pool | words)" = "$(printf '%s\n' $((9999 * 512)) $((1234567 * 512)) 4096)" ]
	thin_ls --bytes --no-headers -o tree pool | words | sed 's/^`[-?] //; s/^\([0-9]*\) [abc] /\1 /; s/ [#+]*$//' | sort | diff - shown
	thin_ls -o tree pool | grep -q iB
	# headings stand over their columns
	[ "$(thin_ls --bytes -o tree pool | awk 'NR == 1 { at = index($0, "SHARED") + 6 } NR > 1 { print substr($0, at, 1) }' | sort -u)" = ' ' ]
}

@test "thin_ls --bytes: JSON, which has bytes, is the same" {
	thin_ls -o json pool >want
	thin_ls --bytes -o json pool | diff want -
}

@test "thin_info --bytes: the screen is the same but for its sizes, which are whole" {
	thin_info pool >people
	thin_info --bytes pool >bytes
	grep -q '[KMGT]iB' people
	! grep '[KMGT]iB' bytes
	diff <(sed 's/[0-9.]*[KMGT]*i*B\b/SIZE/g' people) <(sed 's/[0-9]*B\b/SIZE/g' bytes)
	used=$(thin_info --format json pool | jq '.data.used_blocks')
	grep -q "^ *$((used * UNIT))B in use, $(((3000 - used) * UNIT))B free$" bytes
	grep -q "blocks of ${UNIT}B$" bytes
}

@test "thin_lvm --list --bytes: sizes of volumes, chunks and extents" {
	thin_lvm --list pv0.img >people
	thin_lvm --list --bytes pv0.img >bytes
	! grep '[KMGT]iB' bytes
	grep -q 'extents of 4194304B$' bytes
	grep -q 'pool data-pool 46137344B, chunks of 65536B' bytes
	grep -q 'thin var 25165824B,' bytes
	diff <(sed 's/[0-9.]*[KMGT]*i*B\b/SIZE/g' people) <(sed 's/[0-9]*B\b/SIZE/g' bytes)
}

@test "thin_trim and thin_shrink --bytes: the messages" {
	used=$(thin_info --format json pool | jq '.data.used_blocks')
	run --separate-stderr thin_trim -n --bytes --metadata-dev pool
	[[ "$stderr" == *" data blocks are free: $(((3000 - used) * UNIT)) bytes in "* ]]
	run --separate-stderr thin_trim -n --metadata-dev pool
	[[ "$stderr" == *" MiB in "* ]]
	run --separate-stderr thin_shrink -n --bytes -i xml --nr-blocks 2000
	[ "$status" -eq 0 ]
	[[ "$stderr" =~ "of them ("([0-9]+)" bytes) would move" ]]
	[ $((BASH_REMATCH[1] % UNIT)) -eq 0 ]
	[ "${BASH_REMATCH[1]}" -gt 0 ]
}

@test "--bytes: each command that has it shows a larger unit without it, and none with it" {
	for command in $(cd "$abs_top_builddir/bin" && ls thin_*[a-z]); do
		[ -x "$abs_top_builddir/bin/$command" ] || continue
		case $command in
		*.*) continue ;;
		thin_lvm) set -- --list pv0.img ;;
		thin_trim) set -- -n --metadata-dev pool ;;
		thin_shrink) set -- -n -i xml --nr-blocks 2000 ;;
		*) set -- pool ;;
		esac
		if $command --list-options | grep -q '^--bytes'; then
			$command "$@" 2>&1 | grep -q '[0-9] *[KMGT]iB' || { echo "$command shows no size"; return 1; }
			! $command --bytes "$@" 2>&1 | grep '[0-9] *[KMGT]iB'
		fi
	done
}
