#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Does README.md (or DOC, several files) say the truth?  Runs the commands of its console blocks (of a manual page
# those between .EX and .EE) in order, in the pool that ./quickstart makes, and compares what they print with what
# stands there.
#   readme.sh            as a test (TAP)
#   readme.sh --write    puts what they print into the file
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

QUICKSTART_SAMPLE=$work/made BUILD=$build "$top/quickstart" --sample >"$work/quickstart.log" 2>&1 || {
	cat "$work/quickstart.log"
	echo "not ok 1 - quickstart makes its sample"
	echo 1..1
	exit 0
}
ln -s "$build" "$work/build" # where it lies beside the sample of quickstart

# What stands in the file (standard input) as plain text, and plain text as it should stand there
plain() { if [ $page = yes ]; then sed 's/^\\&//; s/\\-/-/g; s/\\e/\\/g'; else cat; fi; }
marked() { if [ $page = yes ]; then sed 's/\\/\\e/g; s/-/\\-/g; s/^[.'"']"'/\\\&&/'; else cat; fi; }

# As FILE should be, to new; the number of commands to count.  In the folder sample.
play() {
	count=0
	in=text
	while IFS= read -r line; do
		case $in:$line in
		text:'```console'* | text:.EX)
			in=block
			[ "$line" = '```console nbd' ] && [ $nbd = no ] && in=skip
			printf '%s\n' "$line" >>"$work/new"
			;;
		block:'$ '*)
			printf '%s\n' "$line" >>"$work/new"
			count=$((count + 1))
			rm -f "$work/socket" # the folder that nbdkit makes for -U - would stay in /tmp
			sh -c "$(printf '%s\n' "${line#??}" | plain | sed "s,nbdkit -U - ,nbdkit -U '$work/socket' ,")" >"$work/out" 2>&1 </dev/null
			marked <"$work/out" >>"$work/new"
			# thin_delta, as callers know it, does not end its last line
			[ -z "$(tail -c 1 "$work/new")" ] || echo >>"$work/new"
			;;
		block:'```' | skip:'```' | block:.EE)
			in=text
			printf '%s\n' "$line" >>"$work/new"
			;;
		block:*) ;; # old output
		*) printf '%s\n' "$line" >>"$work/new" ;;
		esac
	done <"$top/$1"
}

n=0
for file in $doc; do
	page=no least=10
	case $file in
	*.[1578]) page=yes least=1 ;;
	doc/pictures/*) least=1 ;;
	esac
	rm -rf "$work/sample" && cp -a "$work/made" "$work/sample" && cd "$work/sample" || exit 99
	: >"$work/new"
	play "$file"
	if [ "${1:-}" = --write ]; then
		cp "$work/new" "$top/$file"
		continue
	fi
	n=$((n + 2))
	if diff -u "$top/$file" "$work/new" >"$work/diff"; then
		echo "ok $((n - 1)) - $file: the commands print what it shows"
	else
		sed 's/^/# /' "$work/diff"
		echo "not ok $((n - 1)) - $file: the commands print what it shows"
	fi
	if [ "$count" -ge $least ]; then
		echo "ok $n - $file shows commands"
	else
		echo "not ok $n - $file shows commands"
	fi
done
[ "${1:-}" = --write ] || echo "1..$n"
