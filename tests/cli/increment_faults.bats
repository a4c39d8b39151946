#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Increments that are interrupted at each of their writes, cut, or meet a full disk: what is left, and what
# the same command makes of it.

bats_require_minimum_version 1.5.0
load needs
load increment.bash

setup_file() {
	# shellcheck disable=SC2086
	${CC:-cc} -O1 -shared -fPIC -D_GNU_SOURCE -o "$BATS_FILE_TMPDIR/preload.so" "$abs_top_srcdir/tests/faults/preload.c" -ldl || :
}

# In memory where that is possible, because there are hundreds of flushes
setup() {
	WORK=$(mktemp -d -p /dev/shm 2>/dev/null) || WORK=$(mktemp -d)
	cd "$WORK" || return 1
}

teardown() {
	cd /
	loops_end
	rm -rf "$WORK"
}

# Two snapshots of a small pool with a base image, and their images
tiny_pool() {
	BLOCK=128
	new_pool
	SECTORS=$((2048 + $(pick 4000)))
	change_and_snap 0
	change_and_snap 1
	thin_materialize pool s0 s0.img
	thin_materialize pool s1 s1.img
}

# From the first to the second as inc.rbd and inc.qcow2
tiny_increments() {
	thin_materialize --since s0 -O rbd-diff pool s1 inc.rbd
	thin_materialize --since s0 -O qcow2 --backing s0.img pool s1 inc.qcow2
}

need_preload() {
	need_plain
	[ -f "$BATS_FILE_TMPDIR/preload.so" ] || skip "what makes calls fail cannot be built here"
}

# again COMMAND...: runs it; where the pool must be repaired first, does that as the message says, and runs it then
again() {
	"$@" >told 2>&1 && return
	grep -q 'needs_check.*thin_check --auto-repair' told && thin_check -q --auto-repair meta.img && "$@" >told 2>&1
}

# interrupt PREPARE CHECK COMMAND...: for each write, flush and change of size: PREPARE, the command killed
# before or within that call, or with an error of it; CHECK what is left; the command again; CHECK done
interrupt() {
	local prepare=$1 check=$2 fault n total=0
	shift 2
	for fault in write:N:-1 write:N:-2 write:N:28 size:N:-1 size:N:28 flush:N:-1 flush:N:5; do
		for ((n = 1; n < 400; n++)); do
			$prepare
			rm -f hit
			{ FAULT=${fault/N/$n} FAULT_HIT=hit LD_PRELOAD=$BATS_FILE_TMPDIR/preload.so "$@" >told 2>&1; } 2>killed &&
				[ ! -e hit ] && break
			total=$((total + 1))
			$check left || { echo "$* ${fault/N/$n}: $(cat told)"; return 1; }
			[ ! -e out ] || no_output
			again "$@" || { echo "$* again after ${fault/N/$n}: $(cat told)"; return 1; }
			$check done || { echo "$* again after ${fault/N/$n}: wrong"; return 1; }
		done
	done
	echo "# $total interruptions" >&3
	[ "$total" -gt 0 ]
}

base_image() {
	cp s0.img image
}

is_updated() {
	[ "$1" = left ] || cmp image s1.img
}

no_output() {
	rm -f out
}

# There is no file of that name, or the whole overlay
is_overlay() {
	[ "$1" = left ] && [ ! -e out ] || { thin_apply -q --format qcow2 -i out again && cmp again s1.img; }
}

is_stream() {
	[ "$1" = left ] && [ ! -e out ] || cmp out inc.rbd
}

old_pool() {
	cp meta.was meta.img
	cp --sparse=always data.was data.img
}

# What a crash leaves is a pool, and the other device is what it was
is_applied() {
	thin_check -q meta.img || return 1
	thin_materialize -f --size "$(stat -c %s s0.img)" pool keep out && cmp out s0.img || return 1
	[ "$1" = left ] || { thin_materialize -f --size "$(stat -c %s s1.img)" pool copy out && cmp out s1.img; }
}

@test "an update interrupted at any write, flush or change of size is completed by the same command" {
	new_seed 21
	need_preload
	tiny_pool
	interrupt base_image is_updated thin_materialize --since s0 pool s1 image
}

@test "an overlay, an image and a stream that are interrupted anywhere leave no file, and are made by the same command" {
	new_seed 22
	need_preload
	tiny_pool
	touch again
	thin_materialize --since s0 -O rbd-diff pool s1 inc.rbd
	interrupt no_output is_overlay thin_materialize --since s0 -O qcow2 --backing s0.img pool s1 out
	interrupt no_output is_overlay thin_materialize -O qcow2 -c pool s1 out
	interrupt no_output is_stream thin_materialize --since s0 -O rbd-diff pool s1 out
}

@test "an increment of any form that was applied to a file in part is applied by the same command" {
	new_seed 23
	need_preload
	tiny_pool
	tiny_increments
	interrupt base_image is_updated thin_apply -i inc.rbd image
	interrupt base_image is_updated thin_apply -i inc.qcow2 --top image
	interrupt base_image is_updated thin_apply -i s1.img image
}

@test "an increment of any form that was applied to a thin device in part leaves a pool, and is applied by the same command" {
	new_seed 24
	need_preload
	tiny_pool
	tiny_increments
	LINES+=("copy: 0 40000 thin pool 201 $ORIGIN" "keep: 0 40000 thin pool 202 $ORIGIN")
	write_table "${LINES[@]}"
	thin_message pool 'create_thin 201'
	thin_apply -i s0.img pool copy
	thin_message pool 'create_snap 202 201'
	cp meta.img meta.was
	cp --sparse=always data.img data.was
	interrupt old_pool is_applied thin_apply -i inc.rbd pool copy
	interrupt old_pool is_applied thin_apply -i inc.qcow2 --top pool copy
}
