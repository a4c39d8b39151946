#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Changed pools, judged by the commands and by a reader that shares nothing with them (tests/oracle).
#
#	tests/oracle.sh [SEED TRIALS]
#
# Without arguments those of "make check"; LONG=1: 10000.  SEED, FRESH: the seed, how many pools are made.
set -u
: "${srcdir:=$(dirname "$0")/..}" "${abs_top_builddir:=.}"
command -v python3 >/dev/null || { echo "1..0 # SKIP python3 is not installed"; exit 0; }
if [ $# -ne 2 ]; then
	set -- "${SEED:-1}" 300
	[ -z "${LONG:-}" ] || set -- "${SEED:-1}" 10000
fi
. "$srcdir/tests/kernel_pools.sh"
export PYTHONDONTWRITEBYTECODE=1
echo 1..3

# LINES of stdin become the comment of a sentence.
tell() # STATUS NUMBER SENTENCE
{
	if [ "$1" -eq 0 ]; then echo "ok $2 - $3"; else echo "not ok $2 - $3"; fi
	sed 's/^/# /' "$work/out"
}
python3 "$srcdir/tests/oracle/fixtures.py" "$work"/*/meta.img >"$work/out" 2>&1
tell $? 1 "the kernel's pools: thin_check and the second opinion agree, and so do the listings"

"$abs_top_builddir/tests/oracle/pools" "$1" "${FRESH:-12}" "$work" || exit 99
python3 "$srcdir/tests/oracle/mutate.py" --losses $(($2 / 100)) "$1" "$2" "$work"/*.img >"$work/out" 2>&1
tell $? 2 "changed pools, made afresh: verdicts, listings and repairs are what the second opinion says"

# The smaller ones: the larger take seconds each.
small=
for f in "$work"/*/meta.img; do
	[ "$(wc -c <"$f")" -gt 3000000 ] || thin_check -q "$f" && small="$small $f"
done
# shellcheck disable=SC2086
python3 "$srcdir/tests/oracle/mutate.py" "$1" $(($2 / 2)) $small >"$work/out" 2>&1
tell $? 3 "changed pools of the kernel: the same"
