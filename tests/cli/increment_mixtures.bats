#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Each form with each kind of POOL and of origin; on a full disk, with read errors, interrupted by Ctrl-C.

bats_require_minimum_version 1.5.0
load needs
load increment.bash

# each_form BASE-IMAGE IMAGE ARGUMENTS...: with --since BASE in the arguments, in each form, against IMAGE
each_form() {
	local base=$1 image=$2
	shift 2
	rm -f q.qcow2 c.qcow2 d.rbd
	cp "$base" up
	thin_materialize -q "$@" up
	cmp up "$image"
	thin_materialize -q -O qcow2 --backing "$base" "$@" q.qcow2
	: >out
	thin_apply -i q.qcow2 out
	cmp out "$image"
	thin_materialize -q -O qcow2 -c --backing "$base" --verify "$@" c.qcow2
	cp "$base" out
	thin_apply -i c.qcow2 --top out
	cmp out "$image"
	thin_materialize -q -O rbd-diff "$@" d.rbd
	cp "$base" out
	thin_materialize -q -O rbd-diff "$@" - | thin_apply out
	cmp out "$image"
}

@test "each form is the same from a table, bare metadata, XML and --repair, over no origin, a short and a long one" {
	new_seed 51
	local kind round=0
	for kind in none short long; do
		# pools are made until one has this kind of origin
		until new_pool; case $ORIGIN:$kind in
			:none) true ;;
			base.img:short) [ "$(stat -c %s base.img)" -lt $((SECTORS * 512)) ] ;;
			base.img:long) [ "$(stat -c %s base.img)" -ge $((SECTORS * 512)) ] ;;
			*) false ;;
			esac; do :; done
		change_and_snap 0
		change_and_snap 1
		thin_materialize -f pool s0 s0.img
		thin_materialize -f pool s1 s1.img
		thin_dump meta.img >pool.xml
		each_form s0.img s1.img --since s0 pool s1
		each_form s0.img s1.img --repair --since s0 pool s1
		set -- --since 100 --since-size "$(stat -c %s s0.img)" --size "$(stat -c %s s1.img)" --data-dev data.img ${ORIGIN:+--origin $ORIGIN}
		each_form s0.img s1.img "$@" meta.img 101
		each_form s0.img s1.img "$@" pool.xml 101
	done
}

@test "each form is the same from an image of a disk with LVM" {
	QUICKSTART_SAMPLE=$PWD/sample BUILD=$abs_top_builddir "$abs_top_srcdir/quickstart" --sample >/dev/null
	cd sample
	thin_materialize -f pool web0 web0.img
	thin_materialize -f pool web1 web1.img
	each_form web0.img web1.img --since web0 disk.img web1
	each_form web1.img web0.img --since web1 disk.img web0
}

@test "a pack and a qcow2 image in the place of pool or origin are refused in each form, and nothing is made" {
	need qemu-img
	new_seed 52
	local form
	new_pool
	change_and_snap 0
	change_and_snap 1
	thin_materialize pool s0 s0.img
	cp s0.img kept
	thin_metadata_pack -i meta.img -o pool.pack
	qemu-img create -q -f qcow2 origin.qcow2 20M
	for form in "s0.img" "-O qcow2 --backing s0.img q.out" "-O rbd-diff r.out"; do
		set -- ${form% *}
		[ "$form" != s0.img ] || set --
		run --separate-stderr thin_materialize --since 100 --size 1M --data-dev data.img "$@" pool.pack 101 "${form##* }"
		[ "$status" -eq 1 ] || [ "$status" -eq 64 ] || { echo "$form: $status $stderr"; return 1; }
		[[ "$stderr" == *"pool.pack"*"thin_metadata_unpack"* ]] || { echo "$form: $stderr"; return 1; }
		run --separate-stderr thin_materialize --since s0 --origin origin.qcow2 "$@" pool s1 "${form##* }"
		[ "$status" -eq 1 ] || [ "$status" -eq 64 ] || { echo "$form: $status $stderr"; return 1; }
		[[ "$stderr" == *"origin.qcow2"*qcow2* ]] || { echo "$form: $stderr"; return 1; }
		[ ! -e q.out ] && [ ! -e r.out ]
		cmp s0.img kept
	done
	run --separate-stderr thin_apply -i s0.img --origin origin.qcow2 pool s0 # an image of its size
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"origin.qcow2"*qcow2* ]]
}

