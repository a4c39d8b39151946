# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Active pools, of the real LVM and of dmsetup: read by tests/vm/run.

vm_live() {
	lvm=$(command -v lvm) || { echo "# lvm is not installed: not tried" && return; }
	enter live
	truncate -s 128M vg.img && truncate -s 4M meta.img && truncate -s 32M data.img
	# shellcheck disable=SC2046 # a list of commands
	copy_program more "$lvm" "$(command -v sha256sum)" $(for c in lvm ls check message repair dump rmap info delta materialize migrate apply shrink; do
		command -v thin_$c
	done)
	for c in pvcreate vgcreate lvcreate lvchange lvremove vgchange; do ln -s "$(basename "$lvm")" "more/sbin/$c"; done
	cp "$here/live" more/
	echo 'script live' >"$dir/live.story"
	boot "$dir/live.story" vg.img meta.img data.img
	ended
	result $? "live: the machine plays it to its end"
	grep '^said ' told | sed 's/^/# /'
	while read -r word status sentence; do
		[ "$word" != point ] || result "$status" "live: $sentence"
	done <told
}
