#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What reads the source without running it: shellcheck, codespell, cppcheck, gcc -fanalyzer, clang-tidy.  `make static`
# in a build folder.  A finding that is not in tests/static.known, where each has its reason, is a failure; a
# tool that is absent is passed over.  Some minutes; never part of `make check`: other versions find other things.
#
#	tests/static.sh [shellcheck|codespell|cppcheck|analyzer|tidy]...
set -u
: "${srcdir:=$(dirname "$0")/..}"
build=$PWD
cd "$srcdir" || exit 99
[ -f "$build/config.h" ] || build=$PWD/build
work=$(mktemp -d "${TMPDIR:-/tmp}/static.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM
FLAGS="-std=gnu17 -Ilib -I$build -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DHAVE_CONFIG_H"
CHECKS='-*,clang-analyzer-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions'
CHECKS=$CHECKS,-bugprone-reserved-identifier,-bugprone-implicit-widening-of-multiplication-result
CHECKS=$CHECKS,-bugprone-assignment-in-if-condition,-bugprone-macro-parentheses,-bugprone-suspicious-string-compare
CHECKS=$CHECKS,-bugprone-misplaced-widening-cast,-bugprone-sizeof-expression,'-clang-analyzer-security.insecureAPI.*'

sources() { find lib bin nbdkit -name '*.c' | sort; }
scripts() {
	find . -path ./build -prune -o -path ./.git -prune -o -type f ! -name '*.c' -print0 |
		xargs -0 grep -lE '^#!/bin/(ba)?sh' | grep -v -e '^./build' -e '/configure' -e autom4te -e '^./b/' | sort
}
texts() {
	find lib bin nbdkit tests/*.sh tests/cli tests/unit tests/vm tests/oracle tests/faults tests/hostile man doc fuzz/*.c \
		./*.md quickstart completion initramfs -type f ! -name '*.html' ! -name 'recipes.awk' ! -name '*.o' | sort
}

# Each prints FILE: KIND: WORDS
run_shellcheck() { scripts | xargs shellcheck -S warning -f gcc | sed -E 's/^([^:]*):[0-9]*:[0-9]*: [a-z]*: (.*) \[(SC[0-9]*)\]$/\1: \3: \2/; s,^\./,,'; }
run_codespell() { texts | xargs codespell -q 3 | sed -E 's/^([^:]*):[0-9]*: ([^ ]*) ==> (.*)/\1: \2: \3/; s,^\./,,'; }
run_cppcheck() {
	cppcheck -q --std=c11 --enable=warning,portability,performance --inline-suppr -Ilib -D_GNU_SOURCE \
		--suppress=missingIncludeSystem --template='{file}: {id}: line {line}: {message}' \
		--template-location= lib bin nbdkit 2>&1 | grep -E '^[^ ]+: [a-zA-Z]+: '
}
run_analyzer() {
	sources | while read -r f; do
		# shellcheck disable=SC2086
		gcc $FLAGS -O1 -fanalyzer -c -o /dev/null "$f" 2>&1 |
			sed -nE 's/^([^: ]*):([0-9]*):[0-9]*: warning: (.*) \[-W([a-z-]*)\]$/\1: \4: line \2: \3/p'
	done | sort -u
}
run_tidy() {
	sources | while read -r f; do
		# shellcheck disable=SC2086
		clang-tidy --quiet "--checks=$CHECKS" "$f" -- $FLAGS 2>/dev/null |
			sed -nE "s,^$PWD/,,; s/^([^: ]*):([0-9]*):[0-9]*: warning: (.*) \[([a-zA-Z.-]*)\]$/\1: \4: line \2: \3/p"
	done | sort -u
}

status=0
[ $# -gt 0 ] || set -- shellcheck codespell cppcheck analyzer tidy
echo "1..$#"
n=0
for name in "$@"; do
	n=$((n + 1))
	case $name in analyzer) tool=gcc ;; tidy) tool=clang-tidy ;; *) tool=$name ;; esac
	command -v "$tool" >/dev/null || { echo "ok $n # SKIP $tool is not installed" && continue; }
	# TOOL FILE KIND  REASON; a file or kind may be a pattern
	sed -n "s/^$name  *//p" tests/static.known >"$work/known"
	"run_$name" >"$work/found"
	while IFS= read -r line; do
		file=${line%%: *} kind=${line#*: }
		kind=${kind%%: *}
		known=
		while read -r f k _; do
			# shellcheck disable=SC2254 # patterns
			case $file in $f) case $kind in $k) known=1 ;; esac ;; esac
		done <"$work/known"
		[ -n "$known" ] || echo "$line"
	done <"$work/found" >"$work/new"
	if [ -s "$work/new" ]; then
		echo "not ok $n - $name finds nothing but what tests/static.known explains"
		status=1
	else
		echo "ok $n - $name finds nothing but what tests/static.known explains ($(wc -l <"$work/found") explained)"
	fi
	sed 's/^/# /' "$work/new"
done
exit $status
