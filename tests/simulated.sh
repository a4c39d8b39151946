#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Pools of a simulator that writes as the kernel does and shares nothing with lib: damaged, rescued, and compared with
# the truth (tests/rescue/simulated.py).
#
#	tests/simulated.sh [SEED POOLS]
#
# Without arguments those of "make check": pools of fixed seeds, and of a new one (or of SEED=).  LONG=1: many more of it.
set -u
: "${srcdir:=$(dirname "$0")/..}" "${abs_top_builddir:=.}"
takes=asan
. "$srcdir/tests/unsanitized.sh"
PATH=$abs_top_builddir/bin:$PATH
export PATH PYTHONDONTWRITEBYTECODE=1

n=0
simulated() { # SENTENCE ARG...
	sentence=$1 n=$((n + 1))
	shift
	if TMPDIR=$work python3 "$srcdir/tests/rescue/simulated.py" "$@" >"$work/log" 2>&1; then
		echo "ok $n - $sentence"
	else
		echo "not ok $n - $sentence"
	fi
	sed 's/^#* *//; s/^/# /' "$work/log"
}

# What a new seed may find at most.  60 seeds of ten pools had 1 lie, 19 % of doubts and 5 % of missed mappings at most; a few pools can have more.
seed=${1:-${SEED:-$(date +%s)}} few=5 many=10 bounds='--doubts 28 --missed 12'
[ -z "${LONG:-}" ] || many=150
[ -z "$sanitizer" ] || few=1 many=4 bounds='--doubts 50 --missed 40'
pools=${2:-$many}
echo 1..12
simulated "a simulated pool is sound, each count in it is right, and thin_dump and thin_repair tell what it is" \
	"$seed" $((few * 2)) --undamaged
for fixed in 2001 2003; do
	simulated "damaged pools of seed $fixed: no crash, no changed input, sound results, and the exit status does not lie" \
		$fixed $few --missed 10
done
while read -r fixed trial sentence; do
	simulated "$sentence" "$fixed" 10 --only "$trial" </dev/null
done <<-EOF
	2002 7:older_superblock a superblock with an older time than the newest state is older, also where its index block was used again
	2050 1:older_superblock a superblock whose data bitmap a later state wrote over may be an older one
	2051 7:older_superblock so it is in a pool whose first devices are all that is known
	2042 9:two a superblock is older, too, where the later state lost a leaf
	2023 8:foreign_blocks a device without mappings that is later than the superblock is another pool's
	2102 1:older_superblock a superblock of which a commit that was not completed wrote over a block may be an older one
	4001 0:two a superblock may be older than a state that shares no device with it, if that is later and a device's root was written over
	2059 1:lost_writes a state that nothing joins with the superblock may not be the pool's
EOF
# shellcheck disable=SC2086 # two options
simulated "so it is with pools of a new seed, but for a few damages" "$seed" "$pools" --lies $((3 + pools / 20)) $bounds
