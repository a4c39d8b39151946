#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Does README.md (or DOC) say the truth?  Runs the commands of its console blocks in order, in the pool that
# ./quickstart makes, and compares what they print with what stands there.
#   readme.sh            as a test (TAP)
#   readme.sh --write    puts what they print into README.md
set -u
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
build=${abs_top_builddir:-$top/build}
doc=${DOC:-README.md}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
PATH=$build/bin:$PATH

# Blocks marked "nbd" want nbdkit, our plugin and qemu.
nbd=yes
plugin=$build/nbdkit/nbdkit-thin-plugin.so
{ command -v nbdkit && command -v qemu-io && [ -f "$plugin" ]; } >/dev/null 2>&1 || nbd=no
case $(file -L "$plugin" 2>/dev/null; nm -D "$plugin" 2>/dev/null) in *__asan_init*) nbd=no ;; esac

QUICKSTART_SAMPLE=$work/sample BUILD=$build "$top/quickstart" --sample >"$work/quickstart.log" 2>&1 || {
	cat "$work/quickstart.log"
	echo "not ok 1 - quickstart makes its sample"
	echo 1..1
	exit 0
}
cd "$work/sample" || exit 99
ln -s "$build" "$work/build" # where it lies beside the sample of quickstart

: >"$work/new"
: >"$work/cmds"
in=text
while IFS= read -r line; do
	case $in:$line in
	text:'```console'*)
		in=block
		[ "$line" = '```console nbd' ] && [ $nbd = no ] && in=skip
		printf '%s\n' "$line" >>"$work/new"
		;;
	block:'$ '*)
		printf '%s\n' "$line" >>"$work/new"
		printf '%s\n' "${line#??}" >>"$work/cmds"
		sh -c "${line#??}" >>"$work/new" 2>&1 </dev/null
		# thin_delta, as callers know it, does not end its last line
		[ -z "$(tail -c 1 "$work/new")" ] || echo >>"$work/new"
		;;
	block:'```' | skip:'```')
		in=text
		printf '%s\n' "$line" >>"$work/new"
		;;
	block:*) ;; # old output
	*) printf '%s\n' "$line" >>"$work/new" ;;
	esac
done <"$top/$doc"

if [ "${1:-}" = --write ]; then
	cp "$work/new" "$top/$doc"
	exit 0
fi
echo 1..2
if diff -u "$top/$doc" "$work/new" >"$work/diff"; then
	echo "ok 1 - $doc: the commands print what it shows"
else
	sed 's/^/# /' "$work/diff"
	echo "not ok 1 - $doc: the commands print what it shows"
fi
if [ "$(wc -l <"$work/cmds")" -ge 10 ]; then
	echo "ok 2 - the README has a tour"
else
	echo "not ok 2 - the README has a tour"
fi