# full SIZE: ./full, a filesystem of that size
full() {
	need_root
	mkdir full
	mount -t tmpfs -o "size=$1" tmpfs full 2>/dev/null || skip "cannot mount"
	MOUNTED=$PWD/full
}

@test "a full disk is named in each form; when there is room the same command completes it" {
	new_seed 53
	local form
	printf '%s\n' 'pool: 0 131072 thin-pool meta.img data.img 128 0' 'a: 0 16384 thin pool 0' 'b: 0 16384 thin pool 1' >pool
	truncate -s 1M meta.img
	head -c 64M /dev/urandom >data.img
	thin_message pool 'create_thin 0' 'create_thin 1'
	head -c 8M /dev/urandom | thin_apply --format raw pool b
	thin_materialize pool a a.img
	thin_materialize pool b b.img
	thin_materialize --since a -O rbd-diff pool b inc.rbd
	thin_materialize --since a -O qcow2 --backing a.img pool b inc.qcow2
	full 3M
	truncate -s 8M full/image
	cp pool full/pool
	cp meta.img full/
	truncate -s 64M full/data.img
	for form in "thin_materialize --since a pool b full/image" "thin_materialize pool b full/out" \
		"thin_materialize -O qcow2 --since a --backing $PWD/a.img pool b full/out" \
		"thin_materialize -O qcow2 -c pool b full/out" "thin_materialize -O rbd-diff pool b full/out" \
		"thin_apply -i inc.rbd full/image" "thin_apply -i inc.qcow2 --top full/image" "thin_apply -i b.img full/image" \
		"thin_apply -i inc.rbd full/pool a" "thin_apply -i inc.qcow2 full/pool a"; do
		mount -o remount,size=3M full
		run --separate-stderr $form
		[ "$status" -eq 1 ] || [ "$status" -eq 74 ] || { echo "$form: $status $stderr"; return 1; }
		[[ "$stderr" == *"No space left"* ]] || { echo "$form: $stderr"; return 1; }
		[ ! -e full/out ]
		[ "$(find full -name '.*' -type f | wc -l)" -eq 0 ]
		thin_check -q full/meta.img || thin_check -q --auto-repair full/meta.img
		mount -o remount,size=64M full
		$form || { echo "$form again"; return 1; }
		case $form in
		*full/image) cmp full/image b.img ;;
		*pool\ a) thin_materialize -f full/pool a out && cmp out b.img ;;
		esac
		rm -f full/out full/image full/data.img
		truncate -s 8M full/image
		truncate -s 64M full/data.img
		cp meta.img full/
	done
}

@test "a read error and Ctrl-C at any time leave nothing wrong, and say what is left" {
	need_plain
	new_seed 54
	local form class n
	# shellcheck disable=SC2086
	${CC:-cc} -O1 -shared -fPIC -D_GNU_SOURCE -o preload.so "$abs_top_srcdir/tests/faults/preload.c" -ldl ||
		skip "what makes calls fail cannot be built here"
	BLOCK=128
	small_pool
	thin_materialize --since s0 -O rbd-diff pool s1 inc.rbd
	for form in "thin_materialize --since s0 pool s1 image" "thin_materialize -O qcow2 --since s0 --backing s0.img pool s1 out" \
		"thin_materialize -O qcow2 -c pool s1 out" "thin_materialize --since s0 -O rbd-diff pool s1 out" \
		"thin_apply -i inc.rbd image" "thin_apply -i s1.img image"; do
		for class in read:N:5 write:N:-3; do
			for n in 1 2 3 $((4 + $(pick 4))) $((8 + $(pick 12))) $((20 + $(pick 30))); do
				cp s0.img image
				rm -f out hit
				FAULT=${class/N/$n} FAULT_HIT=hit LD_PRELOAD=./preload.so run --separate-stderr $form
				[ -e hit ] || break
				case $class:$status in
				write*:130) [[ "$stderr" == *interrupt* ]] ;;
				read*:1 | read*:74) [ -n "$stderr" ] ;;
				*:0) ;;
				*) false ;;
				esac || { echo "$form ${class/N/$n}: $status $stderr"; return 1; }
				[ "$status" -eq 0 ] || [ ! -e out ] || { echo "$form ${class/N/$n} left it"; return 1; }
				[ "$status" -eq 0 ] && [ -e out ] || $form || { echo "$form again"; return 1; }
				case $form in *image) cmp image s1.img ;; *) [ -e out ] ;; esac
			done
		done
	done
}
