# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Pools that the kernel makes by random stories (pools.c), damaged and rescued: read by tests/vm/run.

vm_rescued() { # SEED
	enter "rescued-$1"
	echo "script rescued $1 ${POOLS:-12}" >"$dir/rescued-$1.story"
	copy_program more "$build/tests/vm/pools"
	echo 'pools "$1" "$2" /dev/meta.img /dev/out.img' >more/rescued
	truncate -s 20M meta.img && truncate -s $((${POOLS:-12} * 32))M out.img
	boot "$dir/rescued-$1.story" meta.img out.img
	ended
	result $? "rescued-$1: the kernel makes ${POOLS:-12} pools"
	sed -n 's/^pool //p' told | while read -r slot bytes; do
		dd if=out.img of="$slot.meta" bs=1M skip=$((slot * 32)) count=$(((bytes + 1048575) / 1048576)) conv=sparse status=none
		truncate -s "$bytes" "$slot.meta"
		thin_check -q "$slot.meta" >/dev/null 2>&1 || echo "$slot.meta is not sound"
	done >wrong
	sed 's/^/# /' wrong
	[ ! -s wrong ] && ls ./*.meta >/dev/null
	result $? "rescued-$1: they are sound"
	for kinds in "" -x -y; do
		# shellcheck disable=SC2086 # an option
		"$build/tests/rescue/harsh" -s "$1" -n "${TRIALS:-600}" -f 0 -L 0 -B 850 $kinds ./*.meta >table
		result $? "rescued-$1: what is intact of them after damages comes back, and the exit status does not lie${kinds:+ ($kinds)}"
		sed 's/^#* *//; s/^/# /' table
	done
	[ -n "${VM_KEEP:-}" ] || rm -f ./*.img ./*.meta
}
