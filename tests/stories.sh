#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The stories of the kernel-made pools, told to our own target: the same messages, writes and
# discards in the same order give the same mappings, counts, times, details and bytes.
# STORIES="plain ids" picks some; LONG=1 adds what takes long.
stories=${STORIES:-plain empty fresh extorigin extorigin-snaps origin-short origin-short-nozero thin-short
	bs-512k bs-1m bs-192k ids metasnap metasnap-inplace metasnap-released discards resize snap-tree
	many-thins out-of-data fuzz-1 fuzz-2 fuzz-3${LONG:+ random-50k}}
fixtures=$(cd "${srcdir:=$(dirname "$0")/..}" && pwd)/tests/fixtures
command -v zstd >/dev/null || { echo "1..0 # SKIP zstd is not installed"; exit 0; }
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
tell=$PWD/tests/tell
cd "$dir" || exit 99
zstd -qdc "$fixtures/stories.tar.zst" | tar -xf - || exit 99
n=0
for s in $stories; do
	n=$((n + 1))
	zstd -qdc "$fixtures/$s.tar.zst" | tar -xSf -
	if "$tell" "$s.story" "$s" told >out 2>&1; then r=ok; else r="not ok"; fi
	sed 's/^/# /' out
	echo "$r $n - $s: the story told to us gives the pool that it gave the kernel"
	n=$((n + 1))
	if thin_check -q told; then r=ok; else r="not ok"; fi
	echo "$r $n - $s: thin_check accepts it"
	rm -rf "$s" told
done
echo "1..$n"
