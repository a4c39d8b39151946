#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The tab key in the real shells; those that are not installed are skipped.

bats_require_minimum_version 1.5.0
load needs

load things

setup() {
	cd "$BATS_FILE_TMPDIR" || return 1
	cat >pools <<-'END'
		pool: 0 12800 thin-pool meta data 128 0
		other: 0 12800 thin-pool meta2 data2 128 0
		web: 0 1024 thin pool 1
		db: 0 1024 thin pool 2
	END
	need_terminal
	[ -d lvm-multi ] || ! command -v zstd >/dev/null || # two pools on three disks
		zstd -qdc "$abs_top_srcdir/tests/fixtures-lvm/lvm-multi.tar.zst" | tar -xSf -
}

# shown SHELL LINE...: what the shell shows after each line and the tab key, on one line each
shown() {
	local file=$abs_top_srcdir/completion/thin-pool-tools.$1
	[ "$1" != zsh ] || file=$abs_top_srcdir/completion/_thin-pool-tools
	timeout 120 python3 "$abs_top_srcdir/tests/press_tab" "$1" "$file" "${@:2}"
}

# expect LINE WORD...: all words are shown; !WORD: this one is not.  For tried, one shell takes all lines.
expect() {
	typed+=("$1")
	wanted+=("${*:2}")
}

# tried SHELL: the shell shows what was to be expected
tried() {
	local i w re are
	mapfile -t are < <(shown "$1" "${typed[@]}")
	[ "${#are[@]}" -eq "${#typed[@]}" ] || { echo "$1: ${#are[@]} of ${#typed[@]} lines"; return 1; }
	set -f
	for i in "${!typed[@]}"; do
		for w in ${wanted[i]}; do
			re="(^|[ =])${w#!}([ 	=]|\$)"
			if [[ "${are[i]}" =~ $re ]]; then [ "$w" = "${w#!}" ]; else [ "$w" != "${w#!}" ]; fi ||
				{ echo "$1: ${typed[i]}: $w: ${are[i]}"; return 1; }
		done
	done
	set +f
}

all_of() {
	local typed=() wanted=()
	need "$1"
	need_plain "the shells, which are what takes the time here, are not sanitized"
	expect 'thin_check --aut' --auto-repair
	expect 'thin_check --format ' text json
	expect 'thin_dump -f h' human_readable
	expect 'thin_materialize --reflink=al' '(--reflink=)?always'
	expect 'thin_dump meta --dev-id ' 1 2 3
	expect 'thin_materialize meta ' 1 2 3
	expect 'thin_materialize xml ' 1 2 3
	expect 'thin_materialize pools w' web
	expect 'thin_ls pools --pool o' other
	expect 'thin_message meta del' delete
	expect 'thin_check poo' pools
	expect 'thin_restore -i xm' xml
	expect 'thin_ls -o js' json
	expect 'thin_ls -o ' DEV MAPPED_BLOCKS HIGHEST_BYTE POOL !LVM !BLOCKS
	expect 'thin_ls --sort M' MAPPED MAPPED_SECTORS
	expect 'thin_delta meta --snap1 ' 1 2 3
	[ ! -d lvm-multi ] || expect_lvm
	tried "$1"
}

# what LVM calls it, with and without the volume group
expect_lvm() {
	expect 'thin_materialize lvm-multi ' t1 t2 s1 u1
	expect 'thin_materialize lvm-multi vg/s' vg/s1 vg/s2 vg/s3
	expect 'thin_ls lvm-multi --pool p' pool pool2
	expect 'thin_check lvm-multi --pool vg/' vg/pool vg/pool2
}

@test "bash completes options, their values, device ids, names of a table, and files" {
	all_of bash
}

@test "zsh completes options, their values, device ids, names of a table, and files" {
	all_of zsh
}

@test "fish completes options, their values, device ids, names of a table, and files" {
	all_of fish
}

@test "completion writes nothing to the pool and says nothing on a broken one" {
	cp meta before
	printf x | dd of=broken bs=1 seek=5000 conv=notrunc status=none
	need bash
	out=$(shown bash 'thin_dump broken --dev-id ')
	[[ "$out" == *"thin_dump broken --dev-id"* ]]
	[[ "$out" != *thin_ls:* ]] || { echo "$out"; return 1; }
	cmp meta before
}

@test "bash offers every option of every command's help, and each shell knows every command" {
	# shellcheck disable=SC1090
	source "$abs_top_srcdir/completion/thin-pool-tools.bash"
	local f texts=()
	for f in thin-pool-tools.bash thin-pool-tools.fish _thin-pool-tools; do
		texts+=("$(<"$abs_top_srcdir/completion/$f")")
	done
	for c in $(cd "$abs_top_builddir/bin" && ls thin_*); do
		[[ $c != *.* ]] || continue
		COMP_WORDS=("$c" --)
		COMP_CWORD=1
		_thin_pool_tools "$c"
		for o in $("$c" --help | grep -oE '^  +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -- '--[a-z][a-z0-9-]*'); do
			[[ " ${COMPREPLY[*]} " == *" $o "* ]] || { echo "$c: $o not completed"; return 1; }
		done
		complete -p "$c" >/dev/null
		for f in "${texts[@]}"; do
			[[ "$f" =~ (^|[^a-z_])$c([^a-z_]|$) ]] || { echo "$c is not in ${f:0:200}"; return 1; }
		done
	done
}
