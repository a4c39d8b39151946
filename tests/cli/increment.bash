# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For load: random pools with a chain of snapshots, between which a device was changed, in the test's own folder.
load loop

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	look_for_zstd
}

teardown() {
	cd /
	loops_end
}

# pick N: a random number below N
pick() {
	echo $((RANDOM % $1))
}

# write_table LINES...: the table of the pool, which this file's functions keep in $TABLE
write_table() {
	printf '%s\n' "pool: 0 $((512 * 2048)) thin-pool meta.img data.img $BLOCK 0${SKIP_ZEROING:+ 1 skip_block_zeroing}" "$@" >pool
}

# new_pool: block size, origin and first size at random.  LINES has the devices' lines, VM the id of the one
# that is changed.
new_pool() {
	local blocks=(128 256 384 512 2048)
	BLOCK=${BLOCK:-${blocks[$(pick 5)]}}
	SECTORS=$((4096 + $(pick 24000)))
	ORIGIN=
	case $(pick 3) in
	0) ;;
	1) ORIGIN=base.img; yes "this is the base image" | head -c $((SECTORS * 512 / 2 + $(pick 100000))) >base.img ;;
	2) ORIGIN=base.img; yes "this is the base image" | head -c $((SECTORS * 512 + $(pick 3000000))) >base.img ;;
	esac
	rm -f meta.img data.img
	truncate -s 2M meta.img
	truncate -s 512M data.img
	VM=0
	LINES=("vm: 0 $SECTORS thin pool $VM $ORIGIN")
	write_table "${LINES[@]}"
	thin_message pool 'create_thin 0'
}

# change_and_snap N: some changes to the device, perhaps another size, and snapshot N of it; perhaps what is
# changed from then on is a snapshot of that
change_and_snap() {
	case $(pick 4) in
	0) SECTORS=$((SECTORS + $(pick 5000))) ;;
	1) SECTORS=$((SECTORS - $(pick $((SECTORS / 3))))) ;;
	esac
	LINES[0]="vm: 0 $SECTORS thin pool $VM $ORIGIN"
	LINES+=("s$1: 0 $SECTORS thin pool $((100 + $1)) $ORIGIN")
	write_table "${LINES[@]}"
	churn pool vm "$RANDOM" $((1 + $(pick 12)))
	thin_message pool "create_snap $((100 + $1)) $VM"
	[ "$(pick 3)" -eq 0 ] || return 0
	VM=$((300 + $1))
	thin_message pool "create_snap $VM $((100 + $1))"
	LINES[0]="vm: 0 $SECTORS thin pool $VM $ORIGIN"
	write_table "${LINES[@]}"
}

# new_seed: from SEED, or another one each time; printed
new_seed() {
	RANDOM=${SEED:-$((${1:-0} * 1000 + $(date +%N | sed 's/^0*//') % 1000))}
	SEED_USED=${SEED:-$RANDOM}
	RANDOM=$SEED_USED
	echo "# SEED=$SEED_USED" >&3
}

# look_for_zstd: sets ZSTD to yes or nothing
look_for_zstd() {
	ZSTD=yes
	[[ "$(thin_materialize -O qcow2 -czstd nowhere 0 x 2>&1)" != *"without libzstd"* ]] || ZSTD=
}

# An option by chance that compresses, or none.
pick_compression() {
	local options=("" -c ${ZSTD:+-czstd})

	echo "${options[$(pick ${#options[@]})]}"
}

# One pool with two snapshots and their images.
small_pool() {
	new_pool
	change_and_snap 0
	change_and_snap 1
	thin_materialize pool s0 s0.img
	thin_materialize pool s1 s1.img
}
