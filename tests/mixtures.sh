#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Mixtures of command, feature of the pool, place and failure: each pair of two of them (tests/mixtures).
# SEED picks the rows; MANY: how many devices "many" are; ROWS: at most so many;
# SECONDS_MOST: no new row after that time.
set -u
: "${srcdir:=$(dirname "$0")/..}" "${abs_top_builddir:=.}"
. "$srcdir/tests/unsanitized.sh"
. "$srcdir/tests/preload.sh"
mkdir "$work/rows"
PYTHONDONTWRITEBYTECODE=1 python3 "$srcdir/tests/mixtures/mixtures.py" "$work/preload.so" "$work/rows" \
	--seed "${SEED:-1}" --many "${MANY:-3000}" --rows "${ROWS:-0}" --seconds "${SECONDS_MOST:-300}" >"$work/out" 2>&1
r=$?
echo 1..1
[ $r = 0 ] || printf 'not '
echo "ok 1 - each pair of a command, a feature, a place and a failure ends as the table says"
grep '^#' "$work/out"
[ $r = 0 ] || grep -v '^#' "$work/out" | sed 's/^/# /'
