# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For . in a test that drives commands without sanitizers from python3: $work, a folder that is removed when the test ends.
# Otherwise the test is skipped; takes=asan: not for AddressSanitizer, then $sanitizer is asan.
command -v python3 >/dev/null || { echo "1..0 # SKIP python3 is not installed"; exit 0; }
sanitizer=$(grep -aoE '__(asan|tsan)_init' "$abs_top_builddir/bin/thin_check" | sed 's/__//; s/_init//' | head -n 1)
if [ -n "$sanitizer" ] && [ "$sanitizer" != "${takes:-}" ]; then
	echo "1..0 # SKIP sanitizers have memory of their own"
	exit 0
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/pools.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM
