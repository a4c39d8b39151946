#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Inputs that are made to cost time and memory, and what the commands need for them (tests/hostile).
set -u
: "${srcdir:=$(dirname "$0")/..}" "${abs_top_builddir:=.}"
. "$srcdir/tests/unsanitized.sh"

pool() { # DATA-BLOCKS: three devices; two share blocks 1000 to 1999, one maps a block twice
	cat <<-EOF
	<superblock uuid="" time="1" transaction="2" data_block_size="128" nr_data_blocks="$1">
	<device dev_id="0" mapped_blocks="1500" transaction="0" creation_time="0" snap_time="1">
	<range_mapping origin_begin="0" data_begin="500" length="1500" time="0"/></device>
	<device dev_id="1" mapped_blocks="1010" transaction="1" creation_time="1" snap_time="1">
	<range_mapping origin_begin="0" data_begin="1000" length="1000" time="0"/>
	<range_mapping origin_begin="5000" data_begin="$(($1 - 10))" length="10" time="1"/></device>
	<device dev_id="7" mapped_blocks="2" transaction="1" creation_time="1" snap_time="1">
	<single_mapping origin_block="0" data_block="0" time="1"/>
	<single_mapping origin_block="9" data_block="0" time="1"/></device>
	</superblock>
	EOF
}
list() { thin_ls --no-headers -o DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS "$1"; }
pool 4000 >"$work/xml" && thin_restore -q -i "$work/xml" -o "$work/few" --size 1M
pool 33554432 >"$work/xml" && thin_restore -q -i "$work/xml" -o "$work/many" --size 9M
list "$work/few" >"$work/few.ls"
list "$work/many" >"$work/many.ls"
if [ "$(wc -l <"$work/few.ls")" = 3 ] && cmp -s "$work/few.ls" "$work/many.ls"; then
	echo "ok 1 - thin_ls counts the same, however large the data device is for its metadata"
else
	echo "not ok 1 - thin_ls counts the same, however large the data device is for its metadata"
	sed 's/^/# /' "$work/few.ls" "$work/many.ls"
fi

pool 100000 >"$work/xml" && thin_restore -q -i "$work/xml" -o "$work/BASE" --size 1M && truncate -s 6553600000 "$work/DATA" ||
	exit 99
"$abs_top_builddir/tests/crowd" one 1000000 20 none 1 "$work/CROWD" >/dev/null || exit 99
plugin=$abs_top_builddir/nbdkit/nbdkit-thin-plugin.so
if [ -f "$plugin" ] && command -v nbdkit && command -v nbdinfo; then
	export PLUGIN="$plugin" TMPDIR="$work"
fi >/dev/null
PYTHONDONTWRITEBYTECODE=1 python3 "$srcdir/tests/hostile/hostile.py" "$work" "$@"
