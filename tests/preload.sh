# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For . behind unsanitized.sh: $work/preload.so, which makes calls to the system fail (tests/faults/preload.c).
# shellcheck shell=sh disable=SC2086
if ! ${CC:-cc} -O1 -shared -fPIC -D_GNU_SOURCE -o "$work/preload.so" "$srcdir/tests/faults/preload.c" -ldl 2>"$work/cc"; then
	echo "1..0 # SKIP what makes calls fail cannot be built here"
	exit 0
fi
