# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Outputs that are the kernel's devices over a source of the same command: read by tests/vm/run.

vm_devices() {
	enter devices
	mkdir -p more/inputs
	(
		cd more/inputs && PATH=$PATH:$build/tests/damage && MORE= && . "$srcdir/tests/devices/writers.sh" && writers_make
	) || exit 99
	# shellcheck disable=SC2046 # a list of commands
	copy_program more $(for c in restore repair metadata_unpack metadata_pack shrink trim materialize apply message dump; do
		command -v thin_$c
	done)
	cp "$here/devices" "$srcdir/tests/devices/writers.sh" more/
	echo 'script devices' >"$dir/devices.story"
	truncate -s 12M disk.img
	boot "$dir/devices.story" disk.img
	ended
	result $? "devices: the machine plays it to its end"
	sed -n 's/^absent /# the kernel has not: /p' told
	grep '^pair ' told | grep -v '^pair [^ ]* apart ' >refused
	printf '%s\n' 'same file or device' 'is both input and output' 'is a source' >phrases
	{ grep '^pair [^ ]* [^ ]* 0 ' refused; grep -vFf phrases refused; } | sed 's/^/# /' >wrong
	cat wrong
	[ -s refused ] && [ ! -s wrong ]
	result $? "devices: of $(awk '{ print $3 }' refused | sort -u | wc -l) devices over a command's source none is its output ($(wc -l <refused) commands)"
	grep '^source of .* written' told | sed 's/^/# /'
	grep -q '^source of .* kept' told && ! grep -q '^source of .* written' told
	result $? "devices: no byte of a source has changed"
	for name in repair shrink materialize-meta materialize-data materialize-origin apply apply-qcow2; do
		grep -q "^pair $name apart 0" told || grep "^pair $name apart" told || echo "$name was not tried"
	done | sed 's/^/# /' >wrong
	cat wrong
	[ ! -s wrong ]
	result $? "devices: one over another part of the same disk is an output"
}
