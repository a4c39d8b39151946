# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For . in a test: makes $work, a folder that is removed when the test ends, with NAME/meta.img of each pool that
# the kernel made (tests/fixtures).  Without zstd the test is skipped.
command -v zstd >/dev/null || { echo "1..0 # SKIP zstd is not installed"; exit 0; }
work=$(mktemp -d "${TMPDIR:-/tmp}/pools.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM
for f in "$srcdir"/tests/fixtures/*.tar.zst; do
	name=$(basename "$f" .tar.zst)
	[ "$name" = stories ] || tar --zstd -C "$work" -xf "$f" "$name/meta.img" || exit 99
done
